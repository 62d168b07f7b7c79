//! `/status`, `/events` and the dashboard of the admin listener: what they say, to how many,
//! and what they never say.

use serde_json::Value;

use crate::support::running::{Running, file_of};
use crate::support::{
    App, Claims, Conn, Gateway, SESSION_SECRET, START, Setup, assert_no_secret, clock, cookie_of,
    eventually, get, replace,
};

/// Head and body of an answer of the admin listener.
fn asked(gateway: &Gateway, path: &str) -> (String, String) {
    let answer = gateway.admin(&format!("GET {path} HTTP/1.1"), "");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn status_of(gateway: &Gateway) -> Value {
    serde_json::from_str(&asked(gateway, "/status").1).unwrap()
}

fn find<'v>(list: &'v Value, key: &str, value: &str) -> &'v Value {
    let found = list.as_array().unwrap().iter().find(|it| it[key] == value);
    found.unwrap_or_else(|| panic!("no {key} {value} in {list}"))
}

#[test]
fn the_status_answers_what_an_operator_asks() {
    let app = App::start();
    let gateway = Setup::new(&app).token("limit = \"2/minute\"").clock(&clock()).start();
    for _ in 0..3 {
        gateway.token("ada");
    }
    let late = Claims::of("ben").with("exp", START - 600).cookie();
    let expired = get("/api/get-auth-token").header("Cookie", &late);
    assert_eq!(gateway.ask(&expired).status, 401);
    assert_eq!(gateway.ask(&get("/page").header("Cookie", &cookie_of("ada"))).status, 200);
    eventually("the counts", || status_of(&gateway)["requests"]["last_hour"] == 5);
    let status = status_of(&gateway);
    assert_eq!((&status["version"], &status["ready"]["ready"]), (&1.into(), &true.into()));
    assert_eq!(status["program"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["requests"]["refused_last_hour"], 2);
    let refusals = &status["refusals"];
    let limited = find(refusals, "code", "too_many_requests");
    assert_eq!((&limited["route"], &limited["count"]), (&"token.portive".into(), &1.into()));
    let expired = find(refusals, "reason", "expired");
    assert!(expired["command"].as_str().unwrap().starts_with("portcullis session --cookie "));
    assert_eq!(find(&status["limits"], "route", "token.portive")["refused_last_hour"], 1);
    let token = find(&status["tokens"], "token", "portive");
    assert_eq!((&token["minted_last_hour"], &token["cached_last_hour"]), (&1.into(), &1.into()));
    assert_eq!(token["keys"][0]["key"], "keyOne");
    assert!(token["keys"][0]["in_force_since"].is_u64() && token["vendor"].is_null());
    assert_eq!(status["cache"]["ratio_last_hour"], 0.5);
    assert_eq!(status["upstreams"][0]["state"], "up");
    assert_eq!(status["sessions"]["verified"], 1);
    assert_eq!(status["sessions"]["remembered"], 3);
    assert_eq!(
        (&status["sessions"]["remembered_ratio"], &status["shared"]),
        (&0.75.into(), &Value::Null)
    );
    assert_eq!(status["latency"]["forwarded"]["count"], 1);
    let route = find(&status["history"]["routes"], "route", "token.portive");
    let sum =
        |key: &str| route[key].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("requests"), sum("refused"), sum("limited")), (4, 2, 1));
}

#[test]
fn the_status_is_as_its_schema_says_and_names_no_user_and_no_secret() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let schema: Value = serde_json::from_str(&asked(&gateway, "/status.schema.json").1).unwrap();
    assert!(jsonschema::draft202012::meta::validate(&schema).is_ok());
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let valid = |when: &str| {
        let (head, body) = asked(&gateway, "/status");
        assert!(head.contains("cache-control: no-store"), "{head}");
        let errors: Vec<String> = validator
            .iter_errors(&serde_json::from_str(&body).unwrap())
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{when}: {errors:?}");
        assert_no_secret("the status", body.as_bytes());
        // No part of a commit or another number in hexadecimal.
        assert!(!body.contains("lovelace"), "{body}");
    };
    valid("before any request");
    gateway.token("lovelace");
    gateway.ask(&get("/page/lovelace").header("Cookie", "session=x"));
    gateway.ask(&get("/api/get-auth-token"));
    valid("after some");
}

