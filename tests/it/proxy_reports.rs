//! Public reports about proxies like this one: each as it was written down,
//! and what it asked for.

use serde_json::Value;

use crate::support::http2::{ask, block_on, open, request};
use crate::support::{
    App, Claims, Conn, Gateway, Raw, Request, Response, SESSION_SECRET, START, Setup, clock,
};

/// One report of the file.
struct Report(Value);

/// The reports are older than the switch for hosts that proxies name.
const BELIEVED: (&str, &str) = (
    "trusted_proxies = [\"127.0.0.0/8\"]",
    "trusted_proxies = [\"127.0.0.0/8\"]\ntrust_forwarded_host = true",
);

fn report(id: &str) -> Report {
    let file = include_str!("../fixtures/reports/proxy.json");
    let all: Vec<Value> = serde_json::from_str(file).unwrap();
    Report(all.into_iter().find(|report| report["id"] == id).expect(id))
}

impl Report {
    /// The gateway it asks for, in front of the app at `url`.
    fn gateway(&self, url: &str, replace: &[(&str, &str)]) -> Gateway {
        let text = self.0["toml"].as_str().unwrap();
        let mut text = text
            .replace("127.0.0.1:18080", "127.0.0.1:0")
            .replace("admin = false", "admin = \"127.0.0.1:0\"\nthreads = 2")
            .replace("http://127.0.0.1:3000", url)
            .replace("env:JWT_SECRET", SESSION_SECRET)
            .replace("env:PORTIVE_API_KEY", "PRTV_keyOne_canaryOfTheKey0123456789abcdef");
        for (from, to) in replace {
            assert!(text.contains(from), "{text}");
            text = text.replace(from, to);
        }
        Setup::towards(url).replaced_by(text).clock(&clock()).start()
    }

    /// The app that answers with the report's bytes, marked as the app's.
    fn app(&self) -> Raw {
        let bytes = self.0["app"].as_str().unwrap();
        Raw::start(&[bytes.replacen("\r\n", "\r\nX-App: 1\r\n", 1).as_bytes()])
    }

    /// The requests as they are written, one to a connection unless it says otherwise.
    fn requests(&self, gateway: &Gateway) -> Vec<Response> {
        let requests = self.0["requests"].as_array().unwrap();
        let mut shared = gateway.connect();
        let mut answers = Vec::new();
        for (index, text) in requests.iter().enumerate() {
            let lives = match &self.0["session_seconds"] {
                Value::Array(all) => all[index].as_u64(),
                one => one.as_u64(),
            };
            let end = START + lives.unwrap_or(60);
            let session = Claims::of("ada").with("iat", START).with("exp", end);
            let text = text.as_str().unwrap().replace("{session}", &session.token());
            let mut own = Conn::open(&gateway.address);
            let conn = if self.0["one_connection"] == true { &mut shared } else { &mut own };
            conn.write(text.as_bytes());
            answers.push(conn.response_to("GET"));
        }
        answers
    }

    /// The requests to an app that echoes them, with some settings replaced.
    fn echoed(&self, replace: &[(&str, &str)]) -> (App, Vec<Response>) {
        let app = App::start();
        let gateway = self.gateway(&app.url(), replace);
        let answers = self.requests(&gateway);
        (app, answers)
    }
}

fn statuses(answers: &[Response]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

/// When the token of an answer ends, in seconds from the time that stands still.
fn life(answer: &Response) -> u64 {
    let token = answer.auth_token();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&token).unwrap().claims;
    claims["exp"].as_u64().unwrap() - START
}

#[test]
fn a_prefetch_reaches_the_app_as_one() {
    let (app, _) = report("prefetch-header").echoed(&[]);
    let seen = app.only();
    assert_eq!(seen.one("x-middleware-prefetch").as_deref(), Some("1"));
    assert_eq!(seen.one("x-middleware-subrequest"), None);
}

#[test]
fn the_apps_promises_about_its_connection_do_not_reach_the_client() {
    for (id, field) in [("app-keep-alive", "keep-alive"), ("app-upgrade-offer", "upgrade")] {
        let report = report(id);
        let app = report.app();
        let gateway = report.gateway(&app.url, &[]);
        let [answer] = &report.requests(&gateway)[..] else { panic!("{id}") };
        assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()), "{id}");
        assert_eq!(answer.header(field), None, "{id}");
        assert_eq!(answer.all("connection"), ["keep-alive"], "{id}");
    }
}

