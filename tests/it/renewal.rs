//! Sessions that are over, and an app that would renew them.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    App, Claims, Gateway, Request, START, Setup, clock, cookie_of, get, http2, post, seconds,
};

const TOKEN: &str = "/api/get-auth-token";

fn revoke(gateway: &Gateway, body: &Value) {
    let body = body.to_string();
    let rest =
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = gateway.admin("POST /revoke HTTP/1.1", &rest);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

fn with(path: &str, cookie: &str) -> Request {
    get(path).header("Cookie", cookie)
}

/// The `Cookie` that the app got from this request.
#[track_caller]
fn cookies_at_app(gateway: &Gateway, app: &App, request: &Request) -> Vec<String> {
    app.forget();
    gateway.ask(request);
    app.only().all("cookie")
}

/// The session a framework wrote, as a gateway that knows its secret is sent it.
struct Written {
    settings: String,
    cookie: String,
    now: u64,
    user: String,
}

impl Written {
    fn vector(id: &str) -> (Self, Value) {
        let kind = id.split('/').next().unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sessions");
        let text = std::fs::read(folder.join(format!("{kind}.json"))).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let found = file["vectors"].as_array().unwrap().iter().find(|vector| vector["id"] == id);
        let vector = found.unwrap().clone();
        let written = Self {
            settings: String::new(),
            cookie: vector["cookie_header"].as_str().unwrap().to_owned(),
            now: vector["now"].as_u64().unwrap(),
            user: vector["expect"]["user_id"].as_str().unwrap().to_owned(),
        };
        (written, vector["config"].clone())
    }

    /// Of a kind whose cookie holds all.
    fn of(id: &str) -> Self {
        let (written, config) = Self::vector(id);
        Self { settings: toml(&config), ..written }
    }

    fn start(&self, app: &App) -> Gateway {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nthreads = 2\n\
             [upstream]\nservers = [{:?}]\n\
             [[route]]\npath = \"/public/**\"\nsession = \"off\"\n\
             [[route]]\npath = \"/shared/**\"\nsession = \"optional\"\n\
             [[session]]\nlogout_paths = \"/logout\"\n{}",
            app.url(),
            self.settings
        );
        let clock = portcullis::testing::ManualClock::at(self.now);
        Setup::new(app).replaced_by(text).clock(&clock).start()
    }

    /// Its cookies, beside which others stand.
    fn others(&self) -> String {
        let own = ["theme=", "csrftoken=", "XSRF-TOKEN=", "_ga="];
        let parts = self.cookie.split("; ");
        parts
            .filter(|part| own.iter().any(|own| part.starts_with(own)))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// The settings of a vector as the lines of a table; tables come last.
fn toml(config: &Value) -> String {
    let members = config.as_object().unwrap().iter();
    let (tables, plain): (Vec<_>, Vec<_>) = members.partition(|(_, value)| value.is_object());
    let mut lines: Vec<_> = plain.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    for (name, table) in tables {
        lines.push(format!("[session.{name}]\n{}", toml(table)));
    }
    lines.join("\n")
}

const KINDS: [&str; 6] = [
    "better-auth/compact-cache",
    "flask/flask-login",
    "laravel/cookie-driver",
    "next-auth/basic",
    "next-auth/chunked",
    "rails/sha1-keygen-rails6",
];

#[test]
fn the_app_gets_no_cookie_of_a_users_session_that_was_revoked() {
    let app = App::start();
    for id in KINDS {
        let written = Written::of(id);
        let gateway = written.start(&app);
        for path in ["/page", "/public/page", "/shared/page"] {
            let came = cookies_at_app(&gateway, &app, &with(path, &written.cookie));
            assert_eq!(came, [written.cookie.as_str()], "{id}: {path}");
        }
        revoke(&gateway, &json!({ "user": written.user }));
        let others = written.others();
        let left: Vec<_> = Some(others).filter(|others| !others.is_empty()).into_iter().collect();
        for path in ["/page", "/public/page", "/shared/page", "/logout"] {
            let came = cookies_at_app(&gateway, &app, &with(path, &written.cookie));
            assert_eq!(came, left, "{id}: {path}");
        }
    }
}

#[test]
fn the_app_gets_no_cookie_of_a_session_it_signed_out() {
    let app = App::start();
    for id in KINDS {
        let written = Written::of(id);
        let gateway = written.start(&app);
        let came = cookies_at_app(&gateway, &app, &with("/logout", &written.cookie));
        assert_eq!(came, [written.cookie.as_str()], "{id}: the sign-out itself");
        let others = written.others();
        let left: Vec<_> = Some(others).filter(|others| !others.is_empty()).into_iter().collect();
        for path in ["/page", "/public/page", "/logout"] {
            let came = cookies_at_app(&gateway, &app, &with(path, &written.cookie));
            assert_eq!(came, left, "{id}: {path}");
        }
    }
}

/// The cookie the app sets when it renews the session of `cookie`.
fn renewed(claims: &Claims) -> Request {
    get(&format!("/do/renew?{}", claims.cookie()))
}

#[test]
fn no_renewal_by_the_app_brings_a_revoked_session_back() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let stolen = Claims::of("ada").with("iat", START - 60).cookie();
    let later = Claims::of("ada").with("iat", START + 60);
    let set = gateway.ask(&renewed(&later).header("Cookie", &stolen));
    assert_eq!(set.all("set-cookie").len(), 1, "so it goes before");
    for body in [json!({ "cookie": stolen }), json!({ "user": "ada" })] {
        revoke(&gateway, &body);
        clock.advance(seconds(60));
        let answer = gateway.ask(&renewed(&later).header("Cookie", &stolen));
        assert_eq!(answer.status, 200);
        assert!(answer.all("set-cookie").is_empty(), "{body}: {answer:?}");
        assert_eq!(gateway.ask(&with(TOKEN, &stolen)).status, 401);
    }
}

#[test]
fn a_revoked_session_does_not_reach_the_app_over_http2_or_by_an_upgrade() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    revoke(&gateway, &json!({ "user": "ada" }));
    let upgrade = get("/do/websocket")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Cookie", &format!("theme=dark; {}", cookie_of("ada")));
    assert_eq!(cookies_at_app(&gateway, &app, &upgrade), ["theme=dark"]);
    app.forget();
    http2::block_on(async {
        let client = http2::open(&gateway.address).await;
        // HTTP/2 may send each cookie as a field of its own.
        let request = http2::request("GET", "/page")
            .header("cookie", cookie_of("ada"))
            .header("cookie", "theme=dark")
            .header("cookie", cookie_of("ada"));
        assert_eq!(http2::ask(&client, request, &[]).await.unwrap().status, 200);
    });
    assert_eq!(app.only().all("cookie"), ["theme=dark"]);
}