#[test]
fn a_refused_reload_is_in_the_status_with_its_reasons() {
    let app = App::start();
    let setup = Setup::new(&app).server("watch = \"50ms\"");
    let running = Running::start(&setup);
    let last = || -> Value {
        let status: Value = serde_json::from_str(&running.admin("/status").1).unwrap();
        status["reloads"]["last"].clone()
    };
    assert!(last().is_null());
    replace(&running.file, file_of(&setup).replace("30/minute", "often"));
    eventually("the refusal", || last()["result"] == "refused");
    let problem = last()["problems"][0].as_str().unwrap().to_owned();
    assert!(problem.contains("token.portive.limit: "), "{problem}");
    replace(&running.file, file_of(&setup));
    eventually("the reload", || last()["result"] == "ok");
    assert_eq!(last()["problems"], serde_json::json!([]));
    assert!(!running.admin("/status").1.contains(SESSION_SECRET));
}

#[test]
fn the_annotated_example_lists_every_path_of_the_listener() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let said = asked(&gateway, "/nothing-here").1;
    let paths = |text: &str| {
        let words = text.split([' ', ',', ';', '\n']).filter(|word| word.starts_with('/'));
        words.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    let example = include_str!("../../gateway.toml");
    let line = example.lines().find(|line| line.starts_with("# admin = ")).unwrap();
    assert_eq!(paths(line), paths(&said));
    assert!(paths(line).len() >= 8, "{line}");
}

#[test]
fn events_tell_of_tokens_and_refusals_as_they_happen() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut watcher = watch(&gateway);
    gateway.token("ada");
    let issued = next(&mut watcher);
    assert_eq!((&issued["kind"], &issued["route"]), (&"issued".into(), &"token.portive".into()));
    assert!(issued["user"].is_string() && issued["user"] != "ada", "{issued}");
    gateway.ask(&get("/api/get-auth-token"));
    let refused = next(&mut watcher);
    assert_eq!((&refused["kind"], &refused["code"]), (&"refused".into(), &"not_signed_in".into()));
}

/// A connection to `/events`, its head and first lines read.
fn watch(gateway: &Gateway) -> Conn {
    let mut conn = Conn::open(&gateway.admin);
    conn.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = conn.next_head().unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(conn.chunk(), b"retry: 3000\n\n");
    conn
}

fn next(watcher: &mut Conn) -> Value {
    let text = String::from_utf8(watcher.chunk()).unwrap();
    assert_no_secret("an event", text.as_bytes());
    serde_json::from_str(text.strip_prefix("data: ").unwrap().trim_end()).unwrap()
}

#[test]
fn watchers_are_few_and_scrapers_keep_their_places() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let watchers: Vec<Conn> = (0..8).map(|_| watch(&gateway)).collect();
    assert!(asked(&gateway, "/events").0.starts_with("http/1.1 503"));
    assert!(asked(&gateway, "/healthz").0.starts_with("http/1.1 200"));
    drop(watchers);
    let head = gateway.admin("HEAD /events HTTP/1.1", "");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let elsewhere = gateway.admin("GET /events HTTP/1.1", "Host: evil.test\r\n\r\n");
    assert!(!elsewhere.starts_with("HTTP/1.1 200"), "{elsewhere}");
}

#[test]
fn the_dashboard_is_one_page_that_loads_nothing_from_elsewhere() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for (path, kind) in [
        ("/", "text/html"),
        ("/dashboard.css", "text/css"),
        ("/dashboard.js", "text/javascript"),
        ("/dashboard.svg", "image/svg+xml"),
    ] {
        let (head, body) = asked(&gateway, path);
        assert!(head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        assert!(head.contains("content-security-policy: default-src 'none'; connect-src 'self'"));
        for foreign in ["https://", "src=\"//", "url(", "@import", "<style", "onclick"] {
            assert!(!body.contains(foreign), "{path} has {foreign}");
        }
        let http = body.matches("http://").count() - body.matches("http://www.w3.org/").count();
        assert_eq!(http, 0, "{path}");
    }
}
