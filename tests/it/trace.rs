//! One request goes by one id, and belongs to one trace, wherever it is spoken of.

use crate::support::{App, Setup, get, http2, post};

const CONTEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[test]
fn app_client_and_log_call_a_request_by_the_same_id() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let answer = gateway.ask(&get("/x"));
    let seen = app.only();
    let id = seen.one("x-request-id").unwrap();
    assert_eq!(id.len(), 32, "{id}");
    assert_eq!(answer.all("x-request-id"), [id.as_str()]);
    let line = gateway.logged(1);
    assert_eq!(line["request_id"], id.as_str());
    let context = seen.one("traceparent").unwrap();
    assert_eq!(line["trace_id"].as_str(), context.split('-').nth(1), "{context}");
}

#[test]
fn every_answer_of_the_gateway_has_its_own_id() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut ids = Vec::new();
    for request in [
        get("/api/get-auth-token").user("ada"),
        get("/api/get-auth-token"),
        get("/x").host("a b"),
        get("/a%00b"),
        get("/do/drop"),
        post("/x", b"abc"),
    ] {
        let answer = gateway.ask(&request);
        let [id] = answer.all("x-request-id")[..] else { panic!("{answer:?}") };
        assert!(!ids.contains(&id.to_owned()), "{id} twice");
        ids.push(id.to_owned());
    }
    gateway.logged(ids.len());
    let mut logged: Vec<_> =
        gateway.log().iter().map(|line| line["request_id"].as_str().unwrap().to_owned()).collect();
    logged.sort();
    ids.sort();
    assert_eq!(logged, ids);
}

#[test]
fn only_a_trusted_proxy_may_name_a_request() {
    let app = App::start();
    let spellings = ["X-Request-Id", "x_request_id", "X.Request.Id", "X-REQUEST-ID"];
    let untrusted = Setup::new(&app).start();
    for name in spellings {
        app.forget();
        let answer = untrusted.ask(&get("/x").header(name, "chosen"));
        assert_ne!(answer.header("x-request-id"), Some("chosen"), "{name}");
        let values: Vec<_> = app.only().fields().into_iter().map(|(_, value)| value).collect();
        assert!(!values.contains(&"chosen".to_owned()), "{name}: {values:?}");
    }
    let trusted = Setup::new(&app).server("trusted_proxies = [\"127.0.0.1\"]").start();
    app.forget();
    let answer = trusted.ask(&get("/x").header("X-Request-Id", "chosen"));
    assert_eq!(answer.all("x-request-id"), ["chosen"]);
    assert_eq!(app.only().one("x-request-id").as_deref(), Some("chosen"));
    assert_eq!(trusted.logged(1)["request_id"], "chosen");
    for odd in ["two words", "a\"b", &"x".repeat(500)] {
        app.forget();
        let answer = trusted.ask(&get("/x").header("X-Request-Id", odd));
        assert_eq!(answer.header("x-request-id").unwrap().len(), 32, "{odd}");
        assert_eq!(app.only().one("x-request-id").unwrap().len(), 32, "{odd}");
    }
}

#[test]
fn a_valid_trace_continues_and_otherwise_one_begins_here() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    gateway.ask(&get("/x").header("traceparent", CONTEXT).header("tracestate", "v=1"));
    let seen = app.only();
    assert_eq!(seen.one("traceparent").as_deref(), Some(CONTEXT));
    assert_eq!(seen.one("tracestate").as_deref(), Some("v=1"));
    assert_eq!(gateway.logged(1)["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    for odd in ["", "x", &CONTEXT.to_uppercase(), &format!("{CONTEXT}, {CONTEXT}")] {
        app.forget();
        gateway.ask(&get("/x").header("traceparent", odd).header("tracestate", "v=1"));
        let seen = app.only();
        let context = seen.one("traceparent").unwrap();
        assert!(context.len() == 55 && context != odd, "{odd}: {context}");
        assert_eq!(seen.one("tracestate"), None, "it belonged to {odd}");
    }
}

#[test]
fn the_id_is_there_over_http_2_and_the_apps_own_is_kept() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let (answer, own) = http2::block_on(async {
        let client = http2::open(&gateway.address).await;
        let answer = http2::ask(&client, http2::request("GET", "/x"), &[]).await.unwrap();
        (answer, http2::ask(&client, http2::request("GET", "/do/own-id"), &[]).await.unwrap())
    });
    assert_eq!(own.all("x-request-id"), ["of-the-app"]);
    assert_eq!(answer.all("x-request-id"), [app.seen()[0].one("x-request-id").unwrap()]);
}
