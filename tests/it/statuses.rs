//! Statuses that vendors' clients act on: what each of them needs to see.

use crate::support::{App, Claims, Gateway, START, Setup, clock, get, post};

const ABLY: &str = r#"[token.ably]
path = "/api/ably"
preset = "ably-jwt"
key = "app.key:canary"
limit = "2/minute"
params.capability = { "user:{session.user_id}" = ["subscribe"] }
"#;

const PUSHER: &str = r#"[token.pusher]
path = "/pusher/auth"
preset = "pusher-channel"
key = { app_key = "key", app_secret = "canary" }
request.socket_id = { from = "form:socket_id" }
request.channel_name = { from = "form:channel_name", allow = ["private-user-{session.user_id}"] }
"#;

fn status(gateway: &Gateway, cookie: Option<&str>) -> (u16, String) {
    let request = get("/api/ably");
    let request =
        cookie.into_iter().fold(request, |request, cookie| request.header("Cookie", cookie));
    let answer = gateway.ask(&request);
    assert_eq!(answer.json()["status"], answer.status, "body and head say the same");
    assert_eq!(answer.header("www-authenticate").is_some(), answer.status == 401, "{answer:?}");
    (answer.status, answer.code())
}

#[test]
fn ably_clients_try_again_on_401_and_give_up_on_403() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).with(ABLY).clock(&clock).start();
    assert_eq!(status(&gateway, None), (401, "not_signed_in".to_owned()));
    let expired = Claims::of("ada").with("exp", START - 10).cookie();
    assert_eq!(status(&gateway, Some(&expired)), (401, "session_expired".to_owned()));
    let foreign = get("/api/ably").user("ada").header("Origin", "https://evil.example");
    gateway.ask(&foreign).assert_refused(403, "cross_site");
    assert_eq!(gateway.ask(&get("/api/ably").user("ada")).status, 200);
}

#[test]
fn a_preset_or_a_token_chooses_the_status_of_a_refusal() {
    let (app, clock) = (App::start(), clock());
    let table = format!(
        "{ABLY}statuses = {{ not_signed_in = 403, session_expired = 503, too_many_requests = 503 }}\n"
    );
    let gateway = Setup::new(&app).with(&table).clock(&clock).start();
    assert_eq!(status(&gateway, None), (403, "not_signed_in".to_owned()));
    let expired = Claims::of("ada").with("exp", START - 10).cookie();
    assert_eq!(status(&gateway, Some(&expired)), (503, "session_expired".to_owned()));
    let asked: Vec<_> = (0..3).map(|_| gateway.ask(&get("/api/ably").user("ada"))).collect();
    assert_eq!(asked.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 503]);
    assert_eq!(asked[2].header("retry-after"), Some("30"));
    asked[2].assert_refused(503, "too_many_requests");
    let refused = gateway.metric("portcullis_refusals_total{code=\"not_signed_in\"}");
    assert_eq!(refused, 1, "codes stay what they are");
    gateway.ask(&get("/api/get-auth-token")).assert_refused(401, "not_signed_in");
}

#[test]
fn pusher_clients_take_exactly_200() {
    let app = App::start();
    let gateway = Setup::new(&app).with(PUSHER).start();
    let ask = |channel: &str| {
        let body = format!("socket_id=1234.5678&channel_name={channel}");
        let kind = "application/x-www-form-urlencoded";
        gateway.ask(&post("/pusher/auth", body.as_bytes()).user("ada").header("Content-Type", kind))
    };
    assert_eq!(ask("private-user-ada").status, 200);
    ask("private-user-eve").assert_refused(403, "not_allowed");
}

#[test]
fn a_status_must_be_a_refusal() {
    for (written, expected) in [
        ("not_signed_in = 200", "a status from 400 to 599"),
        ("not_signed_in = \"403\"", "number"),
        ("method_not_allowed = 404", "unknown code"),
    ] {
        let text = format!("{ABLY}statuses = {{ {written} }}\n");
        let text = Setup::new(&App::start()).with(&text).text();
        let problems =
            portcullis::testing::Config::read(&text, &portcullis::testing::Secrets::Literal);
        let problems = problems.err().unwrap();
        assert!(problems.iter().any(|problem| problem.text.contains(expected)), "{problems:?}");
    }
}
