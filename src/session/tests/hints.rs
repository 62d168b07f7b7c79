//! Hints to the operator about near misses.

use serde_json::json;

use super::*;

fn hints(config: &Json, header: &str) -> String {
    let source = compile(config).ok().unwrap();
    let cookies = Cookies::new(header.as_bytes());
    let rejected = source.check(cookies, 1_800_000_000).unwrap_err();
    source.hints(cookies, &rejected).join("\n")
}

#[test]
fn names_that_nearly_match_are_pointed_out() {
    let config = json!({ "kind": "jwt", "cookie": "token", "secret": "s" });
    for (header, hint) in [
        ("TOKEN=x", "differs only in upper and lower case"),
        ("__Secure-token=x", "differs only in its prefix"),
        ("__Host-token=x", "write cookie = \"__Host-token\""),
        ("tokne=x", "did you mean cookie `tokne`?"),
        ("theme=dark", "cookies that were sent: \"theme\""),
        ("", "no cookies at all"),
        ("connect.sid=s%3Aabc.def", "is what kind = \"express-session\" reads"),
        ("auth=SFMyNTY.g3QAAAAA.abc", "looks like a Phoenix (Plug) session"),
        ("tokens=Fe26.2**a", "looks like an iron seal"),
    ] {
        let found = hints(&config, header);
        assert!(found.contains(hint), "{header}: {found}");
    }
}

#[test]
fn a_name_is_shown_as_harmless_as_it_can_be() {
    let config = json!({ "kind": "jwt", "cookie": "token", "secret": "s" });
    let long = format!("shop.{}session_data", "x".repeat(200));
    for (name, hint) in [
        ("shop.session_data.1", "cookie `shop.session_data.1` is the app's cache"),
        (&long, "cookie with a name of 217 characters is the app's cache"),
        (
            "sb-\u{1b}[31m-auth-token",
            "cookie `sb-\\u{1b}[31m-auth-token` is what kind = \"supabase\"",
        ),
        ("shop.session_data-eyJh", "cookies that were sent: \"shop.session_data-eyJh\""),
    ] {
        let found = hints(&config, &format!("{name}=x"));
        assert!(found.contains(hint), "{name}: {found}");
        assert!(!found.contains('\u{1b}'));
    }
}

#[test]
fn a_session_without_a_user_names_its_members() {
    let vectors = vectors("cookie-session");
    let vector = vectors.iter().find(|v| v["id"] == "cookie-session/logged-out").unwrap();
    let source = compile(&vector["config"]).ok().unwrap();
    let header = cookie_header(vector);
    let refused = source.check(Cookies::new(&header), 0).unwrap_err();
    assert_eq!(
        refused.detail,
        "the session is valid, but has no user at `/userId`; it has \"views\""
    );
}

#[test]
fn a_missing_first_chunk_is_distinguished_from_a_missing_cookie() {
    let config = json!({ "kind": "next-auth", "secret": "s" });
    let found = hints(&config, "next-auth.session-token.1=abc");
    assert!(found.contains("the first part (0) is missing"), "{found}");
}

#[test]
fn a_token_of_the_neighbouring_version_is_recognised() {
    let vector = &vectors("authjs")[0];
    let header = String::from_utf8(cookie_header(vector)).unwrap();
    let header = header.replace("authjs.", "next-auth.");
    let found = hints(&json!({ "kind": "next-auth", "secret": "s" }), &header);
    assert!(found.contains("an encrypted token of Auth.js 5: kind = \"authjs\""), "{found}");
}

#[test]
fn a_wrong_secret_and_a_cookie_sent_twice_are_said() {
    let vector = &vectors("next-auth")[0];
    let header = String::from_utf8(cookie_header(vector)).unwrap();
    let found = hints(&json!({ "kind": "next-auth", "secret": "s" }), &header);
    assert!(found.contains("the secret is probably not the one the app uses"), "{found}");
    let twice = format!("{header}; next-auth.session-token=x");
    let found = hints(&json!({ "kind": "next-auth", "secret": "s" }), &twice);
    assert!(found.contains("was sent more than once"), "{found}");
}

/// The hint for the first vector of a kind when another kind is set.
fn mistaken(sent: &str, config: &Json) -> String {
    let header = cookie_header(&vectors(sent)[0]);
    let name = vectors(sent)[0]["config"]["cookie"].as_str().unwrap_or("session").to_owned();
    let mut config = config.clone();
    config["cookie"] = name.into();
    hints(&config, std::str::from_utf8(&header).unwrap())
}

