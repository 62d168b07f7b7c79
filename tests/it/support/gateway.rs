//! A gateway in this process, stopped when dropped.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis::testing::Lock;
use portcullis::testing::Secrets;
use portcullis::testing::State;
use portcullis::testing::{AccessLog, AuditLog, Sink};
use portcullis::testing::{Clock, ManualClock};
use portcullis::testing::{Config, Format};
use portcullis::testing::{Listeners, Stop, serve};
use serde_json::Value;

use super::{
    App, Conn, Request, Response, SESSION_SECRET, assert_no_secret, diagnostics, eventually, get,
};

/// When manual clocks start.
pub(crate) const START: u64 = 1_800_000_000;

/// `gateway.toml` in the making: the ten lines every user starts with, and what
/// a test adds to each table.
pub(crate) struct Setup {
    listen: String,
    server: String,
    servers: String,
    upstream: String,
    session: String,
    token: String,
    identity: String,
    rest: String,
    whole: Option<String>,
    clock: Option<Arc<ManualClock>>,
}

impl Setup {
    pub(crate) fn new(app: &App) -> Self {
        Self::towards(&app.url())
    }

    /// In front of whatever listens at `url`.
    pub(crate) fn towards(url: &str) -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            server: String::new(),
            servers: format!("{url:?}"),
            upstream: String::new(),
            session: String::new(),
            token: "limit = \"30/minute\"".to_owned(),
            identity:
                "\"X-Auth-User\" = \"{session.user_id}\", \"X-Auth-Role\" = \"{session.role}\""
                    .to_owned(),
            rest: String::new(),
            whole: None,
            clock: None,
        }
    }

    /// In front of several apps.
    pub(crate) fn balanced(apps: &[&App]) -> Self {
        let urls: Vec<_> = apps.iter().map(|app| format!("{:?}", app.url())).collect();
        Self { servers: urls.join(", "), ..Self::towards("") }
    }

    pub(crate) fn listen(mut self, listen: &str) -> Self {
        self.listen = listen.to_owned();
        self
    }

    /// More lines of `[server]`.
    pub(crate) fn server(mut self, lines: &str) -> Self {
        self.server = lines.to_owned();
        self
    }

    /// More lines of `[upstream]`.
    pub(crate) fn upstream(mut self, lines: &str) -> Self {
        self.upstream = lines.to_owned();
        self
    }

    /// More lines of `[session]`.
    pub(crate) fn session(mut self, lines: &str) -> Self {
        self.session = lines.to_owned();
        self
    }

    /// The lines of `[token.portive]` after its lifetime; by default its limit.
    pub(crate) fn token(mut self, lines: &str) -> Self {
        self.token = lines.to_owned();
        self
    }

    /// More tables.
    pub(crate) fn with(mut self, tables: &str) -> Self {
        self.rest.push_str(tables);
        self.rest.push('\n');
        self
    }

    /// Another text altogether.
    pub(crate) fn replaced_by(mut self, text: String) -> Self {
        self.whole = Some(text);
        self
    }

    /// Time stands still until the test moves it.
    pub(crate) fn clock(mut self, clock: &Arc<ManualClock>) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    pub(crate) fn text(&self) -> String {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let Self { listen, server, servers, upstream, session, token, identity, rest, .. } = self;
        format!(
            r#"[server]
listen = "{listen}"
admin = "127.0.0.1:0"
threads = 2
{server}
[upstream]
servers = [{servers}]
{upstream}
[session]
kind = "jwt"
cookie = "session"
secret = "{SESSION_SECRET}"
{session}
[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "PRTV_keyOne_canaryOfTheKey0123456789abcdef"
ttl = "1m"
{token}
[identity]
headers = {{ {identity} }}
{rest}"#
        )
    }

    #[track_caller]
    pub(crate) fn start(self) -> Gateway {
        diagnostics::capture();
        let text = self.text();
        let config = read(&text);
        let server = config.server.clone();
        let listeners = Listeners::bind(&server).unwrap();
        let addresses: Vec<String> = listeners.addresses().collect();
        let redirect = listeners.redirect_addresses().next();
        let auth = listeners.auth_addresses().next();
        let admin = listeners.admin_address().unwrap();
        let memory = Arc::new(Lock::new(Vec::new()));
        let format = config.log.format.unwrap_or(Format::Json);
        let access = AccessLog::start(format, Sink::Memory(memory.clone())).unwrap();
        let clock = self.clock.map_or_else(Clock::system, Clock::Manual);
        let audit = AuditLog::from_settings(&config.log.audit).unwrap();
        let live = Arc::new(State::new(config, clock, access, audit));
        let (stop, shutdown) = Stop::pair();
        let serving = live.clone();
        let serve = move || serve(&serving, &server, listeners, shutdown, None).unwrap();
        let thread = std::thread::spawn(serve);
        let address = addresses[0].clone();
        Gateway {
            address,
            addresses,
            auth,
            redirect,
            admin,
            live,
            memory,
            stop,
            thread: Some(thread),
        }
    }
}

