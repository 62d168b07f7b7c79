//! Hints of `portcullis session` for refused cookies: the right next step, in
//! nearly all of sixty and more situations.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use vectors::{answer, compile, cookie_header, vectors};

/// Rows that may name another next step than the right one.
const MAY_MISS: usize = 1;

/// A situation, what is said, and what must be in it.
struct Row {
    situation: String,
    said: String,
    next_step: &'static str,
}

/// All that is said about the first refusal of these cookies.
pub(super) fn said(config: &Json, store: &Json, header: &[u8], now: u64) -> String {
    let source = match compile(config) {
        Ok(source) => source,
        Err(problems) => return format!("{problems:?}"),
    };
    let cookies = Cookies::new(header);
    let mut check = source.look(cookies, now);
    for _ in 0..3 {
        check = match check {
            Ok(Check::Ask(question)) => {
                source.answered(&question, answer(store, &question.query), now)
            }
            other => other,
        };
    }
    match check {
        Ok(Check::Known(identity)) => format!("accepted: {}", identity.user_id()),
        Ok(Check::Ask(_)) => "asks without end".to_owned(),
        Err(rejected) => {
            let hints = source.hints(cookies, &rejected).join("; ");
            format!("{}: {}; {hints}", rejected.reason.as_str(), rejected.detail)
        }
    }
}

fn vector(id: &str) -> Json {
    let kind = id.split('/').next().unwrap();
    let found = vectors(kind).into_iter().find(|vector| vector["id"] == id);
    found.unwrap_or_else(|| panic!("no vector {id}"))
}

/// The vector with other settings; `null` takes one away.
fn changed(id: &str, changes: &Json) -> String {
    let vector = vector(id);
    let mut config = vector["config"].clone();
    merge(&mut config, changes);
    said(&config, &vector["store"], &cookie_header(&vector), vector["now"].as_u64().unwrap())
}

fn merge(config: &mut Json, changes: &Json) {
    for (key, value) in changes.as_object().unwrap() {
        match (config.get_mut(key), value) {
            (_, Json::Null) => drop(config.as_object_mut().unwrap().remove(key)),
            (Some(inner), Json::Object(_)) if inner.is_object() => merge(inner, value),
            _ => config[key] = value.clone(),
        }
    }
}

/// The vector's cookie, where another kind is set.
fn mistaken(id: &str, config: &Json) -> String {
    let vector = vector(id);
    let header = cookie_header(&vector);
    let name = String::from_utf8(header.clone()).unwrap();
    let own = vector["config"]["cookie"].as_str().map(str::to_owned);
    let own = own.unwrap_or_else(|| name.split('=').next().unwrap().to_owned());
    let mut config = config.clone();
    config["cookie"] = own.into();
    said(&config, &Json::Null, &header, vector["now"].as_u64().unwrap())
}

fn report(id: &str) -> String {
    let cases: Vec<Json> =
        serde_json::from_str(include_str!("../../../tests/fixtures/reports/sessions.json"))
            .unwrap();
    let case = cases.iter().find(|case| case["id"] == id).unwrap();
    let header = case["cookie"].as_str().unwrap().as_bytes();
    said(&case["session"], &case["store"], header, case["now"].as_u64().unwrap())
}

