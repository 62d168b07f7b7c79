//! Forward auth: another proxy asks about each request, and is told what the app may
//! believe.

use std::os::unix::net::UnixStream;

use crate::support::http2;
use crate::support::{App, Conn, Gateway, Request, Response, Setup, clock, cookie_of, folder, get};
use crate::tokens_only::settings;

const RULES: &str = r#"
[auth]
listen = "127.0.0.1:0"
[identity]
headers = { "X-Auth-User" = "{session.user_id}" }
assertion = { key = "canary-of-the-assertion-0123456789abcdef", audience = "app" }
[token.page]
preset = "portive"
key = "PRTV_keyTwo_canaryOfTheKey0123456789abcdef"
ttl = "10m"
[[route]]
path = "/account/**"
session = "required"
sign_in = "/login?next={path}"
set_headers = { "X-Page-Token" = "{token.page}" }
[[route]]
path = "/admin/**"
session = "required"
allow = { "/role" = ["admin"] }
[[route]]
path = "/limited"
methods = ["GET", "POST"]
limit = "1/hour"
"#;

fn start() -> Gateway {
    start_with("", "")
}

fn start_with(session: &str, rest: &str) -> Gateway {
    let text = settings("", &format!("{RULES}{rest}"));
    let text = text.replace("kind = \"jwt\"", &format!("kind = \"jwt\"\n{session}"));
    Setup::towards("").replaced_by(text).clock(&clock()).start()
}

/// The question of each kind of proxy about one request.
fn questions(method: &str, target: &str) -> [Request; 4] {
    let forward = get("/auth/forward")
        .host("127.0.0.1:9191")
        .header("X-Forwarded-Method", method)
        .header("X-Forwarded-Uri", target)
        .header("X-Forwarded-Host", "app.test");
    let nginx = get("/auth/nginx").header("X-Original-Method", method);
    [
        forward,
        nginx.clone().header("X-Original-URI", target),
        nginx.header("X-Original-URL", &format!("https://app.test{target}")),
        Request::new(method, &format!("/auth/envoy{target}")),
    ]
}

#[track_caller]
fn assert_told(answer: &Response, user: &str, has_token: bool, has_assertion: bool) {
    assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{answer:?}");
    assert_eq!(answer.all("x-auth-user"), [user]);
    let sizes = ["x-page-token", "x-portcullis-assertion"].map(|name| {
        assert_eq!(answer.all(name).len(), 1, "{name}: {answer:?}");
        !answer.header(name).unwrap().is_empty()
    });
    assert_eq!(sizes, [has_token, has_assertion], "{answer:?}");
    assert_eq!(answer.header("set-cookie"), None);
}

#[test]
fn a_yes_carries_every_managed_header_empty_for_signed_out_users() {
    let gateway = start();
    for question in questions("GET", "/account/orders?x=1") {
        let answer = gateway.ask_auth(&question.user("ada"));
        assert_told(&answer, "ada", true, true);
        assert_eq!(answer.header("cookie"), Some(cookie_of("ada").as_str()));
    }
    for question in questions("GET", "/") {
        assert_told(&gateway.ask_auth(&question.clone().user("ada")), "ada", false, true);
        let answer = gateway.ask_auth(&question.header("X-Auth-User", "admin"));
        assert_told(&answer, "", false, false);
        assert_eq!(answer.header("cookie"), Some(""));
    }
}

#[test]
fn a_no_keeps_its_status_and_its_words() {
    let gateway = start();
    for question in questions("GET", "/account") {
        let answer = gateway.ask_auth(&question.clone());
        answer.assert_refused(401, "not_signed_in");
        assert_eq!(answer.header("www-authenticate"), Some("Cookie cookie-name=\"session\""));
        let answer = gateway.ask_auth(&question.navigation());
        assert_eq!((answer.status, answer.header("location")), (303, Some("/login?next=/account")));
    }
    for question in questions("GET", "/admin/x") {
        gateway.ask_auth(&question.user("ada").navigation()).assert_refused(403, "not_allowed");
    }
    for question in questions("DELETE", "/limited") {
        let answer = gateway.ask_auth(&question);
        answer.assert_refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET, POST"));
    }
    let [first, second, ..] = questions("GET", "/limited");
    assert_eq!(gateway.ask_auth(&first.user("ada")).status, 200);
    let answer = gateway.ask_auth(&second.user("ada"));
    answer.assert_refused(429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), Some("3600"));
}