#[track_caller]
fn read(text: &str) -> Config {
    Config::read(text, &Secrets::Literal).unwrap_or_else(|problems| {
        let problems: Vec<_> =
            problems.iter().map(|p| p.display("gateway.toml", text).to_string()).collect();
        panic!("{}", problems.join("\n"))
    })
}

pub(crate) struct Gateway {
    /// The first of the addresses.
    pub(crate) address: String,
    pub(crate) addresses: Vec<String>,
    /// Where another proxy asks about requests.
    pub(crate) auth: Option<String>,
    pub(crate) redirect: Option<String>,
    pub(crate) admin: String,
    pub(crate) live: Arc<State>,
    memory: Arc<Lock<Vec<u8>>>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    pub(crate) fn connect(&self) -> Conn {
        Conn::open(&self.address)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: &Request) -> Response {
        self.connect().ask(request)
    }

    /// The answer another proxy gets about a request.
    #[track_caller]
    pub(crate) fn ask_auth(&self, question: &Request) -> Response {
        Conn::open(self.auth.as_ref().unwrap()).ask(question)
    }

    /// The token endpoint, asked by `user`.
    #[track_caller]
    pub(crate) fn token(&self, user: &str) -> Response {
        self.ask(&get("/api/get-auth-token").user(user))
    }

    /// Another configuration from the next request on.
    pub(crate) fn reload(&self, setup: &Setup) {
        let config = read(&setup.text());
        self.live.replace_edge(config.edge);
        self.live.share(config.shared);
        self.live.replace(config.policy);
    }

    /// The metrics as a scraper gets them.
    pub(crate) fn metrics(&self) -> String {
        self.admin("GET /metrics HTTP/1.1", "")
    }

    /// The admin listener's whole answer, head and body, to a request line, more
    /// header lines and a body.
    pub(crate) fn admin(&self, request: &str, rest: &str) -> String {
        // Not an answer to a browser, so `check` does not apply.
        let mut conn = Conn::open(&self.admin);
        let rest = if rest.is_empty() { "\r\n" } else { rest };
        let request = format!("{request}\r\nHost: localhost\r\nConnection: close\r\n{rest}");
        conn.write(request.as_bytes());
        String::from_utf8(conn.rest()).unwrap()
    }

    /// Waits until no request is under way: one is counted, and has its line in the log, a
    /// moment after its client has the answer.
    #[track_caller]
    pub(crate) fn settle(&self) {
        eventually("the end of every request", || self.live.in_flight() == 0);
    }

    /// The value of one line of the metrics once every request has been counted; zero if the
    /// line is not there. What is counted with a connection has to be waited for (`counts`).
    #[track_caller]
    pub(crate) fn metric(&self, line: &str) -> u64 {
        self.settle();
        self.metric_now(line)
    }

    /// As `metric`, at this moment: to wait for it, and where requests are open.
    pub(crate) fn metric_now(&self, line: &str) -> u64 {
        let metrics = self.metrics();
        let value = metrics.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or(0)
    }

    /// Waits until a line of the metrics has this value: what ended with its
    /// connection is counted a moment later.
    #[track_caller]
    pub(crate) fn counts(&self, line: &str, value: u64) {
        eventually(line, || self.metric_now(line) == value);
    }

    /// The access log, one object per line, once every request has its line.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<Value> {
        self.settle();
        self.log_now()
    }

    /// As `log`, at this moment: to wait for it, and where requests are open.
    pub(crate) fn log_now(&self) -> Vec<Value> {
        let text = self.written_now();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The access log as it was written, once every request has its line.
    #[track_caller]
    pub(crate) fn written(&self) -> String {
        self.settle();
        self.written_now()
    }

    fn written_now(&self) -> String {
        self.live.telemetry.flush();
        String::from_utf8(self.memory.lock().clone()).unwrap()
    }

    /// The access log's line about the request with this answer. Lines of several
    /// connections may come in another order than their answers.
    #[track_caller]
    pub(crate) fn line_of(&self, answer: &Response) -> Value {
        let id = answer.header("x-request-id").expect("an answer names its request");
        let mut found = None;
        eventually("the access log's line", || {
            found = self.log_now().into_iter().find(|line| line["request_id"] == id);
            found.is_some()
        });
        found.unwrap()
    }

    /// The last line of the access log once there are `count`: for a caller who waited for
    /// each line before.
    #[track_caller]
    pub(crate) fn logged(&self, count: usize) -> Value {
        eventually("the access log", || self.log_now().len() >= count);
        self.log_now().pop().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let metrics = (!std::thread::panicking()).then(|| self.metrics());
        self.stop.now();
        let ended = self.thread.take().unwrap().join();
        let said = diagnostics::take();
        if let Some(metrics) = metrics {
            ended.unwrap();
            self.live.telemetry.flush();
            assert_no_secret("the metrics", metrics.as_bytes());
            assert_no_secret("the access log", &self.memory.lock());
            assert_no_secret("the diagnostics", &said);
        }
    }
}

/// A clock at `START`.
pub(crate) fn clock() -> Arc<ManualClock> {
    ManualClock::at(START)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