fn wrong_secrets() -> Vec<Row> {
    let key = "the one the app uses";
    let secret = "not-the-secret-of-the-app-0123456789abcdef";
    let row = |id: &'static str, changes: &Json| Row {
        situation: format!("wrong secret: {id}"),
        said: changed(id, changes),
        next_step: key,
    };
    let usual = json!({ "secret": secret, "secrets": null });
    let base64 =
        json!({ "secret": "base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "secrets": null });
    let all = [
        "next-auth/basic",
        "authjs/basic",
        "auth0/basic",
        "h3-session/basic",
        "yar/basic",
        "cookie-session/basic",
        "koa-session/basic",
        "react-router/basic",
        "flask/flask-login",
        "starlette/basic",
        "django/signed-cookies",
        "rails/session-user-id",
        "plug/signed-int",
        "express-session/basic",
        "jwt/hs256",
    ];
    let mut rows: Vec<_> = all.into_iter().map(|id| row(id, &usual)).collect();
    rows.push(row("laravel/redis", &base64));
    rows.push(row("better-auth/sql-session-table", &usual));
    rows
}

fn wrong_kinds() -> Vec<Row> {
    let flask = json!({ "kind": "flask", "secret": "s" });
    let jwt = json!({ "kind": "jwt", "secret": "s" });
    let next_auth = json!({ "kind": "next-auth", "secret": "s" });
    let long = "a-secret-of-more-than-32-characters-01";
    let react_router = json!({ "kind": "react-router", "secret": "s", "user_id": "/u" });
    let yar = json!({ "kind": "yar", "secret": long, "user_id": "/u" });
    let h3 = json!({ "kind": "h3-session", "secret": long, "user_id": "/u" });
    let authjs = json!({ "kind": "authjs", "secret": long });
    let firebase = vector("firebase/basic")["config"].clone();
    let rows = [
        ("django/signed-cookies", &flask, "kind = \"django\""),
        ("express-session/basic", &flask, "kind = \"express-session\""),
        ("react-router/basic", &flask, "kind = \"react-router\""),
        ("koa-session/basic", &flask, "kind = \"koa-session\""),
        ("jwt/hs256", &flask, "kind = \"jwt\""),
        ("rails/session-user-id", &jwt, "kind = \"rails\""),
        ("laravel/redis", &jwt, "kind = \"laravel\""),
        ("iron-session/numeric-id", &jwt, "kind = \"iron-session\""),
        ("plug/signed-int", &jwt, "kind = \"plug\""),
        ("flask/flask-login", &jwt, "Flask"),
        ("starlette/basic", &flask, "Starlette"),
        ("fastify-secure-session/basic", &flask, "kind = \"fastify-secure-session\""),
        ("authjs/basic", &next_auth, "kind = \"authjs\""),
        ("supabase/es256-jwks", &jwt, "kind = \"supabase\""),
        ("better-auth/sql-session-table", &flask, "kind = \"better-auth\""),
        ("firebase/basic", &jwt, "kind = \"firebase\""),
        ("laravel/redis", &react_router, "kind = \"laravel\""),
        ("cookie-session/basic", &react_router, "kind = \"cookie-session\""),
        ("koa-session/basic", &react_router, "kind = \"koa-session\""),
        ("h3-session/basic", &yar, "kind = \"h3-session\""),
        ("yar/basic", &h3, "kind = \"yar\""),
        ("jwt/hs256", &firebase, "kind = \"jwt\""),
        ("clerk/basic", &flask, "kind = \"clerk\""),
        ("next-auth/basic", &authjs, "kind = \"next-auth\""),
        ("auth0/basic", &authjs, "kind = \"auth0\""),
    ];
    let row = |(id, config, next_step): (&'static str, &Json, &'static str)| Row {
        situation: format!("kind {} for {id}", config["kind"]),
        said: mistaken(id, config),
        next_step,
    };
    rows.into_iter().map(row).collect()
}

fn wrong_names() -> Vec<Row> {
    let jwt = json!({ "kind": "jwt", "cookie": "token", "secret": "s" });
    let rows = [
        ("another letter case", "TOKEN=eyJ", "write cookie = \"TOKEN\""),
        ("a prefix", "__Secure-token=eyJ", "write cookie = \"__Secure-token\""),
        ("a slip of the pen", "tokne=eyJ", "write cookie = \"tokne\""),
        ("no cookie at all", "", "no cookies at all"),
        ("others only", "theme=dark", "cookies that were sent: \"theme\""),
    ];
    let row = |(what, header, next_step): (&str, &str, &'static str)| Row {
        situation: format!("name: {what}"),
        said: said(&jwt, &Json::Null, header.as_bytes(), 1_800_000_000),
        next_step,
    };
    let mut rows: Vec<_> = rows.into_iter().map(row).collect();
    let parts = "next-auth.session-token.0=a; next-auth.session-token.2=c";
    let next_auth = json!({ "kind": "next-auth", "secret": "s" });
    rows.push(Row {
        situation: "name: a part is missing".to_owned(),
        said: said(&next_auth, &Json::Null, parts.as_bytes(), 1_800_000_000),
        next_step: "part 1 (`next-auth.session-token.1`) is missing",
    });
    rows
}

fn wrong_settings() -> Vec<Row> {
    let no_store = json!({ "engine": "sql" });
    let rows = [
        ("flask/flask-login", json!({ "user_id": "/nowhere" }), "perhaps user_id = \"/"),
        ("rails/session-user-id", json!({ "user_id": "/id" }), "perhaps user_id = \"/user_id\""),
        ("rails/signed-user-id", json!({ "jar": null }), "jar = \"signed\""),
        ("rails/session-user-id", json!({ "jar": "signed" }), "leave out `jar`"),
        ("laravel/cookie-driver-gcm", json!({ "cipher": null }), "cipher = \"aes-256-gcm\""),
        (
            "laravel/redis",
            json!({ "user_id": "/login_admin_59ba36addc2b2f9401580f014c7f58ea4e30989d" }),
            "; perhaps user_id = \"/login_web_59ba36addc2b2f9401580f014c7f58ea4e30989d\"",
        ),
        ("plug/encrypted", json!({ "encryption_salt": null }), "`encryption_salt`"),
        ("plug/signed-int", json!({ "encryption_salt": "x" }), "leave out `encryption_salt`"),
        ("django/db", json!({ "backend": "signed_cookies", "store": null }), "as `backend`"),
        ("django/signed-cookies", json!({ "backend": "db", "store": no_store }), "signed_cookies"),
        ("react-router/unsigned", json!({}), "`secrets`"),
        ("jwt/hs256", json!({ "issuer": "https://other.example" }), "`issuer`"),
        ("jwt/hs256", json!({ "audience": "other" }), "`audience`"),
        (
            "jwt/rs256-jwks",
            json!({ "jwks": null, "algorithms": null, "secret": "s" }),
            "`jwks_url`",
        ),
        ("express-session/store-miss", json!({}), "compare the prefix"),
        ("lookup/lucia-v3", json!({ "store": { "expires_column": "ends" } }), "it has \""),
        ("lookup/lucia-v3", json!({ "store": { "user_column": "owner" } }), "perhaps user_id"),
        (
            "lookup/php-native-redis",
            json!({ "store": { "format": "json" } }),
            "looks like PHP session data",
        ),
        (
            "lookup/php-native-redis",
            json!({ "store": { "format": "php-serialize" } }),
            "PHP session data",
        ),
        ("django/redis-cache", json!({ "store": { "serializer": "json" } }), "pickle"),
        ("flask-session/redis-signed-json", json!({ "secret": null }), "write `secret`"),
        ("laravel/redis", json!({ "serialization": "json" }), "PHP-serialized"),
        ("laravel/redis-session-encrypt", json!({ "encrypt": null }), "write encrypt = true"),
        ("laravel/cookie-driver-session-encrypt", json!({ "encrypt": null }), "encrypt = true"),
        ("laravel/redis", json!({ "encrypt": true }), "leave out `encrypt`"),
        ("laravel/database", json!({ "encrypt": true }), "leave out `encrypt`"),
        ("laravel/cookie-driver-json", json!({ "encrypt": true }), "leave out `encrypt`"),
        ("better-auth/compact-cache", json!({ "cookie_cache": { "strategy": "jwe" } }), "strategy"),
    ];
    let row = |(id, changes, next_step): (&'static str, Json, &'static str)| Row {
        situation: format!("{id} with {changes}"),
        said: changed(id, &changes),
        next_step,
    };
    rows.into_iter().map(row).collect()
}

fn of_reports() -> Vec<Row> {
    let rows = [
        ("ba-custom-data-name", "cookie = \"__Secure-app_cache\""),
        ("ba-cache-jwks", "jwks_url"),
        ("ba-fields-renamed", "expires_column"),
        ("django6.1-subclass", "salt = \"django.contrib.sessions.CLASS\""),
        ("flask-own-salt", "`salt`, `digest`"),
        ("rails-own-salt", "authenticated_encrypted_cookie_salt"),
        ("h3-v1-custom-iterations", "`iterations`"),
        ("jwt-split", "cookies = [\"jwt_hp\", \"jwt_s\"]"),
        ("jwt-in-json", "token = \"/accessToken\""),
        ("jwt-express-j", "token = \"/token\""),
        ("jwt-base64-secret", "`base64:`"),
        ("jwt-refresh-as-access", "require"),
        ("workos-unsealed", "kind = \"jwt\""),
        ("jwt-max-age-untold", "max_age = {"),
        ("jwt-amplify-nobody-last", "cookie_user"),
        ("h3-v2-large-part-missing", "`app.2` is missing"),
        ("h3-v2-idle-rested", "the app renews its session"),
    ];
    let row = |(id, next_step): (&'static str, &'static str)| Row {
        situation: format!("report {id}"),
        said: report(id),
        next_step,
    };
    rows.into_iter().map(row).collect()
}

#[test]
fn a_refusal_names_the_right_next_step() {
    let rows: Vec<Row> =
        [wrong_secrets(), wrong_kinds(), wrong_names(), wrong_settings(), of_reports()]
            .into_iter()
            .flatten()
            .collect();
    assert!(rows.len() >= 60, "{}", rows.len());
    let mut missed = Vec::new();
    for Row { situation, said, next_step } in &rows {
        let is_right = said.contains(next_step);
        println!("{} {situation}: {next_step}", if is_right { "right" } else { "WRONG" });
        if !is_right {
            missed.push(format!("{situation}: wanted {next_step:?}, said {said:?}"));
        }
    }
    println!("{} of {} name the right next step", rows.len() - missed.len(), rows.len());
    assert!(missed.len() <= MAY_MISS, "{} of {}:\n{}", missed.len(), rows.len(), missed.join("\n"));
}

/// All that is said about a token in the cookie `token` that this secret signed.
fn said_of_token(claims: &Json, config: &Json) -> String {
    said_of_token_with("HS256", claims, config)
}

fn said_of_token_with(algorithm: &str, claims: &Json, config: &Json) -> String {
    let config_of = |more: &Json| {
        let mut config = json!({ "kind": "jwt", "cookie": "token", "secret": "s" });
        merge(&mut config, more);
        config
    };
    let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": algorithm })), part(claims));
    let hash = match algorithm {
        "HS256" => aws_lc_rs::hmac::HMAC_SHA256,
        "HS384" => aws_lc_rs::hmac::HMAC_SHA384,
        _ => aws_lc_rs::hmac::HMAC_SHA512,
    };
    let key = aws_lc_rs::hmac::Key::new(hash, b"s");
    let mac = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()));
    let header = format!("token={signed}.{mac}");
    said(&config_of(config), &Json::Null, header.as_bytes(), 1_800_000_000)
}

