//! Tokens somebody else decides about: a vendor that issues them, the app that
//! says what a user may do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::running::{Running, file_of};
use crate::support::{
    App, Conn, Gateway, Raw, START, Setup, clock, cookie_of, eventually, folder, get, seconds,
};

/// A server whose answer the test sets, and that remembers what it was asked.
struct Other {
    address: String,
    answer: Arc<Mutex<(u16, String)>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Other {
    fn start(status: u16, body: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answer = Arc::new(Mutex::new((status, body.to_string())));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, asked) = (answer.clone(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let Some(request) = read(&mut stream) else { continue };
                asked.lock().unwrap().push(request);
                let (status, body) = answers.lock().unwrap().clone();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.get_mut().write_all((head + &body).as_bytes());
            }
        });
        Self { address, answer, seen }
    }

    fn answers(&self, status: u16, body: &Value) {
        *self.answer.lock().unwrap() = (status, body.to_string());
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Head and body of one request, names in lower case.
fn read(stream: &mut BufReader<std::net::TcpStream>) -> Option<String> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let (name, rest) = line.split_once(':').unwrap_or((&line, ""));
        let line =
            if rest.is_empty() { line.clone() } else { format!("{}:{rest}", name.to_lowercase()) };
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}

fn ask(gateway: &Gateway, path: &str) -> crate::support::Response {
    gateway.ask(&get(path).header("Cookie", &cookie_of("ada")))
}

/// A preset whose client takes a token twice, so that it is kept.
fn kept(address: &str) -> String {
    format!(
        r#"[token.realtime]
path = "/api/realtime"
preset = "openai-realtime"
key = "sk-canary"
url = "http://{address}/v1/realtime/client_secrets"
params = {{ expires_after = {{ anchor = "created_at", seconds = 600 }}, session = {{ type = "realtime" }} }}"#
    )
}

#[test]
fn a_vendors_token_is_fetched_with_the_key_and_without_the_cookie() {
    let vendor = Other::start(200, &json!({"token": "vendor-token-1"}));
    let table = format!(
        r#"[token.rooms]
path = "/api/rooms"
preset = "liveblocks-authorize"
key = "sk-canary"
url = "http://{}/v2/authorize-user"
params.permissions = {{ "acme:*" = ["room:write"] }}"#,
        vendor.address
    );
    let app = App::start();
    let gateway = Setup::new(&app).with(&table).start();
    for expected in 1..=2 {
        let answer = ask(&gateway, "/api/rooms");
        assert_eq!((answer.status, answer.json()), (200, json!({"token": "vendor-token-1"})));
        assert_eq!(vendor.seen().len(), expected, "its client breaks on a token seen twice");
    }
    let request = &vendor.seen()[0];
    assert!(request.starts_with("POST /v2/authorize-user HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer sk-canary\r\n"), "{request}");
    assert!(request.contains(r#""userId":"ada""#), "{request}");
    assert!(!request.contains("cookie:"), "{request}");
    assert!(app.seen().is_empty());
}

#[test]
fn many_who_ask_at_once_cost_one_call() {
    let vendor = Other::start(200, &json!({"value": "ek_1", "expires_at": START + 600}));
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).with(&kept(&vendor.address)).clock(&clock).start();
    std::thread::scope(|scope| {
        let asking: Vec<_> =
            (0..1_000).map(|_| scope.spawn(|| ask(&gateway, "/api/realtime"))).collect();
        for answer in asking {
            assert_eq!(answer.join().unwrap().json()["value"], "ek_1");
        }
    });
    assert_eq!(vendor.seen().len(), 1);
}

#[test]
fn a_valid_token_is_served_while_its_issuer_fails() {
    let vendor = Other::start(200, &json!({"value": "ek_1", "expires_at": START + 600}));
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).with(&kept(&vendor.address)).clock(&clock).start();
    assert_eq!(ask(&gateway, "/api/realtime").json()["value"], "ek_1");
    vendor.answers(500, &json!({"error": "sk-canary is overloaded"}));
    clock.advance(seconds(540));
    for _ in 0..3 {
        assert_eq!(ask(&gateway, "/api/realtime").json()["value"], "ek_1");
    }
    assert_eq!(vendor.seen().len(), 2, "a failure is remembered for a moment");
    clock.advance(seconds(61));
    ask(&gateway, "/api/realtime").assert_refused(502, "issuer_failed");
    vendor.answers(200, &json!({"value": "ek_2", "expires_at": START + 2000}));
    clock.advance(seconds(2));
    assert_eq!(ask(&gateway, "/api/realtime").json()["value"], "ek_2");
}