#[test]
fn a_cookie_in_many_fields_counts_as_one() {
    let report = report("h2-cookie-fields");
    let app = App::start();
    let gateway = report.gateway(&app.url(), &[]);
    let crumbs = |count: usize| {
        let cookies = (0..count).map(|number| format!("c{number}=1"));
        cookies.fold(request("GET", "/h"), |head, cookie| head.header("cookie", cookie))
    };
    block_on(async {
        let client = open(&gateway.address).await;
        assert_eq!(ask(&client, crumbs(150), &[]).await.unwrap().status, 200);
        assert!(app.only().one("cookie").unwrap().ends_with("; c148=1; c149=1"));
        let others =
            (0..128).fold(crumbs(2), |head, number| head.header(format!("x-{number}"), "1"));
        let answer = ask(&client, others, &[]).await.unwrap();
        assert_eq!((answer.status, answer.code()), (431, "too_large".to_owned()));
    });
}

#[test]
fn as_many_forwarded_hosts_count_as_there_are_trusted_proxies() {
    let (app, answers) = report("forwarded-host-list").echoed(&[BELIEVED]);
    assert_eq!(statuses(&answers), [200, 200]);
    assert_eq!(app.only().one("x-forwarded-host").as_deref(), Some("public.example"));
}

#[test]
fn a_proxy_that_writes_forwarded_alone_is_understood() {
    let (app, answers) = report("forwarded-only").echoed(&[BELIEVED]);
    assert_eq!(statuses(&answers), [200, 200]);
    let seen = app.only();
    assert_eq!(seen.one("x-forwarded-host").as_deref(), Some("public.example"));
    assert_eq!(seen.one("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(seen.one("x-real-ip").as_deref(), Some("203.0.113.9"));
    assert_eq!(seen.one("forwarded"), None);
}

#[test]
fn the_public_port_counts_in_a_separate_field() {
    let (_, answers) = report("forwarded-port").echoed(&[BELIEVED]);
    assert_eq!(statuses(&answers), [200]);
}

#[test]
fn characters_that_clients_forget_to_escape_pass_as_a_browser_escapes_them() {
    let (app, answers) = report("raw-json-query").echoed(&[]);
    assert_eq!(statuses(&answers), [200]);
    assert_eq!(app.only().target(), "/api?where={%22a%22:1}");
}

#[test]
fn a_token_cut_short_by_a_session_is_not_for_a_longer_one() {
    let (_, answers) = report("token-cut-short").echoed(&[]);
    assert_eq!(statuses(&answers), [200, 200]);
    assert!(life(&answers[0]) <= 3, "{}", life(&answers[0]));
    assert!((55..=60).contains(&life(&answers[1])), "{}", life(&answers[1]));
}

#[test]
fn origins_of_app_shells_and_with_default_ports_can_be_listed() {
    for (id, origin) in [
        ("origin-of-an-app", "capacitor://localhost"),
        ("origin-with-default-port", "https://app.example.com"),
    ] {
        let (_, answers) = report(id).echoed(&[]);
        assert_eq!(statuses(&answers), [200], "{id}");
        assert_eq!(answers[0].header("access-control-allow-origin"), Some(origin), "{id}");
    }
}

#[test]
fn a_name_with_an_underscore_reaches_the_app_where_it_is_allowed() {
    let (app, _) = report("underscore-name").echoed(&[]);
    assert_eq!(app.only().one("api_key"), None);
    let allowed = "[upstream]\npass_headers = [\"API_Key\"]";
    let (app, _) = report("underscore-name").echoed(&[("[upstream]", allowed)]);
    assert_eq!(app.only().one("api_key").as_deref(), Some("1"));
}

#[test]
fn an_app_that_says_its_length_twice_says_it_once() {
    let report = report("app-two-lengths-h2");
    let app = report.app();
    let gateway = report.gateway(&app.url, &[]);
    block_on(async {
        let client = open(&gateway.address).await;
        let answer = ask(&client, request("GET", "/"), &[]).await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()));
        assert_eq!(answer.all("content-length"), ["2"]);
    });
    let answer = gateway.ask(&crate::support::get("/"));
    assert_eq!(answer.all("content-length"), ["2"]);
}