#[test]
fn nginx_asks_again_for_the_words_and_never_gets_an_empty_yes() {
    let gateway = start();
    let again = |target: &str| {
        get("/auth/nginx/refused")
            .header("X-Original-Method", "GET")
            .header("X-Original-URI", target)
    };
    gateway.ask_auth(&again("/account")).assert_refused(401, "not_signed_in");
    let answer = gateway.ask_auth(&again("/account").user("ada"));
    answer.assert_refused(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.text().contains("it may pass; try again"), "{answer:?}");
}

#[test]
fn rules_see_the_path_as_the_app_will_in_all_its_readings() {
    let gateway = start();
    for target in [
        "/admin",
        "/Admin/x",
        "/%61dmin",
        "//admin",
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public/..%2Fadmin",
        "/admin;x=1",
        "/admin%2fx",
        "/admin/x.json",
        "/_next/data/BUILD/admin/x.json",
        "/admin.rsc",
        "/admin/__data.json",
        "/index.php/admin",
        "/%5cadmin",
        "/admin?x=/public",
    ] {
        for question in questions("GET", target) {
            gateway.ask_auth(&question).assert_refused(401, "not_signed_in");
        }
    }
    for question in questions("GET", "/administrator") {
        assert_eq!(gateway.ask_auth(&question).status, 200);
    }
}

#[test]
fn the_app_s_prefixes_count_without_an_upstream_too() {
    let text = settings("", RULES)
        .replace("[auth]\n", "[auth]\nlocales = [\"de\"]\nbase_path = \"/shop\"\n");
    let gateway = Setup::towards("").replaced_by(text).start();
    for target in ["/de/admin", "/shop/admin", "/shop/de/admin", "/shop/_next/data/B/de/admin.json"]
    {
        for question in questions("GET", target) {
            gateway.ask_auth(&question).assert_refused(401, "not_signed_in");
        }
    }
}

#[test]
fn two_words_for_one_thing_are_refused() {
    let gateway = start();
    let [forward, nginx, _, envoy] = questions("GET", "/account");
    for (question, name, value) in [
        (&forward, "X-Original-URI", "/"),
        (&forward, "X-Original-URL", "/"),
        (&forward, "X-Original-Method", "GET"),
        (&forward, "X-Forwarded-Uri", "/"),
        (&forward, "X-Forwarded-Method", "OPTIONS"),
        (&forward, "X-Forwarded-Host", "evil.test"),
        (&forward, "X-Forwarded-Proto", "https, http"),
        (&nginx, "X-Forwarded-Uri", "/"),
        (&nginx, "X-Forwarded-Method", "GET"),
        (&nginx, "X-Original-URI", "/"),
        (&nginx, "X-Original-URL", "https://app.test/"),
        (&envoy, "X-Forwarded-Uri", "/"),
        (&envoy, "X-Original-URI", "/"),
        (&envoy, "X_Auth_User", "admin"),
        (&envoy, "X-HTTP-Method-Override", "DELETE"),
        (&envoy, "X-Middleware-Subrequest", "middleware"),
    ] {
        let question = question.clone().user("ada").header(name, value);
        gateway.ask_auth(&question).assert_refused(400, "bad_request");
    }
    gateway.ask_auth(&get("/").user("ada")).assert_refused(404, "not_found");
}

#[test]
fn only_trusted_addresses_may_ask() {
    let text = settings("", RULES).replace("[auth]\n", "[auth]\ntrusted = [\"192.0.2.0/24\"]\n");
    let gateway = Setup::towards("").replaced_by(text).start();
    for question in questions("GET", "/") {
        gateway.ask_auth(&question.user("ada")).assert_refused(403, "not_allowed");
    }
}

