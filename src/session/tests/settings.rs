//! Settings a `[session]` table may hold, and the messages about wrong ones.

use serde_json::json;

use super::*;

fn problems(config: &Json) -> Vec<String> {
    match compile(config) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|p| format!("{}: {}", p.path, p.text)).collect(),
    }
}

fn only_problem(config: &Json) -> String {
    let found = problems(config);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().unwrap()
}

#[test]
fn an_unknown_kind_is_one_problem_that_lists_the_kinds() {
    let problem = only_problem(&json!({ "kind": "next-auht", "secret": "s", "user_id": "/sub" }));
    assert!(problem.starts_with("session.kind: found \"next-auht\""), "{problem}");
    assert!(problem.contains("\"yar\"") && problem.ends_with("did you mean \"next-auth\"?"));
}

#[test]
fn two_ways_to_give_a_secret_are_refused() {
    let problem =
        only_problem(&json!({ "kind": "next-auth", "secret": "one", "secrets": ["two"] }));
    assert!(problem.contains("`secret` and `secrets` are both set"), "{problem}");
    let problem = only_problem(
        &json!({ "kind": "jwt", "cookie": "t", "secret": "one", "jwks_url": "https://x/" }),
    );
    assert!(problem.contains("`secret`, `jwks_url` are all set"), "{problem}");
}

#[test]
fn a_missing_secret_cookie_or_user_id_says_what_to_write() {
    let found = problems(&json!({ "kind": "iron-session" })).join("\n");
    assert!(found.contains("`cookie` is missing"), "{found}");
    assert!(found.contains("`secret` is missing; write secret = \"env:NAME\""), "{found}");
    let problem = only_problem(&json!({ "kind": "flask", "secrets": [] }));
    assert!(problem.contains("at least one"), "{problem}");
    let problem = only_problem(&json!({ "kind": "starlette", "secret": "s" }));
    assert!(problem.contains("`user_id` is missing"), "{problem}");
}

#[test]
fn unknown_keys_are_reported_in_the_table_and_in_its_store() {
    let problem = only_problem(&json!({ "kind": "flask", "secret": "s", "maxage": 5 }));
    assert!(problem.contains("did you mean `max_age`?"), "{problem}");
    let store = json!({ "engine": "redis", "prefx": "s:" });
    let problem =
        only_problem(&json!({ "kind": "express-session", "secret": "s", "store": store }));
    assert!(problem.starts_with("session.store.prefx: unknown key"), "{problem}");
}

#[test]
fn sessions_that_live_in_a_store_need_one_of_the_right_engine() {
    let problem = only_problem(&json!({ "kind": "express-session", "secret": "s" }));
    assert!(problem.contains("[session.store] is missing"), "{problem}");
    let config =
        json!({ "kind": "express-session", "secret": "s", "store": { "engine": "reddis" } });
    assert!(only_problem(&config).contains("did you mean \"redis\"?"));
    let problem = only_problem(&json!({ "kind": "django", "secret": "s", "backend": "file" }));
    assert!(problem.starts_with("session.backend: found \"file\""), "{problem}");
}

#[test]
fn a_real_store_has_an_address() {
    let text = "kind = \"express-session\"\n[store]\nengine = \"redis\"\n";
    let problems = Problems::default();
    let node = Node::parse(text, &problems);
    let secrets = Secrets::of_process("/nonexistent");
    let mut table = At::new(&node, "session", &problems, &secrets).table().unwrap();
    assert!(SessionReader::from_table(&mut table).is_none());
    let found = problems.into_sorted();
    assert!(found.iter().any(|p| p.path == "session.store" && p.text.contains("env:REDIS_URL")));
}

#[test]
fn names_of_tables_and_columns_are_identifiers_and_nothing_else() {
    let lookup = |table: &str| json!({ "kind": "lookup", "cookie": "c", "store": { "engine": "sql", "table": table } });
    assert_eq!(problems(&lookup("auth.user_session")), [""; 0]);
    for table in ["", "a b", "a;drop table b", "a\"b", "1a", "a.b.c", "a--"] {
        assert!(only_problem(&lookup(table)).starts_with("session.store.table"), "{table}");
    }
}

