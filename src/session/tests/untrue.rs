//! Hints that are not given, because acting on them would be wrong or dangerous.

use serde_json::json;

use super::wrong::said;
use super::*;

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