#[test]
fn what_was_verified_is_not_called_damaged() {
    for exp in [json!(1_800_000_100_000_u64), json!("1800000100"), json!(null)] {
        let said = said_of_token(&json!({ "sub": "u", "exp": exp }), &json!({}));
        assert!(said.starts_with("malformed: `exp` "), "{said}");
        assert!(!said.contains("damaged") && !said.contains("the secret"), "{said}");
    }
}

#[test]
fn the_cure_for_an_algorithm_that_is_not_allowed_is_named_and_works() {
    let claims = json!({ "sub": "u", "exp": 1_800_000_100_u64 });
    let shared = "with the key that is set here: write algorithms = [\"";
    let public = include_str!("../../../tests/fixtures/tokens/keys/rsa-public.pem");
    let rsa = json!({ "secret": null, "public_key": public });
    for (algorithm, config, hint) in [
        ("HS512", json!({}), format!("{shared}HS512\"]")),
        ("HS384", json!({}), format!("{shared}HS384\"]")),
        ("HS256", json!({ "algorithms": ["HS512"] }), format!("{shared}HS256\"]")),
        (
            "HS512",
            json!({ "secret": "another" }),
            "write `secret` with it, and algorithms = [\"HS512\"]; the key that is set here did not \
             sign it"
                .to_owned(),
        ),
        ("HS512", rsa.clone(), "write `secret` with it, and algorithms = [\"HS512\"]".to_owned()),
        ("HS256", rsa, "shared secret: write `secret` with it".to_owned()),
        (
            "RS512",
            json!({}),
            "`jwks` or `public_key`, and algorithms = [\"RS512\"]".to_owned(),
        ),
    ] {
        let said = said_of_token_with(algorithm, &claims, &config);
        assert!(said.starts_with("alg_not_allowed: "), "{algorithm} {config}: {said}");
        assert!(said.contains(&hint), "{algorithm} {config}: {said}");
        assert_eq!(said.contains("did not sign"), hint.contains("did not sign"), "{said}");
        if algorithm == "HS512" && said.contains(shared) {
            let cured = said_of_token_with(algorithm, &claims, &json!({ "algorithms": ["HS512"] }));
            assert_eq!(cured, "accepted: u");
        }
    }
}

