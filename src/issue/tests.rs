//! The issuer as a unit: the order of its steps, with fakes for other servers.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::remote::Caller;
use super::*;
use crate::base::aside::tests::{all_busy, poll_once};
use crate::base::clock::{Clock, ManualClock, Now};
use crate::base::secret::Secrets;
use crate::config::{Config, Format, UserField};
use crate::observe::{
    AccessLog, AuditLog, CachedOrMinted, CircuitState, Gauges, Recent, Sink, Telemetry,
};
use crate::outbound::{Answer, Call, OutboundError};
use crate::policy::{Policy, TokenRoute};
use crate::request::client::{Client, Scheme};
use crate::request::refusal::Refusal;
use crate::request::view::RequestView;
use crate::session::Identity;

const START: u64 = 1_790_000_000;

const SETTINGS: &str = r#"
[upstream]
servers = ["http://127.0.0.1:1"]
[session]
kind = "jwt"
cookie = "sid"
secret = "0123456789abcdef0123456789abcdef"
[token.realtime]
path = "/api/realtime"
preset = "openai-realtime"
key = "sk-canary"
limit = "3/minute"
url = "https://vendor.test/v1/realtime/client_secrets"
params = { expires_after = { anchor = "created_at", seconds = 600 }, session = { type = "realtime" } }
[token.docs]
path = "/api/docs"
preset = "tiptap-collab"
key = "canary-tiptap"
grant = { url = "https://app.test/internal/grants", timeout = "2s" }
limit = "4/hour"
params.allowedDocumentNames = "{grant.documents}"
"#;

/// Another server: answers from a list, and writes down what it was asked.
#[derive(Clone, Default)]
struct Fake {
    calls: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<Prepared>>>,
}

/// Status and body, or why there is none.
struct Prepared(Result<(u16, String), OutboundError>);

#[async_trait]
impl Caller for Fake {
    async fn call(&self, call: &Call) -> Result<Answer, OutboundError> {
        self.calls.lock().unwrap().push(call.method.to_string());
        let (status, body) = self.answers.lock().unwrap().remove(0).0?;
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Answer { status, headers: HeaderMap::new(), body: Bytes::from(body) })
    }
}

struct Setting {
    issuer: Issuer,
    telemetry: Arc<Telemetry>,
    policy: Policy,
    fake: Fake,
    clock: Arc<ManualClock>,
    identity: Identity,
}

impl Setting {
    fn new() -> Self {
        Self::with("")
    }

    fn with(more: &str) -> Self {
        let settings = format!("{SETTINGS}{more}");
        let policy = Config::read(&settings, &Secrets::Literal).unwrap_or_else(|_| panic!()).policy;
        let access = AccessLog::start(Format::Json, Sink::Off).unwrap();
        let telemetry = Arc::new(Telemetry::new(
            access,
            AuditLog::default(),
            Recent::default(),
            UserField::Off,
        ));
        let (fake, clock) = (Fake::default(), ManualClock::at(START));
        let issuer =
            Issuer::new(Box::new(fake.clone()), Clock::Manual(clock.clone()), telemetry.clone());
        let identity = Identity::assumed("ada".into(), serde_json::json!({ "sub": "ada" }), None);
        Self { issuer, telemetry, policy, fake, clock, identity }
    }

    fn route(&self, name: &str) -> &TokenRoute {
        self.policy.tokens.iter().find(|token| token.name == name).unwrap()
    }

    fn now(&self) -> Now {
        Clock::Manual(self.clock.clone()).now()
    }

    fn answers(&self, answer: Result<(u16, &str), OutboundError>) {
        let answer = answer.map(|(status, body)| (status, body.to_owned()));
        self.fake.answers.lock().unwrap().push(Prepared(answer));
    }

    fn calls(&self) -> usize {
        self.fake.calls.lock().unwrap().len()
    }

    async fn ask(&self, name: &str, headers: &HeaderMap) -> Result<CachedOrMinted, String> {
        let route = self.route(name);
        let client =
            Client { address: None, scheme: Scheme::Https, hops: Vec::new(), via_trusted: false };
        let view = RequestView {
            method: &Method::GET,
            path: "/",
            query: None,
            headers,
            host: "app.test",
            client: &client,
        };
        let query = TokenQuestion::new(route, &view, self.now());
        let admit = async {
            let Some(limit) = &route.limit else { return Ok(()) };
            let whose = self.identity.mark();
            self.issuer.admit(&route.label, limit, whose, self.now()).await.map(|_| ())
        };
        let issued = self.issuer.issue(route, (query, b""), &self.identity, admit).await;
        issued.map(|(issued, ())| issued.origin).map_err(|refusal| match refusal {
            Refusal::TooMany { retry_after, .. } => format!("wait {}", retry_after.as_secs()),
            other => format!("{other:?}"),
        })
    }

    async fn plain(&self, name: &str) -> Result<CachedOrMinted, String> {
        self.ask(name, &HeaderMap::new()).await
    }
}