#[test]
fn a_preflight_needs_no_session_and_a_rule_for_it_no_place() {
    let (app, answers) = report("preflight-guarded").echoed(&[]);
    assert_eq!(statuses(&answers), [200]);
    assert_eq!(app.only().method(), "OPTIONS");
    let (app, answers) = report("preflight-rule-first").echoed(&[]);
    assert_eq!(statuses(&answers), [200, 200]);
    assert_eq!(app.seen().iter().map(|seen| seen.method()).collect::<Vec<_>>(), ["OPTIONS", "GET"]);
}

#[test]
fn a_guarded_page_is_served_with_a_slash_and_guarded_with_one() {
    let (app, answers) = report("slash-guarded").echoed(&[]);
    assert_eq!(statuses(&answers), [200]);
    assert_eq!(app.only().target(), "/account/");
    let (app, answers) = report("slash-guarded-signed-out").echoed(&[]);
    assert_eq!(statuses(&answers), [401, 401]);
    assert!(app.seen().is_empty());
}

#[test]
fn a_token_has_the_path_that_is_written_and_another_spelling_may_be_anothers() {
    let (app, answers) = report("slash-both-written").echoed(&[]);
    assert_eq!(statuses(&answers), [200, 200]);
    answers.iter().for_each(|answer| assert!(!answer.auth_token().is_empty()));
    assert!(app.seen().is_empty());
}

#[test]
fn a_segment_with_an_escaped_slash_meets_both_rules() {
    let (app, answers) = report("public-segment-beside-guarded").echoed(&[]);
    assert_eq!(statuses(&answers), [200, 401]);
    assert_eq!(app.only().target(), "/@scope%2fname");
}

#[test]
fn odd_paths_that_nothing_guards_pass_as_they_came() {
    for (id, target) in [("two-slashes-first", "//api/x"), ("escaped-line-end", "/svg/a%0Ab")] {
        let (app, answers) = report(id).echoed(&[]);
        assert_eq!(statuses(&answers), [200], "{id}");
        assert_eq!(app.only().target(), target, "{id}");
    }
}

/// The guide says why: what is behind a body might be a request that no rule has seen.
#[test]
fn a_line_end_behind_a_body_ends_the_connection_once_the_body_is_answered() {
    let report = report("post-and-line-end");
    let app = App::start();
    let gateway = report.gateway(&app.url(), &[]);
    let mut conn = gateway.connect();
    let requests = report.0["requests"].as_array().unwrap();
    conn.write(requests[0].as_str().unwrap().as_bytes());
    assert_eq!(conn.response_to("POST").status, 200);
    drop(conn.try_write(requests[1].as_str().unwrap().as_bytes()));
    assert!(conn.try_response_to("GET").is_none(), "so the client asks on a new one");
    let mut again = gateway.connect();
    again.write(requests[1].as_str().unwrap().as_bytes());
    assert_eq!(again.response_to("GET").status, 200);
    assert_eq!(app.seen().len(), 2);
}

#[test]
fn a_request_id_is_kept_where_the_sender_is_trusted() {
    let (app, _) = report("request-id").echoed(&[]);
    assert_ne!(app.only().one("x-request-id").as_deref(), Some("req-1"));
    let trusted = ("[server]", "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]");
    let (app, answers) = report("request-id").echoed(&[trusted]);
    assert_eq!(app.only().one("x-request-id").as_deref(), Some("req-1"));
    assert_eq!(statuses(&answers), [200]);
}

#[test]
fn every_report_has_been_put_to_the_test() {
    let file = include_str!("../fixtures/reports/proxy.json");
    let all: Vec<Value> = serde_json::from_str(file).unwrap();
    let tests = include_str!("proxy_reports.rs");
    for report in all {
        let id = report["id"].to_string();
        assert!(tests.contains(&id), "{id}");
    }
}

#[test]
fn a_bearer_token_is_not_a_session_unless_the_file_says_so() {
    let (app, answers) = report("session-as-bearer").echoed(&[]);
    assert_eq!(statuses(&answers), [401]);
    assert!(app.seen().is_empty());
}

#[test]
fn methods_with_a_hyphen_can_be_named_in_a_rule() {
    let app = App::start();
    let rule = "[[route]]\npath = \"/dav/**\"\nmethods = [\"VERSION-CONTROL\", \"M-SEARCH\"]\n";
    let gateway = Setup::new(&app).with(rule).start();
    for (method, status) in [("M-SEARCH", 200), ("VERSION-CONTROL", 200), ("MKCOL", 405)] {
        assert_eq!(gateway.ask(&Request::new(method, "/dav/a")).status, status, "{method}");
    }
}
