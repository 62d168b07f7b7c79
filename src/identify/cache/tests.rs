//! Answers of an app that are remembered, and for how long.

use super::*;
use crate::base::aside::tests::{all_busy, poll_once};
use crate::base::clock::{Clock, ManualClock};
use crate::base::secret::Secrets;
use crate::config::{Config, Format};
use crate::identify::revocation::RevokedBy;
use crate::observe::{AccessLog, AuditLog, Sink};
use crate::outbound::testing::{Habit, Server, ok, serve};
use crate::session::Reason;
use crate::session::Verdict;
use crate::state::State;
use std::sync::Mutex;

struct Setting {
    server: Server,
    says: Arc<Mutex<String>>,
    state: Arc<State>,
    clock: Arc<ManualClock>,
}

/// The outcome of a check, comparable at a glance.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Known(String),
    Nobody(Reason),
    Unknown(Option<u64>),
}

impl Setting {
    async fn new(first: &str) -> Self {
        let says = Arc::new(Mutex::new(first.to_owned()));
        let server = serve(Habit::Say(says.clone())).await;
        let text = format!(
            "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\nkind = \"introspect\"\n\
             cookies = [\"sid\", \"sid.sig\"]\nuser_id = \"/id\"\ncache_seconds = 10\nurl = \"http://127.0.0.1:{}/me\"\n",
            server.url.port()
        );
        let config = Config::read(&text, &Secrets::Literal).unwrap();
        let clock = ManualClock::at(1_790_000_000);
        let access = AccessLog::start(Format::Json, Sink::Off).unwrap();
        let state =
            Arc::new(State::new(config, Clock::Manual(clock.clone()), access, AuditLog::default()));
        Self { server, says, state, clock }
    }

    async fn see(&self, cookie: &str) -> Seen {
        let cookies = Cookies::new(cookie.as_bytes());
        let (policy, now) = (self.state.policy(), self.state.clock.now());
        match self.state.identifier.identify(&policy, cookies, None, now).await.verdict {
            Verdict::Known(identity, 0) => Seen::Known(identity.user_id().to_owned()),
            Verdict::Known(_, other) => panic!("source {other}"),
            Verdict::Nobody(rejected) => Seen::Nobody(rejected.reason),
            Verdict::Unknown(silence) => Seen::Unknown(silence.retry_after.map(|d| d.as_secs())),
        }
    }

    async fn end_session(&self, cookie: &str, identity: &Identity, by: RevokedBy) {
        let (policy, now) = (self.state.policy(), self.state.clock.now());
        let cookies = Cookies::new(cookie.as_bytes());
        let source = &policy.sources[0];
        self.state.identifier.end_session(source, cookies, identity, by, now).await;
    }

    fn say(&self, what: &str) {
        *self.says.lock().unwrap() = what.to_owned();
    }
}