#[test]
fn a_front_may_ask_over_a_unix_socket() {
    let path = folder().join("auth.sock");
    let text = settings("", RULES).replace(
        "listen = \"127.0.0.1:0\"\n[identity]",
        &format!("listen = \"unix:{}\"\n[identity]", path.display()),
    );
    let gateway = Setup::towards("").replaced_by(text).start();
    assert!(UnixStream::connect(&path).is_ok());
    let [question, ..] = questions("GET", "/account");
    let answer = Conn::open(path.to_str().unwrap()).ask(&question.user("ada"));
    assert_told(&answer, "ada", true, true);
    drop(gateway);
}

#[test]
fn anonymous_limits_count_the_client_that_the_front_names() {
    let gateway = start();
    let ask = |from: &str| {
        let [question, ..] = questions("GET", "/limited");
        gateway.ask_auth(&question.header("X-Forwarded-For", from))
    };
    assert_eq!(ask("192.0.2.1").status, 200);
    assert_eq!(ask("192.0.2.1").status, 429);
    let added_on_the_left = ask("6.6.6.6, 192.0.2.1");
    assert_eq!(added_on_the_left.status, 429, "what a client adds is its own word");
    let another = ask("192.0.2.2");
    assert_eq!(another.status, 200);
    let line = gateway.line_of(&another);
    assert_eq!(
        ["path", "method", "host", "client"]
            .map(|key| line[key].as_str().unwrap_or_default().to_owned()),
        ["/limited", "GET", "app.test", "192.0.2.2"]
    );
}

#[test]
fn a_sign_out_that_may_pass_ends_the_session_unless_another_site_asks_for_it() {
    let gateway = start_with("logout_paths = [\"POST /logout\"]", "");
    let ask = |method: &str, target: &str, origin: &str| {
        let [_, nginx, ..] = questions(method, target);
        gateway.ask_auth(&nginx.user("ada").header("Origin", origin)).status
    };
    assert_eq!(ask("POST", "/logout", "https://evil.test"), 200);
    assert_eq!(ask("GET", "/account", "https://app.test"), 200);
    assert_eq!(ask("POST", "/logout", "https://app.test"), 200);
    assert_eq!(ask("GET", "/account", "https://app.test"), 401);
    gateway.token("ada").assert_refused(401, "not_signed_in");
    let [question, ..] = questions("GET", "/");
    let answer = gateway.ask_auth(&question.user("ada"));
    assert_told(&answer, "", false, false);
    assert_eq!(answer.header("cookie"), Some(""), "the app does not get a session that is over");
}

#[test]
fn the_app_gets_no_other_session_than_the_one_that_was_judged() {
    let gateway = start();
    let both = format!("{}; {}; theme=dark", cookie_of("ada"), cookie_of("bob"));
    for question in questions("GET", "/account") {
        let answer = gateway.ask_auth(&question.header("Cookie", &both));
        let (user, cookie) =
            (answer.header("x-auth-user").unwrap(), answer.header("cookie").unwrap());
        assert_eq!(answer.status, 200);
        assert!(cookie.contains(&cookie_of(user)) && cookie.contains("theme=dark"), "{cookie}");
        let other = if user == "ada" { "bob" } else { "ada" };
        assert!(!cookie.contains(&cookie_of(other)), "{cookie}");
    }
}

#[test]
fn a_client_cannot_name_its_user_through_a_front_that_passes_its_headers_on() {
    let text = settings("", RULES);
    let (before, rest) = text.split_once("kind = \"jwt\"").unwrap();
    let (_, after) = rest.split_once("[token.portive]").unwrap();
    let gate = "kind = \"trusted-header\"\nheader = \"X-Gate-User\"\n";
    let start = |server: &str| {
        let before = before.replace("[session]", &format!("{server}\n[session]"));
        let text = format!("{before}{gate}[token.portive]{after}");
        Setup::towards("").replaced_by(text).start()
    };
    for (server, status) in
        [("trusted_proxies = [\"192.0.2.1\"]", 401), ("trusted_proxies = [\"127.0.0.1\"]", 200)]
    {
        let gateway = start(server);
        for question in questions("GET", "/account") {
            let answer = gateway.ask_auth(&question.header("X-Gate-User", "admin"));
            assert_eq!(answer.status, status, "{server} {answer:?}");
        }
    }
}