#[test]
fn an_issuer_without_a_token_gives_no_user_one() {
    let vendor = Other::start(200, &json!({"nothing": true}));
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).with(&kept(&vendor.address)).clock(&clock).start();
    ask(&gateway, "/api/realtime").assert_refused(502, "issuer_failed");
    let gone = Setup::new(&app).with(&kept("127.0.0.1:1")).clock(&clock).start();
    ask(&gone, "/api/realtime").assert_refused(502, "issuer_failed");
}

#[test]
fn the_app_decides_what_a_user_may_have() {
    let grants = Other::start(200, &json!({"documents": ["a", "b"]}));
    let table = format!(
        r#"[token.docs]
path = "/api/docs"
preset = "tiptap-collab"
key = "canary-tiptap"
grant = {{ url = "http://{}/internal/grants", forward = ["cookie"], timeout = "2s" }}
params.allowedDocumentNames = "{{grant.documents}}""#,
        grants.address
    );
    let app = App::start();
    let gateway = Setup::new(&app).with(&table).start();
    let token = ask(&gateway, "/api/docs").json()["token"].as_str().unwrap().to_owned();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&token).unwrap().claims;
    assert_eq!(claims["allowedDocumentNames"], json!(["a", "b"]));
    let request = &grants.seen()[0];
    assert!(request.starts_with("GET /internal/grants HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("cookie: {}\r\n", cookie_of("ada"))), "{request}");
    grants.answers(200, &json!({"documents": ["a"]}));
    let narrowed = ask(&gateway, "/api/docs").json()["token"].as_str().unwrap().to_owned();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&narrowed).unwrap().claims;
    assert_eq!(claims["allowedDocumentNames"], json!(["a"]), "the cache knows the grant");
    for (status, expected, code) in [
        (403, 403, "not_allowed"),
        (401, 401, "not_signed_in"),
        (500, 503, "unavailable"),
        (302, 503, "unavailable"),
    ] {
        grants.answers(status, &json!({}));
        ask(&gateway, "/api/docs").assert_refused(expected, code);
    }
    grants.answers(200, &json!({}));
    ask(&gateway, "/api/docs").assert_refused(403, "not_allowed");
}

#[test]
fn a_user_over_the_limit_costs_the_app_no_grant() {
    let grants = Other::start(200, &json!({"documents": ["a"]}));
    let table = format!(
        r#"[token.docs]
path = "/api/docs"
preset = "tiptap-collab"
key = "canary-tiptap"
grant = {{ url = "http://{}/internal/grants", timeout = "2s" }}
limit = "2/hour"
params.allowedDocumentNames = "{{grant.documents}}""#,
        grants.address
    );
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).with(&table).clock(&clock).start();
    for _ in 0..2 {
        assert_eq!(ask(&gateway, "/api/docs").status, 200);
    }
    for _ in 0..4 {
        let refused = ask(&gateway, "/api/docs");
        refused.assert_refused(429, "too_many_requests");
        assert_eq!(refused.header("ratelimit"), Some("\"docs\";r=0;t=3600"));
    }
    assert_eq!(grants.seen().len(), 2);
    assert_eq!(gateway.metric("portcullis_limited_total{route=\"token.docs\"}"), 4);
}