fn known(user: &str) -> Seen {
    Seen::Known(user.to_owned())
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn the_app_is_asked_with_a_bare_get_and_the_named_cookies_only() {
    let setting = Setting::new(&ok(r#"{"id":7}"#)).await;
    assert_eq!(setting.see("other=secret; sid=abc; more=1; sid.sig=x").await, known("7"));
    let request = setting.server.requests().concat().to_ascii_lowercase();
    assert!(request.starts_with("get /me http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\ncookie: sid=abc; sid.sig=x\r\n"), "{request}");
    assert!(!request.contains("secret") && request.ends_with("\r\n\r\n"), "{request}");
}

#[tokio::test]
async fn a_hundred_requests_at_once_are_one_question() {
    let setting = Arc::new(Setting::new(&ok(r#"{"id":"u1"}"#)).await);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let setting = setting.clone();
            tokio::spawn(async move { setting.see("sid=abc").await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), known("u1"));
    }
    assert_eq!(setting.server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_is_remembered_for_its_seconds_and_a_refusal_for_a_moment() {
    let setting = Setting::new(&ok(r#"{"id":"u1"}"#)).await;
    assert_eq!(setting.see("sid=abc").await, known("u1"));
    setting.say(&status("401 Unauthorized"));
    setting.clock.advance(Duration::from_secs(9));
    assert_eq!(setting.see("sid=abc").await, known("u1"));
    setting.clock.advance(Duration::from_secs(1));
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::StoreMiss));
    setting.say(&ok(r#"{"id":"u1"}"#));
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::StoreMiss));
    setting.clock.advance(REFUSAL_KEPT);
    assert_eq!(setting.see("sid=abc").await, known("u1"));
}

#[tokio::test]
async fn different_cookies_never_share_an_answer() {
    let setting = Setting::new(&ok(r#"{"id":"u1"}"#)).await;
    assert_eq!(setting.see("sid=abc").await, known("u1"));
    setting.say(&ok(r#"{"id":"u2"}"#));
    assert_eq!(setting.see("sid=abd").await, known("u2"));
    assert_eq!(setting.see("sid=abc").await, known("u1"));
}

#[tokio::test]
async fn anything_but_a_clear_answer_leaves_open_who_is_asking() {
    let setting = Setting::new("").await;
    let retry = "HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let found = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n";
    let (error, gone) = (status("500 Oops"), status("404 Not Found"));
    let cases = [(retry, Some(7)), (found, None), (error.as_str(), None), (gone.as_str(), None)];
    for (answer, retry_after) in cases {
        setting.say(answer);
        assert_eq!(setting.see("sid=abc").await, Seen::Unknown(retry_after), "{answer}");
        setting.clock.advance(Duration::from_secs(10));
    }
    setting.say(&ok("<html>"));
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::Malformed));
    setting.clock.advance(Duration::from_secs(10));
    setting.say(&ok("{}"));
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::NoUser));
}

#[tokio::test]
async fn silence_is_over_as_soon_as_the_app_answers_again() {
    let setting = Setting::new(&status("503 Starting")).await;
    assert_eq!(setting.see("sid=abc").await, Seen::Unknown(None));
    setting.say(&ok(r#"{"id":"u1"}"#));
    setting.clock.advance(SILENCE_KEPT);
    assert_eq!(setting.see("sid=abc").await, known("u1"));
}

#[tokio::test]
async fn a_session_the_app_ended_is_forgotten() {
    let setting = Setting::new(&ok(r#"{"id":"u1"}"#)).await;
    assert_eq!(setting.see("sid=abc").await, known("u1"));
    setting.state.identifier.revoke_user("u1", setting.state.clock.now());
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::SignedOut));
    setting.state.identifier.pardon_user("u1", setting.state.clock.now());
    assert_eq!(setting.see("sid=abc").await, known("u1"));
    let identity = Identity::assumed("u1".into(), serde_json::json!({ "id": "u1" }), None);
    setting.end_session("sid=abc", &identity, RevokedBy::App).await;
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::SignedOut));
    assert_eq!(setting.server.requests().len(), 1, "nor is anybody asked about it");
}

#[tokio::test]
async fn no_other_spelling_of_the_cookies_brings_an_ended_session_back() {
    let setting = Setting::new(&ok(r#"{"id":"u1"}"#)).await;
    assert_eq!(setting.see("sid=abc%2F; sid=zzz; sid.sig=x; sid.sig=y").await, known("u1"));
    let asked = setting.server.requests().concat().to_ascii_lowercase();
    assert!(asked.contains("\r\ncookie: sid=abc%2f; sid.sig=x\r\n"), "{asked}");
    let identity = Identity::assumed("u1".into(), serde_json::json!({ "id": "u1" }), None);
    setting.end_session("sid=abc%2F; sid.sig=x", &identity, RevokedBy::Operator).await;
    for spelling in [
        "sid=abc%2F; sid.sig=x",
        "sid.sig=x; sid=abc%2F",
        "sid=abc%2F; sid=zzz; sid.sig=x",
        "sid=abc%2F; sid.sig=x; sid.sig=; a=1",
        "sid=abc/; sid.sig=%78",
        "sid=abc%252F; sid.sig=x",
        "sid=\"abc%2F\"; sid.sig=x",
    ] {
        assert_eq!(setting.see(spelling).await, Seen::Nobody(Reason::SignedOut), "{spelling}");
    }
    assert_eq!(setting.see("sid=zzz; sid=abc%2F; sid.sig=x").await, known("u1"), "another");
}

#[tokio::test]
async fn a_signed_out_session_does_not_count_again_because_the_store_missed_it() {
    let setting = Setting::new(&ok(r#"{"id":"u1"}"#)).await;
    assert_eq!(setting.see("sid=abc").await, known("u1"));
    let identity = Identity::assumed("u1".into(), serde_json::json!({ "id": "u1" }), None);
    setting.end_session("sid=abc", &identity, RevokedBy::App).await;
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::SignedOut));
    assert_eq!(setting.see("sid=abd").await, known("u1"), "another session");
    setting.clock.advance(Duration::from_secs(11));
    setting.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::SignedOut));
    setting.clock.advance(Duration::from_secs(2));
    setting.say(&ok(r#"{"id":"u1"}"#));
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::SignedOut));
    assert_eq!(setting.server.requests().len(), 2, "nobody is asked about it any more");
}

#[tokio::test]
async fn a_session_that_opens_slowly_keeps_no_other_request_waiting_and_is_opened_once() {
    let vectors = include_str!("../../../tests/fixtures/sessions/h3-session.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let vector = &vectors["vectors"][0];
    let settings = "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\nkind = \"h3-session\"\n\
                    cookie = \"nuxt-session\"\nsecret = \"h3-public-password-0000000000000001-xyz\"\n\
                    user_id = \"/user/id\"\n";
    let policy = Config::read(settings, &Secrets::Literal).unwrap().policy;
    let clock = Clock::Manual(ManualClock::at(1_790_000_000));
    let servers = Servers::new(&tokio::runtime::Handle::current(), clock.clone());
    let (sessions, revoked) = (Sessions::default(), Revoked::default());
    let seal = Cookies::new(vector["cookie_header"].as_str().unwrap().as_bytes());
    let from = Some(IpAddr::from([192, 0, 2, 1]));
    let look = |cookies| {
        let verified = sessions.verify(&policy, &servers, &revoked, cookies, from, clock.now());
        Box::pin(async { verified.await.verdict })
    };
    let who = || {
        Box::pin(async {
            match look(seal).await {
                Verdict::Known(identity, _) => identity,
                Verdict::Nobody(why) => panic!("{why:?}"),
                Verdict::Unknown(why) => panic!("{why:?}"),
            }
        })
    };
    let busy = all_busy(&servers.opening);
    for _ in 0..1000 {
        let anonymous = poll_once(&mut look(Cookies::new(b"theme=dark"))).await;
        let Some(Verdict::Nobody(why)) = anonymous else { panic!("{anonymous:?}") };
        assert_eq!(why.reason, Reason::Missing, "without a cookie there is nothing to open");
    }
    let (mut first, mut second) = (who(), who());
    assert!(poll_once(&mut first).await.is_none());
    assert!(poll_once(&mut second).await.is_none());
    drop(busy);
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.user_id(), "nuxt-1");
    assert!(Arc::ptr_eq(&first, &second), "one page opens its session once");
    assert!(poll_once(&mut who()).await.is_some_and(|kept| Arc::ptr_eq(&kept, &first)));
}