#[test]
fn spans_are_seconds_or_durations_with_a_unit() {
    for max_age in [json!(604_800), json!("7d"), json!("1 week")] {
        assert_eq!(
            problems(&json!({ "kind": "flask", "secret": "s", "max_age": max_age })),
            [""; 0]
        );
    }
    let problem = only_problem(&json!({ "kind": "flask", "secret": "s", "max_age": "7" }));
    assert!(problem.starts_with("session.max_age"), "{problem}");
}

#[test]
fn an_algorithm_that_does_not_fit_the_key_is_a_problem_at_the_start() {
    let config = json!({ "kind": "jwt", "cookie": "t", "secret": "s", "algorithms": ["RS256"] });
    assert!(only_problem(&config).contains("none of these algorithms fits"));
    let config = json!({ "kind": "jwt", "cookie": "t", "secret": "s", "algorithms": ["none"] });
    assert!(only_problem(&config).contains("expected HS256"));
}

#[test]
fn an_unsupported_store_points_to_the_app() {
    for engine in ["mongodb", "MongoDB", "memcached", "dynamodb"] {
        for kind in ["express-session", "lookup", "better-auth"] {
            let config = json!({
                "kind": kind, "cookie": "sid", "secret": "s", "user_id": "/id",
                "store": { "engine": engine },
            });
            let found = problems(&config).join("\n");
            let expected =
                format!("session.store.engine: found {engine:?}, a store that is not supported");
            assert!(found.contains(&expected), "{kind}: {found}");
            assert!(found.contains("kind = \"introspect\""), "{kind}: {found}");
        }
    }
}

#[test]
fn problems_never_repeat_key_material() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n-----END PRIVATE KEY-----";
    for config in [
        json!({ "kind": "jwt", "cookie": "t", "public_key": key }),
        json!({ "kind": "jwt", "cookie": "t", "jwks": key }),
        json!({ "kind": "laravel", "driver": "cookie", "secret": key }),
        json!({ "kind": "fastify-secure-session", "user_id": "/u", "keys": [key] }),
    ] {
        let problem = only_problem(&config);
        assert!(!problem.contains("MIGHAgEAMBMG"), "{problem}");
    }
}

/// Every distinct `[session]` table of the vectors.
fn tables() -> Vec<Json> {
    let mut tables: Vec<Json> = Vec::new();
    for vector in kinds().chain(["own"]).flat_map(vectors) {
        let table = vector["config"].clone();
        // Stretching a secret takes seconds.
        let slow = table["kind"] == "fastify-secure-session" && table.get("keys").is_none();
        if !slow && !tables.contains(&table) {
            tables.push(table);
        }
    }
    tables
}

#[test]
fn a_misspelt_key_is_named_even_where_the_right_one_is_needed() {
    for table in tables() {
        for key in table.as_object().unwrap().keys().filter(|key| *key != "kind") {
            let mut misspelt = table.clone();
            let value = misspelt.as_object_mut().unwrap().remove(key).unwrap();
            let slip = format!("{}{key}", key.chars().next().unwrap());
            misspelt[&slip] = value;
            let found = problems(&misspelt).join("\n");
            let expected = format!("session.{slip}: unknown key, did you mean `{key}`?");
            assert!(found.contains(&expected), "{key} of {table}\n{found}");
        }
    }
}

#[test]
fn a_wrong_value_makes_no_other_key_unknown() {
    for table in tables() {
        for key in table.as_object().unwrap().keys().filter(|key| *key != "kind") {
            let mut wrong = table.clone();
            wrong[key] = json!([{ "not": ["this"] }]);
            let found = problems(&wrong);
            assert!(!found.is_empty(), "{key} of {table}");
            assert!(
                !found.iter().any(|p| p.contains("unknown key")),
                "{key} of {table}\n{found:#?}"
            );
        }
    }
}