#[test]
fn a_claim_is_described_as_it_is() {
    let exp = 1_800_000_100_u64;
    let audience = |aud: Json| {
        said_of_token(&json!({ "sub": "u", "exp": exp, "aud": aud }), &json!({ "audience": "a" }))
    };
    assert!(audience(json!([])).contains("neither a text nor a list of texts"));
    assert!(audience(json!(7)).contains("neither a text nor a list of texts"));
    assert!(audience(json!(["b", 7])).contains("`aud` is \"b\","));
    let issuer = said_of_token(
        &json!({ "sub": "u", "exp": exp, "iss": "https://id.example" }),
        &json!({ "issuer": "https://id.example/" }),
    );
    assert!(issuer.contains("they differ in the slash at the end"), "{issuer}");
}

#[test]
fn a_word_left_behind_and_a_time_are_no_ids() {
    let flask = json!({ "kind": "flask", "cookie": "c", "secret": "s" });
    let of =
        |value: &str| said(&flask, &Json::Null, format!("c={value}").as_bytes(), 1_800_000_000);
    assert!(of("deleted").contains("after a sign-out"), "{}", of("deleted"));
    for value in ["1795885990", "loggedout"] {
        assert!(!of(value).contains("only an id"), "{}", of(value));
    }
}

#[test]
fn advice_on_a_prefix_is_given_where_a_signature_follows() {
    let config = json!({
        "kind": "express-session", "cookie": "c", "secret": "s", "store": { "engine": "redis" },
    });
    let of =
        |value: &str| said(&config, &Json::Null, format!("c={value}").as_bytes(), 1_800_000_000);
    let mac = "A".repeat(43);
    assert!(of(&format!("an-id.{mac}")).contains("cookie_prefix = \"\""));
    let bare = of("f3a9c2d1f3a9c2d1f3a9c2d1");
    assert!(bare.contains("kind = \"lookup\"") && !bare.contains("cookie_prefix"), "{bare}");
}

