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
    let source = vectors::compile(&config).unwrap();
    let cookies = Cookies::new(b"sid=0123456789abcdef");
    let Ok(Check::Ask(question)) = source.look(cookies, 0) else { panic!("nothing is asked") };
    let answer = StoreAnswer::App { body: br#"{"id":7,"name":"Ada"}"#.to_vec() };
    let refused = source.answered(&question, Some(answer), 0).err().unwrap();
    assert!(refused.detail.contains("perhaps user_id = \"/id\""), "{}", refused.detail);
}
