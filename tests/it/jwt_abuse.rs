//! Session tokens an attacker might make: none opens anything.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::support::{App, Claims, Gateway, SESSION_SECRET, START, Setup, clock, get, token_of};

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with this header and payload, byte for byte, signed as the app would.
fn forge(header: &str, payload: &str, algorithm: Algorithm, secret: &[u8]) -> String {
    let message = format!("{}.{}", encode(header), encode(payload));
    let key = EncodingKey::from_secret(secret);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn signed(header: &str, payload: &str) -> String {
    forge(header, payload, Algorithm::HS256, SESSION_SECRET.as_bytes())
}

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn payload() -> String {
    format!(r#"{{"sub":"ada","exp":{}}}"#, START + 3600)
}

/// Status at the token endpoint and who the app would think is there.
fn outcome(app: &App, gateway: &Gateway, token: &str) -> (u16, Option<String>) {
    let cookie = format!("session={token}");
    let status = gateway.ask(&get("/api/get-auth-token").header("Cookie", &cookie)).status;
    app.forget();
    assert_eq!(gateway.ask(&get("/x").header("Cookie", &cookie)).status, 200);
    (status, app.only().one("x-auth-user"))
}

#[track_caller]
fn assert_refused(cases: &[(&str, String)]) {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("").clock(&clock).start();
    let good = signed(HS256, &payload());
    assert_eq!(outcome(&app, &gateway, &good), (200, Some("ada".to_owned())), "the control");
    for (name, token) in cases {
        assert_eq!(outcome(&app, &gateway, token), (401, None), "{name}: {token}");
    }
}

#[test]
fn the_algorithm_is_the_configured_one() {
    let unsigned =
        |alg: &str| format!("{}.{}.", encode(format!(r#"{{"alg":{alg}}}"#)), encode(payload()));
    let with_empty_key =
        |alg: &str| forge(&format!(r#"{{"alg":"{alg}"}}"#), &payload(), Algorithm::HS256, b"");
    let other = |algorithm| Claims::of("ada").signed(algorithm, SESSION_SECRET);
    assert_refused(&[
        ("none", unsigned("\"none\"")),
        ("None", unsigned("\"None\"")),
        ("NONE", unsigned("\"NONE\"")),
        ("nOnE", unsigned("\"nOnE\"")),
        ("empty", unsigned("\"\"")),
        ("null", unsigned("null")),
        ("a list", unsigned("[\"HS256\"]")),
        ("a number", unsigned("256")),
        ("claimed HS256", unsigned("\"HS256\"")),
        ("an empty key", with_empty_key("HS256")),
        ("none with a signature", signed(r#"{"alg":"none"}"#, &payload())),
        ("lower case", signed(r#"{"alg":"hs256"}"#, &payload())),
        ("HS384", other(Algorithm::HS384)),
        ("HS512", other(Algorithm::HS512)),
        ("RS256", signed(r#"{"alg":"RS256"}"#, &payload())),
        ("ES256", signed(r#"{"alg":"ES256"}"#, &payload())),
        ("EdDSA", signed(r#"{"alg":"EdDSA"}"#, &payload())),
        ("no algorithm", signed(r#"{"typ":"JWT"}"#, &payload())),
    ]);
}

#[test]
fn keys_in_the_header_are_not_looked_at() {
    let evil = b"a key of the attacker's own";
    let header = |extra: &Value| {
        let mut header = json!({ "alg": "HS256" });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        header.to_string()
    };
    let with = |extra: Value| forge(&header(&extra), &payload(), Algorithm::HS256, evil);
    assert_refused(&[
        ("jwk", with(json!({ "jwk": { "kty": "oct", "k": encode(evil) } }))),
        ("jku", with(json!({ "jku": "https://evil.test/keys" }))),
        ("x5u", with(json!({ "x5u": "https://evil.test/cert" }))),
        ("x5c", with(json!({ "x5c": [STANDARD.encode(evil)] }))),
        ("kid of a file", with(json!({ "kid": "../../../dev/null" }))),
        ("kid as SQL", with(json!({ "kid": "' UNION SELECT 'key" }))),
        ("an unknown demand", signed(&header(&json!({ "crit": ["x"], "x": 1 })), &payload())),
        ("an empty demand", signed(&header(&json!({ "crit": [] })), &payload())),
        (
            "unencoded payload",
            signed(&header(&json!({ "b64": false, "crit": ["b64"] })), &payload()),
        ),
    ]);
}

#[test]
fn times_are_numbers_and_are_kept() {
    let claims = |json: &str| signed(HS256, json);
    assert_refused(&[
        ("no exp", claims(r#"{"sub":"ada"}"#)),
        ("exp null", claims(r#"{"sub":"ada","exp":null}"#)),
        ("exp text", claims(r#"{"sub":"ada","exp":"4000000000"}"#)),
        ("exp never", claims(r#"{"sub":"ada","exp":"never"}"#)),
        ("exp true", claims(r#"{"sub":"ada","exp":true}"#)),
        ("exp list", claims(r#"{"sub":"ada","exp":[4000000000]}"#)),
        ("exp object", claims(r#"{"sub":"ada","exp":{}}"#)),
        ("exp negative", claims(r#"{"sub":"ada","exp":-1}"#)),
        ("exp zero", claims(r#"{"sub":"ada","exp":0}"#)),
        ("exp now", claims(&format!(r#"{{"sub":"ada","exp":{START}}}"#))),
        ("exp past", claims(&format!(r#"{{"sub":"ada","exp":{}}}"#, START - 1))),
        ("exp a fraction ago", claims(&format!(r#"{{"sub":"ada","exp":{START}.5}}"#))),
        ("exp minus huge", claims(r#"{"sub":"ada","exp":-1e300}"#)),
        ("exp beyond numbers", claims(r#"{"sub":"ada","exp":1e999}"#)),
        ("exp huge", claims(r#"{"sub":"ada","exp":1e300}"#)),
        ("exp beyond the year 9999", claims(r#"{"sub":"ada","exp":253402300800}"#)),
        ("exp in 64 bits", claims(r#"{"sub":"ada","exp":18446744073709551615}"#)),
        ("exp beyond 64 bits", claims(r#"{"sub":"ada","exp":99999999999999999999999}"#)),
        ("exp not a number", claims(r#"{"sub":"ada","exp":NaN}"#)),
        ("nbf ahead", claims(&format!(r#"{{"sub":"ada","exp":4000000000,"nbf":{}}}"#, START + 60))),
        ("nbf text", claims(r#"{"sub":"ada","exp":4000000000,"nbf":"99999999999"}"#)),
        ("nbf huge", claims(r#"{"sub":"ada","exp":4000000000,"nbf":1e300}"#)),
    ]);
}

#[test]
fn no_member_has_two_values() {
    let claims = |json: &str| signed(HS256, json);
    assert_refused(&[
        ("two users", claims(r#"{"sub":"ada","sub":"root","exp":4000000000}"#)),
        ("two users apart", claims(r#"{"sub":"root","exp":4000000000,"sub":"ada"}"#)),
        ("one user twice", claims(r#"{"sub":"ada","sub":"ada","exp":4000000000}"#)),
        ("two spellings", claims(r#"{"sub":"ada","\u0073ub":"root","exp":4000000000}"#)),
        ("two ends", claims(r#"{"sub":"ada","exp":1,"exp":4000000000}"#)),
        ("two beginnings", claims(r#"{"sub":"ada","exp":4000000000,"nbf":4000000000,"nbf":1}"#)),
        ("two algorithms", signed(r#"{"alg":"none","alg":"HS256"}"#, &payload())),
        ("two algorithms swapped", signed(r#"{"alg":"HS256","alg":"none"}"#, &payload())),
        ("two demands", signed(r#"{"alg":"HS256","crit":["x"],"crit":null}"#, &payload())),
    ]);
}

#[test]
fn the_user_is_a_text_or_a_whole_number() {
    let user = |json: &str| signed(HS256, &format!(r#"{{"sub":{json},"exp":4000000000}}"#));
    assert_refused(&[
        ("null", user("null")),
        ("empty", user("\"\"")),
        ("true", user("true")),
        ("a list", user("[\"ada\"]")),
        ("an object", user("{\"id\":\"ada\"}")),
        ("a fraction", user("1.5")),
        ("missing", signed(HS256, r#"{"exp":4000000000}"#)),
        ("payload a list", signed(HS256, "[1]")),
        ("payload a text", signed(HS256, "\"ada\"")),
        ("payload null", signed(HS256, "null")),
        ("payload empty", signed(HS256, "")),
        ("payload no JSON", signed(HS256, "sub=ada")),
        ("payload cut off", signed(HS256, r#"{"sub":"ada","exp":4000000000"#)),
        ("payload with a tail", signed(HS256, r#"{"sub":"ada","exp":4000000000}{}"#)),
        ("payload not UTF-8", {
            let message =
                format!("{}.{}", encode(HS256), encode(b"{\"sub\":\"a\xff\",\"exp\":4000000000}"));
            let key = EncodingKey::from_secret(SESSION_SECRET.as_bytes());
            let signature =
                jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
            format!("{message}.{signature}")
        }),
    ]);
}

#[test]
fn a_token_that_was_touched_is_worthless() {
    let good = signed(HS256, &payload());
    let parts: Vec<&str> = good.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let other = token_of("bob");
    let standard = |part: &str| STANDARD.encode(URL_SAFE_NO_PAD.decode(part).unwrap());
    let json_form = json!({ "payload": body, "protected": head, "signature": signature });
    assert_refused(&[
        ("a swapped payload", format!("{head}.{}.{signature}", other.split('.').nth(1).unwrap())),
        ("a payload of root", {
            format!("{head}.{}.{signature}", encode(payload().replace("ada", "root")))
        }),
        ("no signature", format!("{head}.{body}.")),
        ("a cut signature", format!("{head}.{body}.{}", signature.get(..20).unwrap())),
        ("a longer signature", format!("{good}AA")),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{good}.x")),
        ("five parts", format!("{good}.x.y")),
        ("an empty head", format!(".{body}.{signature}")),
        ("padding", format!("{good}=")),
        (
            "standard alphabet",
            format!("{}.{}.{}", standard(head), standard(body), standard(signature)),
        ),
        ("a space inside", format!("{head}. {body}.{signature}")),
        ("JSON form", encode(json_form.to_string())),
        (
            "an encrypted form",
            format!(
                "{}.{body}.{body}.{body}.{signature}",
                encode(r#"{"alg":"dir","enc":"A256GCM"}"#)
            ),
        ),
        ("compressed", signed(r#"{"alg":"HS256","zip":"DEF"}"#, "\x78\x01\x4b\x04")),
        ("Bearer", format!("Bearer {good}")),
        ("two words in front", format!("Bearer token {head}.{body}.")),
        ("a cookie's signature for the token's", format!("s:{head}.{body}.{signature}AA")),
    ]);
}

#[test]
fn issuer_and_audience_are_checked_where_configured() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app)
        .session("issuer = \"https://issuer.test\"\naudience = [\"web\", \"admin\"]")
        .token("")
        .clock(&clock)
        .start();
    let token = |issuer: Value, audience: Value| {
        Claims::of("ada").with("iss", issuer).with("aud", audience).token()
    };
    let mut cases = vec![
        (200, token("https://issuer.test".into(), "web".into())),
        (200, token("https://issuer.test".into(), json!(["mobile", "admin"]))),
    ];
    for (issuer, audience) in [
        (json!("https://issuer.test/"), json!("web")),
        (json!("https://evil.test"), json!("web")),
        (json!(["https://issuer.test"]), json!("web")),
        (Value::Null, json!("web")),
        (json!("https://issuer.test"), json!("webs")),
        (json!("https://issuer.test"), json!("Web")),
        (json!("https://issuer.test"), json!([])),
        (json!("https://issuer.test"), json!({ "web": 1 })),
        (json!("https://issuer.test"), Value::Null),
        (json!("https://issuer.test"), json!("web admin")),
    ] {
        cases.push((401, token(issuer, audience)));
    }
    cases.push((401, Claims::of("ada").token()));
    for (status, token) in cases {
        assert_eq!(outcome(&app, &gateway, &token).0, status, "{token}");
    }
}

#[test]
fn a_vended_token_is_not_a_session_nor_a_session_a_vended_token() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("").clock(&clock).start();
    let vended = gateway.token("ada").auth_token();
    assert_eq!(outcome(&app, &gateway, &vended), (401, None));
    let bearer = get("/x").header("Authorization", &format!("Bearer {}", token_of("ada")));
    app.forget();
    gateway.ask(&bearer);
    assert_eq!(app.only().one("x-auth-user"), None, "sessions live in the cookie only");
}