#[test]
fn no_hint_names_a_cookie_that_is_read_already() {
    let split = json!({ "kind": "jwt", "cookies": ["jwt_hp", "jwt_s"], "secret": "s" });
    let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
    // A payload of 32 bytes, as long as a signature.
    let half = format!("{}.{}", part(&json!({ "alg": "HS256" })), "A".repeat(43));
    let of =
        |config: &Json, header: &str| said(config, &Json::Null, header.as_bytes(), 1_800_000_000);
    for header in [
        "jwt_s=AAAA".to_owned(),
        format!("jwt_hp={half}; jwt_s=AAAA"),
        format!("jwt_hp=Bearer%20{half}; jwt_s=AAAA"),
    ] {
        let said = of(&split, &header);
        assert!(!said.contains("write cookie") && !said.contains("react-router"), "{said}");
    }
    let next_auth = json!({ "kind": "next-auth", "secret": "s" });
    let own = "next-auth.session-token";
    let said = of(&next_auth, &format!("{own}=stale; {own}.0=a; {own}.1=b"));
    assert!(!said.contains("first part (0) is missing"), "{said}");
    let client = "CognitoIdentityServiceProvider.c1";
    let amplify = json!({ "kind": "jwt", "cookie": format!("{client}.*.idToken"), "secret": "s" });
    let said = of(&amplify, &format!("{client}.LastAuthUser=bob; {client}.ada.idToken=eyJ.e.s"));
    assert!(said.contains("of the user that cookie") && !said.contains("write cookie"), "{said}");
}
