//! `[session.store.fallback]`: which store is asked, when, and by whose settings.

use serde_json::{Value as Json, json};

use super::*;
use vectors::{compile, verdict};

const NOW: u64 = 1_800_000_000;
const COOKIE: &[u8] = b"sid=0123456789abcdef";

/// A Redis of JSON before a table, whose user stands elsewhere.
fn two_stores() -> SessionReader {
    let settings = json!({
        "kind": "lookup", "cookie": "sid", "user_id": "/user/id",
        "store": {
            "engine": "redis", "prefix": "s:",
            "fallback": {
                "engine": "sql", "table": "sessions", "session_column": "data",
                "expires_column": "ends", "require": { "revoked_at": false },
            },
        },
    });
    compile(&settings).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn user(store: &Json) -> Result<String, Reason> {
    let found = verdict(&two_stores(), store, Cookies::new(COOKIE), NOW);
    found.map(|identity| identity.user_id().to_owned()).map_err(|rejected| rejected.reason)
}

fn key() -> Json {
    json!({ "key": "s:0123456789abcdef", "value": r#"{"user":{"id":"from-redis"}}"#, "ttl": 60 })
}

fn row(revoked_at: &Json) -> Json {
    json!({ "table": "sessions", "row": {
        "id": "0123456789abcdef", "data": r#"{"user":{"id":"from-sql"}}"#, "ends": NOW + 60,
        "revoked_at": revoked_at,
    } })
}

#[test]
fn the_fallback_is_asked_for_what_the_first_store_does_not_have() {
    assert_eq!(user(&json!([key(), row(&Json::Null)])).unwrap(), "from-redis");
    assert_eq!(user(&json!([row(&Json::Null)])).unwrap(), "from-sql");
    assert_eq!(user(&json!([])), Err(Reason::StoreMiss));
}

#[test]
fn each_store_has_its_own_rules() {
    assert_eq!(user(&json!([row(&json!("2026-01-01 00:00:00"))])), Err(Reason::SignedOut));
    assert_eq!(user(&json!([key(), row(&json!("2026-01-01 00:00:00"))])).unwrap(), "from-redis");
}

#[test]
fn an_unreadable_row_of_the_first_store_is_not_looked_for_elsewhere() {
    let broken = json!({ "key": "s:0123456789abcdef", "value": "not a session", "ttl": 60 });
    assert_eq!(user(&json!([broken, row(&Json::Null)])), Err(Reason::Malformed));
    let hash = json!({ "key": "s:0123456789abcdef", "hash": { "a": "b" }, "ttl": 60 });
    assert_eq!(user(&json!([hash, row(&Json::Null)])), Err(Reason::Malformed));
}

#[test]
fn a_miss_in_two_stores_says_so_and_the_handle_is_that_of_the_first() {
    let source = two_stores();
    let missed = verdict(&source, &json!([]), Cookies::new(COOKIE), NOW).unwrap_err();
    assert_eq!(missed.detail, "the session is in neither store: signed out, or expired");
    let handle = source.asked_handle(Cookies::new(COOKIE), NOW).unwrap();
    assert_eq!(handle, br#"Redis { key: "s:0123456789abcdef" }"#);
}

#[test]
fn the_user_may_stand_where_each_store_keeps_it() {
    let settings = json!({
        "kind": "lookup", "cookie": "sid",
        "store": {
            "engine": "redis", "prefix": "s:", "format": "text", "cache_seconds": 9,
            "fallback": { "engine": "sql", "user_column": "owner", "cache_seconds": 2 },
        },
    });
    let source = compile(&settings).ok().unwrap();
    let found = |store: Json| verdict(&source, &store, Cookies::new(COOKIE), NOW).unwrap();
    let text = json!([{ "key": "s:0123456789abcdef", "value": "u-1" }]);
    let row = json!([{ "table": "sessions", "row": { "id": "0123456789abcdef", "owner": 7 } }]);
    assert_eq!(found(text).user_id(), "u-1");
    assert_eq!(found(row).user_id(), "7");
    assert_eq!(source.cache_seconds(), Some(2), "the shorter of the two");
}

/// All that is wrong with the settings of a fallback.
fn problems(kind: &str, fallback: &Json) -> String {
    let mut settings = json!({
        "kind": kind, "cookie": "sid", "user_id": "/id",
        "store": { "engine": "redis", "prefix": "s:", "fallback": fallback },
    });
    if kind != "lookup" {
        settings["secret"] = json!("a-secret-of-the-app");
    }
    let problems = compile(&settings).err().unwrap_or_default();
    problems.iter().map(|it| format!("{}: {}\n", it.path, it.text)).collect()
}

#[test]
fn wrong_settings_of_a_fallback_are_reported_with_their_place() {
    let cases = [
        (json!({}), "session.store.fallback: `engine` is missing"),
        (json!({ "engine": "mysql" }), "session.store.fallback.engine: found \"mysql\""),
        (
            json!({ "engine": "sql", "tabel": "x" }),
            "session.store.fallback.tabel: unknown key, did you mean `table`?",
        ),
        (json!({ "engine": "sql", "table": "a-b" }), "session.store.fallback.table: found \"a-b\""),
        (
            json!({ "engine": "sql", "fallback": { "engine": "sql" } }),
            "session.store.fallback.fallback: a fallback cannot have a fallback",
        ),
    ];
    for (fallback, expected) in cases {
        let found = problems("express-session", &fallback);
        assert!(found.contains(expected), "{fallback}: {found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
    assert_eq!(problems("koa-session", &json!({ "engine": "redis" })), "");
    assert!(problems("koa-session", &json!({ "engine": "sql" })).contains("found \"sql\""));
    assert!(problems("lookup", &json!({ "engine": "redis" })).contains("`prefix` is missing"));
}

#[test]
fn a_fallback_of_django_or_laravel_is_what_its_engine_keeps() {
    let django = vectors("django");
    let of = |backend: &str| {
        let fits =
            |it: &&Json| it["config"]["backend"] == backend && it["expect"]["outcome"] == "accept";
        django.iter().find(fits).unwrap().clone()
    };
    let (cache, database) = (of("cache"), of("db"));
    for backend in ["cache", "cached_db"] {
        let mut config = database["config"].clone();
        config["backend"] = json!(backend);
        config["store"] = cache["config"]["store"].clone();
        config["store"]["fallback"] = database["config"]["store"].clone();
        let source = compile(&config).unwrap_or_else(|problems| panic!("{problems:?}"));
        let header = cookie_header(&database);
        let now = database["now"].as_u64().unwrap();
        let found = verdict(&source, &database["store"], Cookies::new(&header), now).unwrap();
        assert_eq!(database["expect"]["user_id"], found.user_id(), "{backend}");
    }
    let laravel = json!({
        "kind": "laravel", "secret": "base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "driver": "redis",
        "store": { "engine": "redis", "fallback": { "engine": "sql", "table": "old_sessions" } },
    });
    assert!(compile(&laravel).is_ok());
}
