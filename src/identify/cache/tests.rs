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
        let (state, clock) = asking(server.url.port());
        Self { server, says, state, clock }
    }

    async fn see(&self, cookie: &str) -> Seen {
        seen_by(&self.state, cookie).await
    }

    async fn end_session(&self, cookie: &str, identity: &Identity, by: RevokedBy) {
        let (policy, now) = (self.state.policy(), self.state.clock.now());
        let cookies = Cookies::new(cookie.as_bytes());
        let source = &policy.sources[0];
        self.state.identifier.end_session(source, cookies, identity, by, now).await;
    }

    async fn distrust(&self, cookie: &str, until: Now) {
        let cookies = Cookies::new(cookie.as_bytes());
        self.state.identifier.distrust(&self.state.policy(), cookies, until).await;
    }

    fn say(&self, what: &str) {
        *self.says.lock().unwrap() = what.to_owned();
    }
}

/// A gateway that asks the app at this port.
fn asking(port: u16) -> (Arc<State>, Arc<ManualClock>) {
    let text = format!(
        "[upstream]\nservers = [\"http://127.0.0.1:1\"]\n[session]\nkind = \"introspect\"\n\
         cookies = [\"sid\", \"sid.sig\"]\nuser_id = \"/id\"\ncache_seconds = 10\nurl = \"http://127.0.0.1:{port}/me\"\n"
    );
    let config = Config::read(&text, &Secrets::Literal).unwrap();
    let clock = ManualClock::at(1_790_000_000);
    let access = AccessLog::start(Format::Json, Sink::Off).unwrap();
    let state = State::new(config, Clock::Manual(clock.clone()), access, AuditLog::default());
    (Arc::new(state), clock)
}

async fn seen_by(state: &State, cookie: &str) -> Seen {
    let cookies = Cookies::new(cookie.as_bytes());
    let (policy, now) = (state.policy(), state.clock.now());
    match state.identifier.identify(&policy, cookies, None, now).await.verdict {
        Verdict::Known(identity, 0) => Seen::Known(identity.user_id().to_owned()),
        Verdict::Known(_, other) => panic!("source {other}"),
        Verdict::Nobody(rejected) => Seen::Nobody(rejected.reason),
        Verdict::Unknown(silence) => Seen::Unknown(silence.retry_after.map(|d| d.as_secs())),
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

const MOMENT: Duration = Duration::from_millis(1);

#[tokio::test]
async fn what_the_app_may_have_changed_is_asked_about_again() {
    let setting = Setting::new(&ok(r#"{"id":"u1"}"#)).await;
    let times = [("at once", Duration::ZERO), ("within two seconds", Duration::from_secs(2))];
    for (name, within) in times {
        setting.say(&ok(r#"{"id":"u1"}"#));
        setting.clock.advance(Duration::from_secs(10));
        assert_eq!(setting.see("sid=abc").await, known("u1"), "{name}");
        setting.say(&ok(r#"{"id":"u2"}"#));
        assert_eq!(setting.see("sid=abc").await, known("u1"), "{name}");
        let until = setting.state.clock.now().plus(within);
        setting.distrust("sid=other", until).await;
        assert_eq!(setting.see("sid=abc").await, known("u1"), "{name}: another session's");
        setting.distrust("sid=abc", until).await;
        assert_eq!(setting.see("sid=abc").await, known("u2"), "{name}");
        setting.say(&ok(r#"{"id":"u3"}"#));
        setting.clock.advance(within);
        assert_eq!(setting.see("sid=abc").await, known("u3"), "{name}");
        setting.clock.advance(MOMENT);
        assert_eq!(setting.see("sid=abc").await, known("u3"), "{name}");
        setting.say(&ok(r#"{"id":"u4"}"#));
        assert_eq!(setting.see("sid=abc").await, known("u3"), "{name}: remembered again");
    }
}

#[tokio::test]
async fn a_refusal_does_not_outlive_a_sign_in_under_the_same_id() {
    let setting = Setting::new(&ok("{}")).await;
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::NoUser));
    setting.say(&ok(r#"{"id":"u1"}"#));
    assert_eq!(setting.see("sid=abc").await, Seen::Nobody(Reason::NoUser));
    setting.distrust("sid=abc", setting.state.clock.now()).await;
    assert_eq!(setting.see("sid=abc").await, known("u1"));
}

/// Reads a request and says so; answers when told what.
async fn answer_when_told(
    app: &mut tokio::net::TcpStream,
    arrived: tokio::sync::oneshot::Sender<()>,
    told: tokio::sync::oneshot::Receiver<&str>,
) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(app.read_u8().await.unwrap());
    }
    arrived.send(()).unwrap();
    let answer = ok(told.await.unwrap());
    app.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_question_that_was_under_way_says_nothing_about_a_session_changed_since() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (state, clock) = asking(listener.local_addr().unwrap().port());
    let see = || {
        let state = state.clone();
        tokio::spawn(async move { seen_by(&state, "sid=abc").await })
    };
    let [(arrived, first_arrived), (also_arrived, second_arrived)] =
        [(); 2].map(|()| tokio::sync::oneshot::channel());
    let [(answer, told), (second_answer, second_told)] =
        [(); 2].map(|()| tokio::sync::oneshot::channel());
    let app = tokio::spawn(async move {
        let (mut app, _) = listener.accept().await.unwrap();
        answer_when_told(&mut app, arrived, told).await;
        answer_when_told(&mut app, also_arrived, second_told).await;
    });
    let early = see();
    first_arrived.await.unwrap();
    clock.advance(MOMENT);
    let cookies = Cookies::new(b"sid=abc");
    state.identifier.distrust(&state.policy(), cookies, state.clock.now()).await;
    clock.advance(MOMENT);
    let late = [see(), see()];
    // Both wait for the first question by now.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    answer.send(r#"{"id":"u1"}"#).unwrap();
    assert_eq!(early.await.unwrap(), known("u1"));
    second_arrived.await.unwrap();
    second_answer.send(r#"{"id":"u2"}"#).unwrap();
    for late in late {
        assert_eq!(late.await.unwrap(), known("u2"), "the second question serves both");
    }
    assert_eq!(seen_by(&state, "sid=abc").await, known("u2"));
    app.await.unwrap();
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
