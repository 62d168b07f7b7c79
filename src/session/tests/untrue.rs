//! Hints that are not given, because acting on them would be wrong or dangerous.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::wrong::said;
use super::*;
use crate::base::digest::Digest;

const ID: &str = "anon_session_secret_0123456789";

/// All that is said about a session in a table, or in Redis, whose user is not found.
fn of_stored(engine: &str, more: &Json, content: &Json) -> String {
    let mut store = json!({ "engine": engine, "prefix": "sess:" });
    let mut held =
        json!([{ "key": format!("sess:{ID}"), "value": content.to_string(), "ttl": 60 }]);
    if engine == "sql" {
        store = json!({ "engine": "sql" });
        held = json!([{ "table": "sessions", "row": content }]);
    }
    for (key, value) in more.as_object().unwrap() {
        store[key] = value.clone();
    }
    let config =
        json!({ "kind": "lookup", "cookie": "sid", "user_id": "/nowhere", "store": store });
    said(&config, &held, format!("sid={ID}").as_bytes(), 1_800_000_000)
}

#[test]
fn no_hint_offers_the_sessions_secret_as_the_user() {
    let none = json!({});
    let token = json!({ "id_column": "token" });
    let uid = json!({ "id_column": "uid" });
    for (engine, more, content, expected) in [
        ("sql", &none, json!({ "id": ID, "user_id": null }), None),
        ("sql", &token, json!({ "id": 7, "token": ID }), None),
        ("sql", &none, json!({ "id": ID, "user_id": 7 }), Some("/user_id")),
        ("sql", &uid, json!({ "uid": ID, "email": "a@example.com" }), Some("/email")),
        ("sql", &none, json!({ "id": ID, "sub": ID }), None),
        ("sql", &none, json!({ "id": ID, "data": r#"{"user":{"id":7}}"# }), Some("/data/user/id")),
        ("redis", &none, json!({ "id": ID, "csrf": "x" }), None),
        ("redis", &none, json!({ "id": "another-name-of-it", "csrf": "x" }), None),
        ("redis", &none, json!({ "user": ID }), None),
        ("redis", &none, json!({ "cart": { "id": 3 } }), None),
        (
            "redis",
            &none,
            json!({ "cart": { "id": 3 }, "account": { "id": 4 } }),
            Some("/account/id"),
        ),
        ("redis", &none, json!({ "id": ID, "currentUser": { "id": 4 } }), Some("/currentUser/id")),
    ] {
        let found = of_stored(engine, more, &content);
        assert!(found.starts_with("no_user: "), "{content}: {found}");
        let written = found.split_once("perhaps user_id = \"").map(|(_, rest)| rest);
        let written = written.and_then(|rest| Some(rest.split_once('"')?.0));
        assert_eq!(written, expected, "{content}: {found}");
        assert!(!found.contains(ID), "{found}");
    }
}

#[test]
fn an_id_that_the_app_itself_tells_may_be_the_users() {
    let config = json!({
        "kind": "introspect", "cookie": "sid", "user_id": "/sub", "url": "http://app/api/me",
    });
    let source = compile(&config).unwrap();
    let cookies = Cookies::new(b"sid=0123456789abcdef");
    let Ok(Check::Ask(question)) = source.look(cookies, 0) else { panic!("nothing is asked") };
    let answer = StoreAnswer::App { body: br#"{"id":7,"name":"Ada"}"#.to_vec() };
    let refused = source.answered(&question, Some(answer), 0).err().unwrap();
    assert!(refused.detail.contains("perhaps user_id = \"/id\""), "{}", refused.detail);
}

#[test]
fn no_hint_offers_another_cookie_of_the_library_as_the_session() {
    let secret = "s".repeat(32);
    let config = |kind: &str, more: &Json| {
        let mut config = json!({ "kind": kind, "secret": secret, "user_id": "/sub" });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    };
    let laravel =
        "eyJpdiI6IkFBQUFBQUFBQUFBQUFBQUFBQUFBQUE9PSIsInZhbHVlIjoiQSIsIm1hYyI6IkEifQ%3D%3D";
    let gcm = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.BBBB.CCCC";
    let cbc = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIiwia2lkIjoiYSJ9..AAAA.BBBB.CCCC";
    let signed = format!("abcdefghijklmnopqrstuvwxyz012345.{}%3D", "A".repeat(43));
    let rails = format!("eyJfcmFpbHMiOnt9fQ%3D%3D--{}", "a".repeat(40));
    let django = format!("abc:1uXyz1:{}", "A".repeat(43));
    let express = format!("s%3Aabc.{}", "A".repeat(43));
    let sql = json!({ "store": { "engine": "sql" } });
    let redis = json!({ "store": { "engine": "redis" } });
    let cached = json!({ "cookie_cache": {} });
    let none = json!({});
    let supabase = json!({ "project_ref": "abc" });
    let rails_named = json!({ "cookie": "_app_session" });
    let cookie = json!({ "cookie": "session" });
    let remember = "remember_web_59ba36addc2b2f9401580f014c7f58ea4e30989d";
    for (kind, more, name, value) in [
        ("laravel", &sql, "XSRF-TOKEN", laravel),
        ("laravel", &sql, remember, laravel),
        ("jwt", &cookie, "XSRF-TOKEN", laravel),
        ("supabase", &supabase, "sb-abc-auth-token-code-verifier", "base64-ImFiYyI"),
        ("authjs", &none, "__Secure-authjs.pkce.code_verifier", cbc),
        ("authjs", &none, "authjs.state", cbc),
        ("jwt", &cookie, "authjs.nonce", cbc),
        ("next-auth", &none, "__Secure-next-auth.pkce.code_verifier", gcm),
        ("next-auth", &none, "next-auth.state", gcm),
        ("auth0", &none, "__txn_abc", gcm),
        ("better-auth", &cached, "better-auth.state", &signed),
        ("better-auth", &cached, "__Secure-shop.dont_remember", &signed),
        ("rails", &rails_named, "remember_user_token", &rails),
        ("django", &sql, "messages", &django),
        ("flask", &none, "remember_token", &rails),
        ("express-session", &redis, "_csrf", &express),
    ] {
        let header = format!("{name}={value}");
        let found = said(&config(kind, more), &Json::Null, header.as_bytes(), 1_800_000_000);
        assert!(found.starts_with("missing: "), "{kind} {name}: {found}");
        assert!(found.contains("cookies that were sent: "), "{kind} {name}: {found}");
        for hint in ["write cookie", "kind = ", "looks like", "did you mean"] {
            assert!(!found.contains(hint), "{kind} {name}: {found}");
        }
    }
    // The session under another name is the only one that is named.
    let both = format!("XSRF-TOKEN={laravel}; my_app_session={laravel}");
    let found = said(&config("laravel", &sql), &Json::Null, both.as_bytes(), 1_800_000_000);
    assert!(found.contains("write cookie = \"my_app_session\""), "{found}");
    assert!(!found.contains("XSRF-TOKEN"), "{found}");
}

/// The same bytes for the same number, which look random.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let block = |number: usize| Digest::new(format!("{seed} {number}").as_bytes());
    let blocks = (0..length.div_ceil(32)).map(block);
    blocks.flat_map(|block| block.bytes().to_vec()).take(length).collect()
}

#[test]
fn a_cut_token_is_never_called_the_cookie_of_another_kind() {
    let url = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    for (kind, encryption, (iv, tag)) in
        [("next-auth", "A256GCM", (12, 16)), ("authjs", "A256CBC-HS512", (16, 32))]
    {
        let config = json!({ "kind": kind, "secret": "s".repeat(32) });
        let name = format!("{kind}.session-token");
        let said = |header: &str| said(&config, &Json::Null, header.as_bytes(), 1_800_000_000);
        for seed in 0..100 {
            let header = json!({ "alg": "dir", "enc": encryption }).to_string();
            let [iv, content, tag] = [iv, 8000, tag].map(|length| url(&noise(seed, length)));
            let token = format!("{}..{iv}.{content}.{tag}", url(header.as_bytes()));
            let parts: Vec<_> =
                token.as_bytes().chunks(3900).map(String::from_utf8_lossy).collect();
            let [first, second, third] = parts.as_slice() else { panic!("{}", parts.len()) };
            let last = said(&format!("{name}.0={first}; {name}.1={second}"));
            assert!(last.contains("damaged: cut, or not all of its parts"), "{kind}: {last}");
            let middle = said(&format!("{name}.0={first}; {name}.2={third}"));
            assert!(middle.contains(&format!("part 1 (`{name}.1`) is missing")), "{middle}");
            assert!(![&last, &middle].iter().any(|it| it.contains("kind = ")), "{last} {middle}");
        }
    }
}

#[test]
fn a_signed_value_is_not_mistaken_for_a_session_of_another_kind() {
    let mac = |value: &str, secret: &str| {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        STANDARD.encode(aws_lc_rs::hmac::sign(&key, value.as_bytes()))
    };
    let parser = |value: &str, secret: &str| {
        format!("s:{value}.{}", mac(value, secret).trim_end_matches('='))
    };
    let hono = |value: &str, secret: &str| format!("{value}.{}", mac(value, secret));
    let secret = "is probably not the one the app uses; or `format` does not name";
    for value in ["u1", "abcdefghijklmnopqrstuvwxyz012345", "j:{\"userId\":5}", "{\"id\":5}"] {
        for (format, cookie, hint) in [
            ("cookie-parser", parser(value, "x"), secret),
            ("hono", hono(value, "x"), secret),
            ("hono", parser(value, "x"), secret),
            ("cookie-parser", hono(value, "x"), secret),
            ("cookie-parser", hono(value, "s"), "with this secret: write format = \"hono\""),
            ("hono", parser(value, "s"), "with this secret: leave out `format`"),
        ] {
            let config = json!({ "kind": "signed-cookie", "cookie": "auth", "format": format, "secret": "s" });
            let found = said(&config, &Json::Null, format!("auth={cookie}").as_bytes(), 0);
            assert!(found.contains(hint), "{format} {value}: {found}");
            assert!(!found.contains("kind = "), "{format} {value}: {found}");
        }
        // Read as a plain value, a session's id would be a user.
        let flask = json!({ "kind": "flask", "cookie": "auth", "secret": "s" });
        for cookie in [parser(value, "x"), hono(value, "x")] {
            let found = said(&flask, &Json::Null, format!("auth={cookie}").as_bytes(), 0);
            let is_id = value.len() == 32;
            assert_eq!(found.contains("\"signed-cookie\""), !is_id, "{value}: {found}");
        }
    }
}