#[test]
fn other_cookies_stay_byte_for_byte() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    revoke(&gateway, &json!({ "user": "ada" }));
    let odd = "a=\"1; 2\";b = %20;;c;  d=e=f; session2=1; mysession=2; \u{e4}=\u{f6}";
    let cookies = format!("{odd}; {}", cookie_of("ada"));
    assert_eq!(cookies_at_app(&gateway, &app, &with("/", &cookies)), [odd]);
    let both = format!("{odd}; {}", cookie_of("bob"));
    assert_eq!(cookies_at_app(&gateway, &app, &with("/", &both)), [both], "nothing to keep back");
}

#[test]
fn a_revoked_session_cannot_hide_behind_another_cookie_or_spelling() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    revoke(&gateway, &json!({ "user": "ada" }));
    let (ada, bob) = (cookie_of("ada"), cookie_of("bob"));
    let value = ada.strip_prefix("session=").unwrap();
    for (sent, left) in [
        (format!("{bob}; {ada}"), vec![bob.clone()]),
        (format!("{ada}; {bob}"), vec![]),
        (format!("session=junk; {ada}"), vec![]),
        (format!("session=; {ada}"), vec![]),
        (format!("{bob}; SESSION={value}"), vec![bob.clone()]),
        (format!("Session={value}"), vec![]),
        (format!("s%65ssion={value}"), vec![]),
        (format!("\"session\"={value}"), vec![]),
        (format!("x=1,{ada}; y=2"), vec!["y=2".to_owned()]),
        (format!("=session={value}"), vec![]),
        (format!("session ={value}"), vec![]),
    ] {
        assert_eq!(cookies_at_app(&gateway, &app, &with("/", &sent)), left, "{sent}");
    }
    app.forget();
    gateway.ask(&get("/").header("Cookie", &bob).header("Cookie", &ada));
    assert_eq!(app.only().all("cookie"), [bob], "a line of its own");
}