fn vendors_token() -> String {
    format!(r#"{{"value":"ek_1","expires_at":{}}}"#, START + 600)
}

#[tokio::test]
async fn the_limit_counts_cached_answers_and_comes_before_the_issuer() {
    let setting = Setting::new();
    setting.answers(Ok((200, &vendors_token())));
    assert_eq!(setting.plain("realtime").await, Ok(CachedOrMinted::Minted));
    assert_eq!(setting.plain("realtime").await, Ok(CachedOrMinted::Cached));
    assert_eq!(setting.plain("realtime").await, Ok(CachedOrMinted::Cached));
    assert_eq!(setting.plain("realtime").await, Err("wait 20".to_owned()));
    assert_eq!(setting.calls(), 1);
    assert_eq!(
        (setting.issuer.buckets(), setting.issuer.circuit("realtime")),
        (1, CircuitState::Closed)
    );
    let metrics = setting.telemetry.render(&Gauges::default());
    for line in [
        "portcullis_limited_total{route=\"token.realtime\"} 1",
        "portcullis_mints_total{token=\"realtime\"} 1",
        "portcullis_tokens_total{origin=\"cached\",token=\"realtime\"} 2",
        "portcullis_tokens_total{origin=\"minted\",token=\"realtime\"} 1",
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_client_that_asks_for_a_new_token_passes_the_cache_and_not_the_limit() {
    let setting = Setting::new();
    let new = HeaderMap::from_iter([(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-cache"),
    )]);
    for _ in 0..3 {
        setting.answers(Ok((200, &vendors_token())));
        assert_eq!(setting.ask("realtime", &new).await, Ok(CachedOrMinted::Minted));
    }
    assert_eq!(setting.ask("realtime", &new).await, Err("wait 20".to_owned()));
    assert_eq!(setting.calls(), 3);
}

#[tokio::test]
async fn the_app_is_asked_for_grants_before_the_cache_is_looked_at() {
    let setting = Setting::new();
    for (documents, origin) in [
        (r#"{"documents":["a"]}"#, CachedOrMinted::Minted),
        (r#"{"documents":["a"]}"#, CachedOrMinted::Cached),
        (r#"{"documents":["b"]}"#, CachedOrMinted::Minted),
    ] {
        setting.answers(Ok((200, documents)));
        assert_eq!(setting.plain("docs").await, Ok(origin), "{documents}");
    }
    for (status, error) in [(403, "NotAllowed"), (401, "NotSignedIn"), (500, "Unavailable")] {
        setting.answers(Ok((status, "{}")));
        assert_eq!(setting.plain("docs").await, Err(error.to_owned()), "{status}");
    }
    assert_eq!(setting.calls(), 6);
}

#[tokio::test]
async fn over_the_limit_the_app_is_not_asked_for_grants() {
    let setting = Setting::new();
    for origin in [CachedOrMinted::Minted, CachedOrMinted::Cached, CachedOrMinted::Cached] {
        setting.answers(Ok((200, r#"{"documents":["a"]}"#)));
        assert_eq!(setting.plain("docs").await, Ok(origin));
    }
    // A refused grant takes nothing from the limit.
    setting.answers(Ok((403, "{}")));
    assert_eq!(setting.plain("docs").await, Err("NotAllowed".to_owned()));
    setting.answers(Ok((200, r#"{"documents":["a"]}"#)));
    assert_eq!(setting.plain("docs").await, Ok(CachedOrMinted::Cached));
    assert_eq!(setting.plain("docs").await, Err("wait 900".to_owned()));
    assert_eq!(setting.calls(), 5, "the last request was refused without a question");
}

#[tokio::test]
async fn only_a_refused_connection_is_tried_again() {
    let setting = Setting::new();
    setting.answers(Err(OutboundError::Refused));
    setting.answers(Ok((200, &vendors_token())));
    assert_eq!(setting.plain("realtime").await, Ok(CachedOrMinted::Minted));
    assert_eq!(setting.calls(), 2);
    let setting = Setting::new();
    setting.answers(Err(OutboundError::TimedOut));
    assert_eq!(setting.plain("realtime").await, Err("Timeout".to_owned()));
    assert_eq!(setting.plain("realtime").await, Err("Timeout".to_owned()), "remembered");
    assert_eq!(setting.calls(), 1);
}

#[tokio::test]
async fn a_signature_with_rsa_keeps_no_other_request_waiting() {
    let key = include_str!("../../tests/fixtures/tokens/keys/rsa-pkcs8.pem");
    let token = |name: &str, alg: &str, key: &str| {
        format!(
            "[token.{name}]\npath = \"/api/{name}\"\nkind = \"jwt\"\nalg = \"{alg}\"\nkey = {key:?}\n\
             secret = \"secret\"\nttl = \"10m\"\ncache = \"user\"\n\
             claims = {{ sub = \"{{session.user_id}}\", exp = \"{{exp}}\" }}\n\
             response = {{ token = \"{{token}}\" }}\n"
        )
    };
    let shared = "a-shared-secret-of-more-than-thirty-two-bytes";
    let setting =
        Setting::with(&[token("slow", "RS256", key), token("quick", "HS256", shared)].concat());
    let busy = all_busy(&setting.issuer.signing);
    let mut slow = Box::pin(setting.plain("slow"));
    assert_eq!(poll_once(&mut slow).await, None);
    let mut quick = Box::pin(setting.plain("quick"));
    assert_eq!(poll_once(&mut quick).await, Some(Ok(CachedOrMinted::Minted)));
    drop(busy);
    assert_eq!(slow.await, Ok(CachedOrMinted::Minted));
    assert_eq!(setting.plain("slow").await, Ok(CachedOrMinted::Cached));
}
