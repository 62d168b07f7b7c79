//! Published keys, from a server that changes its mind.

use std::sync::Mutex;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::*;
use crate::base::clock::ManualClock;
use crate::base::secret::Secrets;
use crate::config::Config;
use crate::identify::resolve::Servers;
use crate::outbound::testing::{Habit, Server, ok, serve};
use crate::session::Refused;
use crate::session::{Cookies, Reason};

const NOW: u64 = 1_790_000_000;

struct Setting {
    server: Server,
    says: Arc<Mutex<String>>,
    policy: Arc<Policy>,
    servers: Servers,
    clock: Arc<ManualClock>,
}

/// A set of one key, `kid` being its name and its secret.
fn published(kid: &str) -> String {
    use base64::Engine as _;
    let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(kid);
    ok(&format!(r#"{{"keys":[{{"kty":"oct","kid":"{kid}","k":"{secret}"}}]}}"#))
}

fn token(kid: &str) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
    let claims = serde_json::json!({ "sub": "u1", "exp": NOW + 3600 });
    let token = encode(&header, &claims, &EncodingKey::from_secret(kid.as_bytes())).unwrap();
    format!("t={token}")
}

impl Setting {
    async fn new(first: String) -> Self {
        let says = Arc::new(Mutex::new(first));
        let server = serve(Habit::Say(says.clone())).await;
        let text = format!(
            "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\nkind = \"jwt\"\n\
             cookie = \"t\"\nalgorithms = [\"HS256\"]\njwks_url = \"http://127.0.0.1:{}/keys\"\n",
            server.url.port()
        );
        let policy = Arc::new(Config::read(&text, &Secrets::Literal).unwrap().policy);
        let clock = ManualClock::at(NOW);
        let servers = Servers::new(&Handle::current(), Clock::Manual(clock.clone()));
        let current = policy.clone();
        servers.keys.watch(&(Arc::new(move || Some(current.clone())) as CurrentPolicy));
        Self { server, says, policy, servers, clock }
    }

    async fn check(&self, kid: &str) -> Result<String, Reason> {
        let cookie = token(kid);
        let cookies = Cookies::new(cookie.as_bytes());
        let now = Clock::Manual(self.clock.clone()).now();
        match self.servers.check(&self.policy.sources[0], cookies, now).await {
            Ok(identity) => Ok(identity.user_id().to_owned()),
            Err(Refused::Rejected(rejected)) => Err(rejected.reason),
            Err(Refused::Unanswered(_)) => Err(Reason::Unavailable),
        }
    }

    fn say(&self, what: String) {
        *self.says.lock().unwrap() = what;
    }

    fn fetches(&self) -> usize {
        self.server.requests().len()
    }
}

#[tokio::test]
async fn the_first_request_waits_for_the_first_fetch() {
    let setting = Setting::new(published("k1")).await;
    assert_eq!(setting.check("k1").await.as_deref(), Ok("u1"));
    assert_eq!(setting.fetches(), 1);
}

#[tokio::test]
async fn a_byte_order_mark_or_status_203_does_not_lose_the_keys() {
    let document = published("k1");
    let (_, body) = document.split_once("\r\n\r\n").unwrap();
    let marked = ok(&format!("\u{feff}{body}"));
    let changed = document.replacen("200 OK", "203 Non-Authoritative Information", 1);
    assert_ne!(changed, document);
    for document in [marked, changed] {
        let setting = Setting::new(document).await;
        assert_eq!(setting.check("k1").await.as_deref(), Ok("u1"));
    }
}

#[tokio::test]
async fn a_rotated_key_is_fetched_when_its_first_token_comes() {
    let setting = Setting::new(published("k1")).await;
    assert_eq!(setting.check("k1").await.as_deref(), Ok("u1"));
    setting.say(published("k2"));
    setting.clock.advance(COOLDOWN);
    assert_eq!(setting.check("k2").await.as_deref(), Ok("u1"));
    assert_eq!(setting.check("k1").await, Err(Reason::UnknownKid), "the old key is gone");
}

#[tokio::test]
async fn invented_keys_cause_one_fetch_per_cooldown() {
    let setting = Setting::new(published("k1")).await;
    setting.check("k1").await.unwrap();
    for round in 1..=2 {
        for number in 0..20 {
            let invented = format!("invented-{number}");
            assert_eq!(setting.check(&invented).await, Err(Reason::UnknownKid));
        }
        assert_eq!(setting.fetches(), round);
        setting.clock.advance(COOLDOWN);
    }
}

#[tokio::test]
async fn a_failing_server_leaves_the_keys_in_use() {
    let setting = Setting::new(published("k1")).await;
    setting.check("k1").await.unwrap();
    setting.say("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned());
    setting.clock.advance(COOLDOWN);
    assert_eq!(setting.check("k2").await, Err(Reason::UnknownKid));
    assert_eq!(setting.fetches(), 2);
    assert_eq!(setting.check("k1").await.as_deref(), Ok("u1"));
    setting.say(ok("{\"keys\":[]}"));
    setting.clock.advance(COOLDOWN);
    assert_eq!(setting.check("k2").await, Err(Reason::UnknownKid));
    assert_eq!(setting.check("k1").await.as_deref(), Ok("u1"), "an empty set replaces nothing");
}

#[tokio::test]
async fn without_keys_no_user_is_known() {
    let setting = Setting::new("HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    assert_eq!(setting.check("k1").await, Err(Reason::Unavailable));
    let url = setting.policy.sources[0].remote_keys().unwrap().url().to_owned();
    let problem = setting.servers.keys.problem(&url).unwrap();
    assert_eq!(problem, "the server answered with status 404");
}

#[tokio::test]
async fn a_provider_that_starts_late_is_asked_again_within_a_second() {
    let setting =
        Setting::new("HTTP/1.1 502 Not yet\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    for round in 1..=3 {
        for _ in 0..5 {
            assert_eq!(setting.check("k1").await, Err(Reason::Unavailable));
        }
        assert_eq!(setting.fetches(), round);
        setting.clock.advance(KEYLESS_COOLDOWN);
    }
    setting.say(published("k1"));
    assert_eq!(setting.check("k1").await.as_deref(), Ok("u1"));
    setting.clock.advance(KEYLESS_COOLDOWN);
    assert_eq!(setting.check("k2").await, Err(Reason::UnknownKid));
    assert_eq!(setting.fetches(), 4, "with keys, the long pause holds again");
}

#[tokio::test]
async fn a_reload_starts_with_the_keys_that_are_known() {
    let setting = Setting::new(published("k1")).await;
    setting.check("k1").await.unwrap();
    let text = format!(
        "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\nkind = \"jwt\"\n\
         cookie = \"t\"\nalgorithms = [\"HS256\"]\njwks_url = {:?}\n",
        setting.policy.sources[0].remote_keys().unwrap().url()
    );
    let policy = Config::read(&text, &Secrets::Literal).unwrap().policy;
    assert!(!policy.sources[0].remote_keys().unwrap().is_supplied());
    setting.servers.keys.supply(&policy);
    assert!(policy.sources[0].remote_keys().unwrap().is_supplied());
}

#[test]
fn a_provider_says_how_long_keys_are_fresh_within_bounds() {
    let fresh = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, value.parse().unwrap());
        freshness(&headers).as_secs()
    };
    assert_eq!(fresh("public, max-age=3600, must-revalidate"), 3600);
    assert_eq!(fresh("Max-Age=\"120\""), 120);
    assert_eq!(fresh("max-age=0"), FRESH_AT_LEAST.as_secs());
    assert_eq!(fresh("max-age=99999999"), FRESH_AT_MOST.as_secs());
    assert_eq!(fresh("no-store"), FRESH_USUALLY.as_secs());
    assert_eq!(fresh("max-age=-5"), FRESH_USUALLY.as_secs());
}