#[test]
fn only_the_source_whose_session_is_over_loses_its_cookies() {
    let app = App::start();
    let second = "[session]\nkind = \"jwt\"\ncookie = \"other\"\nsecret = \
                  \"canary-of-the-session-0123456789abcdef\"\n";
    let text = Setup::new(&app).with(second).text().replace("[session]", "[[session]]");
    let gateway = Setup::new(&app).replaced_by(text).start();
    let (ada, bob) = (cookie_of("ada"), cookie_of("bob").replace("session=", "other="));
    revoke(&gateway, &json!({ "user": "ada" }));
    let both = format!("{ada}; {bob}; theme=dark");
    let left = format!("{bob}; theme=dark");
    assert_eq!(cookies_at_app(&gateway, &app, &with("/", &both)), [left]);
    assert_eq!(app.only().one("x-auth-user").as_deref(), Some("bob"));
}

#[test]
fn a_session_that_has_expired_since_is_not_renewed_either() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let short = Claims::of("ada").with("iat", START).with("exp", START + 60).cookie();
    let bob = Claims::of("bob").with("exp", START + 60).cookie();
    revoke(&gateway, &json!({ "user": "ada" }));
    clock.advance(seconds(3600));
    let none: [&str; 0] = [];
    assert_eq!(cookies_at_app(&gateway, &app, &with("/", &short)), none);
    assert_eq!(cookies_at_app(&gateway, &app, &with("/", &bob)), [bob], "the app may renew his");
}

#[test]
fn signing_in_again_counts_although_the_browser_still_sends_the_old_session() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let old = Claims::of("ada").with("iat", START - 60).cookie();
    revoke(&gateway, &json!({ "user": "ada" }));
    clock.advance(seconds(5));
    let new = Claims::of("ada").with("iat", START + 5).cookie();
    app.forget();
    gateway.ask(&post("/login", b"password").header("Cookie", &old));
    assert_eq!(app.only().one("cookie"), None);
    assert_eq!(gateway.ask(&with(TOKEN, &new)).status, 200);
    assert_eq!(cookies_at_app(&gateway, &app, &with("/", &new)), [new]);
}

#[test]
fn an_answer_to_a_signed_out_session_admits_nothing_again() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).session("logout_paths = \"/logout\"").clock(&clock).start();
    let ada = Claims::of("ada");
    gateway.ask(&with("/logout", &ada.cookie()));
    clock.advance(seconds(5));
    // An app that finds her by other means, and sets the very same cookie.
    let target = format!("/do/renew?{}", ada.cookie());
    let by_other_means = with(&target, &format!("{}; remembers=session", ada.cookie()));
    assert_eq!(gateway.ask(&by_other_means).all("set-cookie").len(), 1);
    assert_eq!(gateway.ask(&with(TOKEN, &ada.cookie())).status, 401);
    // Signed in again, from a browser that has no session any more.
    assert_eq!(gateway.ask(&with(&target, "remembers=session")).all("set-cookie").len(), 1);
    assert_eq!(gateway.ask(&with(TOKEN, &ada.cookie())).status, 200);
}