/// The circuit of the token as the metrics tell it.
fn circuit(gateway: &Gateway) -> u64 {
    gateway.metric("portcullis_issuer_circuit{token=\"realtime\"}")
}

#[test]
fn an_issuer_that_fails_for_every_user_is_paused() {
    let vendor = Other::start(503, &json!({}));
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).with(&kept(&vendor.address)).clock(&clock).start();
    let ask = |user: &str| gateway.ask(&get("/api/realtime").user(user));
    assert!(gateway.metrics().contains("portcullis_issuer_circuit{token=\"realtime\"} 0"));
    for number in 0..20 {
        ask(&format!("user-{number}")).assert_refused(502, "issuer_failed");
    }
    assert_eq!((vendor.seen().len(), circuit(&gateway)), (5, 1));
    ask("ada").assert_refused(502, "issuer_failed");
    let fresh = get("/api/realtime").user("ada").header("Cache-Control", "no-cache");
    gateway.ask(&fresh).assert_refused(502, "issuer_failed");
    assert_eq!(vendor.seen().len(), 5, "asking for a fresh token does not get around it");
    vendor.answers(200, &json!({"value": "ek_1", "expires_at": START + 600}));
    clock.advance(seconds(1));
    assert_eq!(ask("ada").json()["value"], "ek_1");
    assert_eq!((vendor.seen().len(), circuit(&gateway)), (6, 0));
    let count = |result: &str| {
        let line =
            format!("portcullis_exchange_seconds_count{{result=\"{result}\",token=\"realtime\"}}");
        gateway.metric(&line)
    };
    assert_eq!((count("answered"), count("failed")), (1, 5));
}

#[test]
fn an_issuer_that_is_busy_says_until_when_and_the_browser_learns_it() {
    // The issuer's clock is three hours ahead of ours.
    let date = "HTTP/1.1 429 X\r\nDate: Fri, 28 Nov 2025 15:00:00 GMT\r\nRetry-After: Fri, 28 \
                Nov 2025 15:00:17 GMT\r\nContent-Length: 0\r\n\r\n";
    let seconds_form = "HTTP/1.1 429 X\r\nRetry-After: 17\r\nContent-Length: 0\r\n\r\n";
    for answer in [seconds_form, date] {
        let vendor = Raw::start(&[answer.as_bytes()]);
        let (app, clock) = (App::start(), clock());
        let tables = kept(vendor.url.strip_prefix("http://").unwrap());
        let gateway = Setup::new(&app).with(&tables).clock(&clock).start();
        let waits = |user: &str, wait: &str| {
            let refused = gateway.ask(&get("/api/realtime").user(user));
            refused.assert_refused(503, "unavailable");
            assert_eq!(refused.header("retry-after"), Some(wait), "{answer}");
        };
        waits("ada", "17");
        clock.advance(seconds(5));
        waits("bob", "12");
        assert_eq!(vendor.heads().len(), 1, "nobody else asks before the pause is over");
    }
}

#[test]
fn an_issuers_refusal_of_one_user_affects_no_other() {
    let vendor = Other::start(400, &json!({"error": "no such user"}));
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).with(&kept(&vendor.address)).clock(&clock).start();
    for number in 0..20 {
        let user = format!("user-{number}");
        gateway.ask(&get("/api/realtime").user(&user)).assert_refused(502, "issuer_failed");
    }
    assert_eq!((vendor.seen().len(), circuit(&gateway)), (20, 0));
}

