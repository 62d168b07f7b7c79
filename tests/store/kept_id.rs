//! Apps that keep a session's id when somebody signs in or out: the gateway follows the
//! app, although it remembers what the store said.

use crate::app::{cookie, setup, sign_in, sign_out};
use crate::servers::{Server, redis};
use crate::support::{App, Gateway, Request, clock, get, seconds};

const ID: &str = "keptFromOneUserToTheNext01234567";
const FOR_LONG: u64 = 60;

struct Setting {
    app: App,
    server: Server,
    gateway: Gateway,
}

impl Setting {
    fn start() -> Self {
        let (app, server) = (App::start(), redis(""));
        let gateway = setup(&app, &server.url("redis"), FOR_LONG).start();
        Self { app, server, gateway }
    }

    fn ask(&self, method: &str, path: &str) -> u16 {
        let status = self.gateway.ask(&self.request(method, path)).status;
        self.gateway.settle();
        status
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, path).header("Cookie", &cookie(ID))
    }

    /// Whom the app is told of.
    fn user(&self) -> Option<String> {
        self.app.forget();
        assert_eq!(self.gateway.ask(&get("/public").header("Cookie", &cookie(ID))).status, 200);
        self.app.only().one("x-auth-user")
    }
}

#[test]
fn after_any_request_that_may_sign_somebody_in_or_out_the_store_is_asked_again() {
    let setting = Setting::start();
    let changes = [
        ("POST", "/login"),
        ("PUT", "/session"),
        ("PATCH", "/session"),
        ("DELETE", "/session"),
        ("LOGIN", "/session"),
        ("GET", "/do/redirect"),
        ("POST", "/do/truncated"),
        ("POST", "/do/drop"),
    ];
    for (method, path) in changes {
        sign_in(&setting.server, ID, "ada");
        setting.ask("POST", "/login");
        assert_eq!(setting.user().as_deref(), Some("ada"), "{method} {path}");
        sign_in(&setting.server, ID, "bob");
        for only_read in ["GET", "HEAD", "OPTIONS"] {
            setting.ask(only_read, "/news");
            setting.ask(only_read, "/do/not-modified");
        }
        assert_eq!(setting.user().as_deref(), Some("ada"), "{method} {path}: remembered");
        let request = setting.request(method, path).header("Connection", "close");
        let mut client = setting.gateway.connect();
        client.write(&request.bytes());
        client.rest();
        setting.gateway.settle();
        assert_eq!(setting.user().as_deref(), Some("bob"), "{method} {path}");
    }
    sign_out(&setting.server, ID);
    setting.ask("POST", "/logout");
    assert_eq!(setting.user(), None);
}

#[test]
fn a_sign_in_is_not_met_by_the_refusal_of_a_moment_ago() {
    let setting = Setting::start();
    for round in 0..10 {
        sign_out(&setting.server, ID);
        assert_eq!(setting.ask("POST", "/logout"), 200);
        assert_eq!(setting.ask("GET", "/private/x"), 401, "{round}");
        sign_in(&setting.server, ID, "ada");
        assert_eq!(setting.ask("POST", "/login"), 200);
        assert_eq!(setting.ask("GET", "/private/x"), 200, "{round}");
    }
}

#[test]
fn an_app_may_save_the_session_after_the_head_of_its_answer() {
    let setting = Setting::start();
    sign_in(&setting.server, ID, "ada");
    let mut client = setting.gateway.connect();
    client.write(&setting.request("POST", "/do/late-body").bytes());
    assert_eq!(client.next_head().unwrap().status, 200);
    assert_eq!(setting.user().as_deref(), Some("ada"), "and this is remembered");
    sign_in(&setting.server, ID, "bob");
    setting.app.open_gate();
    assert_eq!(client.exactly(4), b"body");
    setting.gateway.settle();
    assert_eq!(setting.user().as_deref(), Some("bob"));
}

#[test]
fn where_the_answer_is_not_seen_nothing_is_remembered_while_the_app_may_act() {
    let (app, server, clock) = (App::start(), redis(""), clock());
    let asked = "[auth]\nlisten = \"127.0.0.1:0\"";
    let setup = setup(&app, &server.url("redis"), FOR_LONG);
    let text = format!("{}\n{asked}\n", setup.text());
    let gateway = setup.replaced_by(text).clock(&clock).start();
    let user = |method: &str, path: &str| {
        let question = get("/auth/nginx").header("Cookie", &cookie(ID));
        let question = question.header("X-Original-Method", method).header("X-Original-URI", path);
        let answer = gateway.ask_auth(&question);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("x-auth-user").unwrap().to_owned()
    };
    sign_in(&server, ID, "ada");
    assert_eq!(user("GET", "/"), "ada");
    assert_eq!(user("POST", "/switch"), "ada", "remembered");
    for (after, name) in [(0, "bob"), (3, "eve"), (1, "grace")] {
        clock.advance(seconds(after));
        sign_in(&server, ID, name);
        assert_eq!(user("GET", "/"), name, "the app may have acted now");
    }
    clock.advance(seconds(2));
    assert_eq!(user("GET", "/"), "grace");
    sign_in(&server, ID, "heidi");
    assert_eq!(user("GET", "/"), "grace", "remembered again");
}