#[test]
fn another_gates_header_is_refused_unless_that_gate_is_in_front() {
    let words = ["Remote-User", "X-Forwarded-User", "X-WEBAUTH-USER", "X-Authenticated-User"];
    let gateway = start();
    for name in words {
        for question in questions("GET", "/") {
            gateway
                .ask_auth(&question.user("ada").header(name, "admin"))
                .assert_refused(400, "bad_request");
        }
    }
    let text = settings("", RULES);
    let (before, rest) = text.split_once("kind = \"jwt\"").unwrap();
    let (_, after) = rest.split_once("[token.portive]").unwrap();
    let before = before.replace("[session]", "trusted_proxies = [\"127.0.0.1\"]\n[session]");
    let gate = "kind = \"trusted-header\"\nheader = \"X-Forwarded-User\"\n";
    let text = format!("{before}{gate}[token.portive]{after}");
    let gateway = Setup::towards("").replaced_by(text).start();
    for question in questions("GET", "/") {
        let question = question.header("X-Forwarded-User", "ada");
        let beside = question.clone().header("X-Forwarded-Email", "ada@example.com");
        assert_told(&gateway.ask_auth(&beside), "ada", false, true);
        let other = question.header("Remote-User", "admin");
        gateway.ask_auth(&other).assert_refused(400, "bad_request");
    }
}

#[test]
fn a_preflight_of_a_guarded_page_does_not_pass() {
    let gateway = start();
    for (target, status) in [("/account", 401), ("/", 200)] {
        for question in questions("OPTIONS", target) {
            let question = question
                .user("ada")
                .header("Origin", "https://other.test")
                .header("Access-Control-Request-Method", "GET");
            let answer = gateway.ask_auth(&question);
            assert_eq!(answer.status, status, "{target}: {answer:?}");
        }
    }
}

#[test]
fn a_prefetch_mints_nothing_and_the_header_is_there() {
    let gateway = start();
    let [question, ..] = questions("GET", "/account");
    let answer = gateway.ask_auth(&question.user("ada").header("Sec-Purpose", "prefetch"));
    assert_told(&answer, "ada", false, true);
    assert_eq!(gateway.metric("portcullis_mints_total{token=\"page\"}"), 0);
}

#[test]
fn a_malformed_grpc_question_and_one_from_elsewhere_are_refused() {
    const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
    let ask = |gateway: &Gateway, frames: &[&'static [u8]]| {
        let address = gateway.auth.as_ref().unwrap();
        http2::block_on(async {
            let client = http2::open(address).await;
            http2::ask(&client, http2::request("POST", CHECK), frames).await.unwrap()
        })
    };
    let gateway = start();
    for frames in [&[&b""[..]][..], &[b"\0\0\0\0\x01\xff"], &[b"\x01\0\0\0\0"], &[b"\0\0\0\0\x09"]]
    {
        let answer = ask(&gateway, frames);
        assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("3")), "{frames:?}");
    }
    let text = settings("", RULES).replace("[auth]\n", "[auth]\ntrusted = [\"192.0.2.0/24\"]\n");
    let gateway = Setup::towards("").replaced_by(text).start();
    assert_eq!(ask(&gateway, &[b"\0\0\0\0\0"]).header("grpc-status"), Some("7"));
}

#[test]
fn the_normal_listener_hands_out_tokens_and_nothing_else() {
    let gateway = start();
    gateway.token("ada").auth_token();
    for question in questions("GET", "/account") {
        gateway.ask(&question.user("ada")).assert_refused(404, "not_found");
    }
}

#[test]
fn an_app_behind_the_gateway_and_another_proxy_at_once() {
    let app = App::start();
    let gateway = Setup::new(&app).with("[auth]\nlisten = \"127.0.0.1:0\"").start();
    assert!(gateway.ask(&get("/").user("ada")).is_from_app());
    let [question, ..] = questions("GET", "/");
    let answer = gateway.ask_auth(&question.user("ada"));
    assert_eq!((answer.status, answer.header("x-auth-user")), (200, Some("ada")));
    assert_eq!(answer.header("x-auth-role"), Some(""));
    assert!(!answer.is_from_app());
}