/// Two calls: `login` gives the gateway a token of its own, `vendor` the user's.
fn in_two(login: &Other, vendor: &Other) -> String {
    format!(
        r#"
[token.report]
path = "/api/report-token"
kind = "exchange"
method = "POST"
url = "http://{vendor}/GenerateToken"
key = {{ client_id = "client-1", client_secret = "sk-canary" }}
headers = {{ authorization = "Bearer {{first.token}}" }}
body = {{ user = "{{session.user_id}}" }}
take = {{ token = "/token", expires_at = "/expiration" }}
response = {{ token = "{{token}}" }}
cache = "never"

[token.report.first]
method = "POST"
url = "http://{login}/oauth2/token"
basic = ["{{key.client_id}}", "{{key.client_secret}}"]
form = {{ grant_type = "client_credentials" }}
take = {{ token = "/access_token", expires_in = "/expires_in" }}
"#,
        vendor = vendor.address,
        login = login.address
    )
}

#[test]
fn a_first_call_is_made_once_for_all_users_and_again_once_its_token_is_refused() {
    let login = Other::start(200, &json!({"access_token": "at-1", "expires_in": 3600}));
    let vendor = Other::start(200, &json!({"token": "t", "expiration": "2099-01-01T00:00:00Z"}));
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).with(&in_two(&login, &vendor)).clock(&clock).start();
    let ask = |user: &str| gateway.ask(&get("/api/report-token").user(user));
    for number in 0..10 {
        assert_eq!(ask(&format!("user-{number}")).json(), json!({"token": "t"}));
    }
    assert_eq!((login.seen().len(), vendor.seen().len()), (1, 10));
    assert!(login.seen()[0].contains("grant_type=client_credentials"));
    assert!(vendor.seen().iter().all(|request| request.contains("authorization: Bearer at-1")));
    // Until five minutes before its end.
    clock.advance(seconds(3301));
    login.answers(200, &json!({"access_token": "at-2", "expires_in": 3600}));
    assert_eq!(ask("ada").status, 200);
    assert!(vendor.seen()[10].contains("Bearer at-2"));
    // A vendor that no longer takes it is asked again with a new one, once.
    vendor.answers(401, &json!({"message": "revoked"}));
    login.answers(200, &json!({"access_token": "at-3", "expires_in": 3600}));
    ask("ada").assert_refused(502, "issuer_failed");
    assert_eq!((login.seen().len(), vendor.seen().len()), (3, 13));
    assert!(vendor.seen()[12].contains("Bearer at-3"));
}

#[test]
fn the_first_call_has_its_own_circuit() {
    let login = Other::start(503, &json!({}));
    let vendor = Other::start(200, &json!({"token": "t"}));
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).with(&in_two(&login, &vendor)).clock(&clock).start();
    for number in 0..20 {
        clock.advance(std::time::Duration::from_millis(1));
        let user = format!("user-{number}");
        gateway.ask(&get("/api/report-token").user(&user)).assert_refused(502, "issuer_failed");
    }
    assert_eq!(vendor.seen().len(), 0, "there is nothing to ask with");
    assert!(login.seen().len() <= 5, "{}", login.seen().len());
    let state = gateway.metric("portcullis_issuer_circuit{token=\"report\"}");
    assert_eq!(state, 0, "the vendor itself is in no trouble");
}

#[test]
fn an_issuers_own_words_reach_the_log_and_never_the_browser() {
    let said = "agent a-7 is not yours, key: sk-canary-0123456789";
    let vendor = Other::start(403, &json!({"error": {"message": said}}));
    let app = App::start();
    let text = file_of(&Setup::new(&app).with(&kept(&vendor.address)));
    let text = text.replace("\"sk-canary\"", "\"env:VENDOR_KEY\"");
    let key = [("VENDOR_KEY", "sk-canary-0123456789")];
    let running = Running::start_as(&folder().join("gateway.toml"), &text, &key);
    let refused = Conn::open(&running.address).ask(&get("/api/realtime").user("ada"));
    refused.assert_refused(502, "issuer_failed");
    assert!(!refused.text().contains("a-7"), "{}", refused.text());
    let line = "the issuer answered 403 and said: agent a-7 is not yours, key: [hidden]";
    eventually("the issuer's words", || running.process.errors().contains(line));
    assert!(!running.process.errors().contains("sk-canary"));
}
