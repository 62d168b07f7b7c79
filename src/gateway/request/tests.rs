//! A request in, a record and a reply out, without the framework.

use http::{HeaderMap, HeaderValue, Method};

use super::*;
use crate::base::clock::{Clock, ManualClock};
use crate::base::secret::Secrets;
use crate::config::{Config, Format};
use crate::gateway::incoming::ClientContext;
use crate::observe::{AccessLog, AuditLog, Sink};
use crate::request::client::{Client, Scheme};
use crate::request::code::Code;
use crate::request::refusal::Audience;
use crate::state::State;

const START: u64 = 1_790_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

const SETTINGS: &str = r#"
[upstream]
servers = ["http://127.0.0.1:1"]
[session]
kind = "jwt"
cookie = "sid"
secret = "0123456789abcdef0123456789abcdef"
[token.portive]
path = "/api/token"
preset = "portive"
key = "PRTV_keyOne_canaryOfTheKey0123456789abcdef"
ttl = "1m"
limit = "2/minute"
statuses = { not_signed_in = 403 }
[[route]]
path = "/account/**"
session = "required"
limit = "1/minute"
"#;

fn state() -> Arc<State> {
    let config = Config::read(SETTINGS, &Secrets::Literal).unwrap_or_else(|_| panic!());
    let access = AccessLog::start(Format::Json, Sink::Off).unwrap();
    let clock = Clock::Manual(ManualClock::at(START));
    Arc::new(State::new(config, clock, access, AuditLog::default()))
}

/// A request's end, for a comparison at a glance.
#[derive(Debug, PartialEq, Eq)]
struct End {
    outcome: Outcome,
    reason: &'static str,
    code: Option<Code>,
    /// Absent if the app is asked.
    status: Option<u16>,
    user: Option<String>,
}

fn end(outcome: Outcome, reason: &'static str, code: Option<Code>, status: Option<u16>) -> End {
    End { outcome, reason, code, status, user: Some("ada".to_owned()) }
}

fn cookie() -> String {
    let claims = serde_json::json!({ "sub": "ada", "exp": START + 3600 });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    format!("sid={}", jsonwebtoken::encode(&header, &claims, &key).unwrap())
}

async fn ask(state: &Arc<State>, method: Method, path: &str, cookie: &str) -> (End, HeaderMap) {
    let mut incoming = Incoming::new(state);
    let client =
        Client { address: None, scheme: Scheme::Https, hops: Vec::new(), via_trusted: false };
    let host = "app.example.com".into();
    incoming.sender = ClientContext { client, host, audience: Audience::Script };
    let policy = incoming.policy.clone();
    let cookie = HeaderValue::from_str(cookie).unwrap();
    let headers = HeaderMap::from_iter([(header::COOKIE, cookie)]);
    let view = RequestView {
        method: &method,
        path,
        query: None,
        headers: &headers,
        host: &incoming.sender.host,
        client: &incoming.sender.client,
    };
    let (mut who, mut record) = (Who::default(), Record::default());
    let decided = decide(&incoming, &policy, &mut who, &mut record, &view).await;
    let handled = decided.act(&incoming, &mut who, &mut record, Ok(Vec::new())).await;
    let (status, headers) = match handled {
        Handled::Forward(_) => (None, HeaderMap::new()),
        Handled::Reply(reply) => (Some(reply.status.as_u16()), reply.headers),
    };
    let user = who.identity.map(|identity| identity.user_id().to_owned());
    let Record { outcome, reason, code, .. } = record;
    (End { outcome, reason, code, status, user }, headers)
}

#[tokio::test]
async fn a_token_is_minted_then_cached_then_limited() {
    let state = state();
    let ask = || async { ask(&state, Method::GET, "/api/token", &cookie()).await.0 };
    assert_eq!(ask().await, end(Outcome::Issued, "minted", None, Some(200)));
    assert_eq!(ask().await, end(Outcome::Issued, "cached", None, Some(200)));
    let code = Some(Code::TooManyRequests);
    assert_eq!(ask().await, end(Outcome::Refused, "too_many_requests", code, Some(429)));
}

#[tokio::test]
async fn a_head_takes_from_the_allowance_and_mints_nothing() {
    let state = state();
    let ask = || async { ask(&state, Method::HEAD, "/api/token", &cookie()).await.0 };
    assert_eq!(ask().await, end(Outcome::Answered, "", None, Some(200)));
    assert_eq!(ask().await, end(Outcome::Answered, "", None, Some(200)));
    assert_eq!(ask().await.status, Some(429));
    assert_eq!(state.issuer.cached_tokens(), 0);
}

#[tokio::test]
async fn a_refusal_has_the_status_of_the_settings_and_a_challenge_only_with_401() {
    let state = state();
    let (refused, headers) = ask(&state, Method::GET, "/api/token", "other=1").await;
    let code = Some(Code::NotSignedIn);
    let expected = End { user: None, ..end(Outcome::Refused, "missing", code, Some(403)) };
    assert_eq!((refused, headers.get(header::WWW_AUTHENTICATE)), (expected, None));
    let (refused, headers) = ask(&state, Method::GET, "/account/a", "sid=forged").await;
    assert_eq!((refused.status, refused.code), (Some(401), code));
    let challenge = headers.get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
    assert_eq!(challenge, Some("Cookie cookie-name=\"sid\""));
}

#[tokio::test]
async fn a_forwarded_request_takes_from_the_allowance_of_its_route() {
    let state = state();
    let ask = || async { ask(&state, Method::GET, "/account/a", &cookie()).await.0 };
    assert_eq!(ask().await, end(Outcome::Forwarded, "", None, None));
    let code = Some(Code::TooManyRequests);
    assert_eq!(ask().await, end(Outcome::Refused, "too_many_requests", code, Some(429)));
}