#[test]
fn a_cookie_of_another_kind_is_recognised() {
    let flask = json!({ "kind": "flask", "secret": "s" });
    let jwt = json!({ "kind": "jwt", "secret": "s" });
    for (sent, config, hint) in [
        ("django", &flask, "a Django signed cookie: kind = \"django\""),
        ("starlette", &flask, "or the app is one of Starlette (FastAPI)"),
        ("starlette", &jwt, "a value signed by itsdangerous (Flask, Starlette)"),
        ("express-session", &flask, "a signed express-session id: kind = \"express-session\""),
        ("react-router", &flask, "React Router or Remix: kind = \"react-router\""),
        ("fastify-secure-session", &flask, "kind = \"fastify-secure-session\""),
        ("cookie-session", &flask, "JSON in base64"),
        ("koa-session", &flask, "kind = \"koa-session\""),
        ("rails", &jwt, "an encrypted Rails cookie: kind = \"rails\""),
        ("laravel", &jwt, "a value encrypted by Laravel: kind = \"laravel\""),
        ("iron-session", &jwt, "an iron-session seal: kind = \"iron-session\""),
        ("yar", &jwt, "an iron seal of h3 or yar"),
        ("plug", &jwt, "a Phoenix (Plug) session: kind = \"plug\""),
        ("firebase", &flask, "a Firebase session cookie: kind = \"firebase\""),
        ("jwt", &flask, "a signed token (JWT): kind = \"jwt\""),
    ] {
        let found = mistaken(sent, config);
        assert!(found.contains(hint), "{sent}: {found}");
    }
}

#[test]
fn a_wrong_secret_is_never_taken_for_another_kind() {
    for kind in kinds() {
        let vectors = vectors(kind);
        let wrong = vectors.iter().filter(|vector| {
            let id = vector["id"].as_str().unwrap();
            id.ends_with("~wrong-secret") || id.ends_with("attacker-key")
        });
        for vector in wrong {
            let found = match compile(&vector["config"]) {
                Ok(source) => {
                    let header = cookie_header(vector);
                    let refused = source.check(Cookies::new(&header), 1_800_000_000).unwrap_err();
                    source.hints(Cookies::new(&header), &refused).join("\n")
                }
                Err(problems) => panic!("{kind}: {problems:?}"),
            };
            assert!(found.contains("is probably not the one the app uses"), "{kind}: {found}");
        }
    }
}

#[test]
fn a_right_session_under_another_name_and_a_missing_part_are_pointed_out() {
    let vector = &vectors("flask")[0];
    let header = String::from_utf8(cookie_header(vector)).unwrap();
    let config = json!({ "kind": "flask", "cookie": "my_app", "secret": "s" });
    let found = hints(&config, &header);
    assert!(found.contains("looks like a Flask session; write cookie = \"session\""), "{found}");
    let config = json!({ "kind": "next-auth", "secret": "s" });
    let parts = "next-auth.session-token.0=a; next-auth.session-token.2=c";
    let found = hints(&config, parts);
    assert!(found.contains("part 1 (`next-auth.session-token.1`) is missing"), "{found}");
}

#[test]
fn a_missing_row_may_be_in_the_other_store() {
    let vectors = vectors("express-session");
    let vector = vectors.iter().find(|v| v["id"] == "express-session/store-miss").unwrap();
    let source = compile(&vector["config"]).ok().unwrap();
    let header = cookie_header(vector);
    let cookies = Cookies::new(&header);
    let refused = verdict(&source, vector, cookies, vector["now"].as_u64().unwrap()).unwrap_err();
    let found = source.hints(cookies, &refused).join("\n");
    assert!(found.contains("compare the prefix"), "{found}");
}

#[test]
fn forms_of_one_kind_are_distinguished() {
    let told = |id: &str, change: &[(&str, Json)]| {
        let kind = id.split('/').next().unwrap();
        let vectors = vectors(kind);
        let vector = vectors.iter().find(|v| v["id"] == id).unwrap();
        let mut config = vector["config"].clone();
        for (key, value) in change {
            config[*key] = value.clone();
        }
        config.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let source = compile(&config).ok().unwrap();
        let header = cookie_header(vector);
        let cookies = Cookies::new(&header);
        let refused = source.check(cookies, 1_800_000_000).unwrap_err();
        [vec![refused.detail.to_string()], source.hints(cookies, &refused)].concat().join("\n")
    };
    let store = json!({ "engine": "sql" });
    for (id, change, hint) in [
        ("plug/encrypted", vec![("encryption_salt", Json::Null)], "write the `encryption_salt`"),
        ("plug/signed-int", vec![("encryption_salt", json!("x"))], "leave out `encryption_salt`"),
        (
            "django/db",
            vec![("backend", json!("signed_cookies")), ("store", Json::Null)],
            "write it as `backend`",
        ),
        (
            "django/signed-cookies",
            vec![("backend", json!("db")), ("store", store)],
            "backend = \"signed_cookies\"",
        ),
        ("rails/signed-user-id", vec![("jar", Json::Null)], "jar = \"signed\" is missing"),
        ("rails/session-user-id", vec![("jar", json!("signed"))], "leave out `jar`"),
        (
            "rails/session-user-id~wrong-secret",
            vec![("key_digest", Json::Null)],
            "match the secret",
        ),
        ("laravel/cookie-driver-gcm", vec![("cipher", Json::Null)], "cipher = \"aes-256-gcm\""),
        ("react-router/unsigned", vec![], "give the app's session storage `secrets`"),
        ("better-auth/cache-without-token", vec![], "is the app's cache of a session"),
    ] {
        let found = told(id, &change);
        assert!(found.contains(hint), "{id}: {found}");
        assert!(!found.contains("damaged") && !found.contains("cookie-session"), "{id}: {found}");
    }
}
