//! No way of asking makes one user look like two.

use std::time::Duration;

use crate::support::{App, Claims, Gateway, Request, Setup, clock, cookie_of, get, post, seconds};

const PATH: &str = "/api/get-auth-token";

/// The status of each request, after `ada` has used up her allowance of one.
#[track_caller]
fn assert_same_bucket(cases: Vec<(&str, Request)>) {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = \"1/hour\"").clock(&clock).start();
    assert_eq!(gateway.token("ada").status, 200);
    for (name, request) in cases {
        assert_eq!(gateway.ask(&request).status, 429, "{name}");
    }
    assert_eq!(gateway.token("bob").status, 200, "the control");
}

#[test]
fn the_same_user_in_another_guise_is_the_same_user() {
    let ada = |claims: Claims| get(PATH).header("Cookie", &claims.cookie());
    let cookie = cookie_of("ada");
    let token = cookie.strip_prefix("session=").unwrap();
    assert_same_bucket(vec![
        ("another session", ada(Claims::of("ada").with("jti", "2"))),
        ("another expiry", ada(Claims::of("ada").with("exp", 4_100_000_000_u64))),
        ("another role", ada(Claims::of("ada").with("role", "admin"))),
        ("quoted", get(PATH).header("Cookie", &format!("session=\"{token}\""))),
        ("escaped", get(PATH).header("Cookie", &cookie.replace('.', "%2E"))),
        ("more cookies", get(PATH).header("Cookie", &format!("a=1; {cookie}; b=2"))),
        ("twice", get(PATH).header("Cookie", &format!("{cookie}; {cookie}"))),
        ("crumbs", get(PATH).header("Cookie", "a=1").header("Cookie", &cookie)),
        ("a second user behind", {
            get(PATH).header("Cookie", &format!("{cookie}; {}", cookie_of("bob")))
        }),
    ]);
}

#[test]
fn no_other_way_of_asking_gives_a_new_allowance() {
    let ada = || get(PATH).user("ada");
    assert_same_bucket(vec![
        ("a query", get(&format!("{PATH}?1")).user("ada")),
        ("an absolute target", get(&format!("http://app.test{PATH}")).user("ada")),
        ("POST", post(PATH, b"{}").user("ada")),
        ("HTTP/1.0", ada().http10()),
        ("another host", ada().host("other.test")),
        ("a port", ada().host("app.test:8080")),
        ("no-cache", ada().header("Cache-Control", "no-cache")),
        ("X-Forwarded-For", ada().header("X-Forwarded-For", "1.2.3.4")),
        ("Forwarded", ada().header("Forwarded", "for=1.2.3.4")),
        ("X-Real-IP", ada().header("X-Real-IP", "1.2.3.4")),
        ("X-Auth-User", ada().header("X-Auth-User", "bob")),
        ("another agent", ada().header("User-Agent", "curl/8")),
        ("an origin", ada().header("Origin", "http://app.test")),
        ("another language", ada().header("Accept-Language", "de")),
        ("a bypass header", ada().header("X-RateLimit-Bypass", "1")),
    ]);
}

#[test]
fn head_is_counted_like_get() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = \"2/hour\"").clock(&clock).start();
    let ask = |method: &str| gateway.ask(&Request::new(method, PATH).user("ada")).status;
    assert_eq!([ask("HEAD"), ask("HEAD"), ask("GET"), ask("HEAD")], [200, 200, 429, 429]);
}

#[test]
fn ids_that_differ_are_different_users_and_numbers_are_their_digits() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = \"1/hour\"").clock(&clock).start();
    let ask = |user: serde_json::Value| {
        let cookie = Claims::of("x").with("sub", user).cookie();
        gateway.ask(&get(PATH).header("Cookie", &cookie)).status
    };
    assert_eq!(ask(7.into()), 200);
    assert_eq!(ask("7".into()), 429, "the app prints both alike");
    for other in ["07", "7 ", " 7", "7\0", "7.0", "77", "token.portive7", "\u{665}"] {
        assert_eq!(ask(other.into()), 200, "{other:?}");
        assert_eq!(ask(other.into()), 429, "{other:?}");
    }
}

/// How many of these anonymous requests a limit of one an hour lets through.
fn admitted(setup: Setup, requests: &[Request]) -> usize {
    let route = "[[route]]\npath = \"/api/**\"\nlimit = \"1/hour\"\n";
    let gateway: Gateway = setup.with(route).clock(&clock()).start();
    requests.iter().filter(|request| gateway.ask(request).status == 200).count()
}

fn forwarded(fields: &[&str]) -> Vec<Request> {
    fields.iter().map(|value| get("/api/a").header("X-Forwarded-For", value)).collect()
}

#[test]
fn strangers_count_by_the_address_that_was_verified() {
    let app = App::start();
    let addresses = ["1.1.1.1", "2.2.2.2", "::1", "junk", "1.1.1.1, 2.2.2.2", ""];
    assert_eq!(admitted(Setup::new(&app), &forwarded(&addresses)), 1, "nobody is trusted");
    let trusting = || Setup::new(&app).server("trusted_proxies = [\"127.0.0.1\"]");
    assert_eq!(admitted(trusting(), &forwarded(&["1.1.1.1", "2.2.2.2", "3.3.3.3"])), 3);
    let one_client = [
        "1.1.1.1",
        "6.6.6.6, 1.1.1.1",
        "7.7.7.7,1.1.1.1",
        " 1.1.1.1 ",
        "::ffff:1.1.1.1",
        "1.1.1.1:4711",
        "[::ffff:1.1.1.1]:80",
        "junk, 1.1.1.1",
    ];
    assert_eq!(admitted(trusting(), &forwarded(&one_client)), 1);
    let one_subscriber = [
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8::ffff:ffff:ffff:ffff",
        "[2001:db8::3]:443",
        "2001:DB8:0:0::4",
    ];
    assert_eq!(admitted(trusting(), &forwarded(&one_subscriber)), 1, "one /64");
    assert_eq!(admitted(trusting(), &forwarded(&["2001:db8::1", "2001:db8:0:1::1"])), 2);
}

#[test]
fn strangers_cannot_slip_past_by_spelling_or_cookies() {
    let app = App::start();
    let paths =
        ["/api/a", "/api/b", "/api/a?x", "/Api/a", "/api//a", "/%61pi/a", "/api;x/a", "/api/"];
    let requests: Vec<Request> = paths.into_iter().map(get).collect();
    assert_eq!(admitted(Setup::new(&app), &requests), 1);
    let cookies = ["", "session=junk", "session=x", "a=1", "session=\"\""];
    let requests: Vec<Request> =
        cookies.into_iter().map(|cookie| get("/api/a").header("Cookie", cookie)).collect();
    assert_eq!(admitted(Setup::new(&app), &requests), 1, "a bad session is no user");
}

#[test]
fn nothing_is_gained_at_the_edge_of_a_window() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = \"10/minute\"").clock(&clock).start();
    let admitted = |asked: usize| (0..asked).filter(|_| gateway.token("ada").status == 200).count();
    assert_eq!(admitted(20), 10);
    clock.advance(Duration::from_millis(59_999));
    assert_eq!(admitted(20), 9, "a fixed window would give ten, and ten more in a moment");
    clock.advance(Duration::from_millis(1));
    assert_eq!(admitted(20), 1);
    let mut in_a_minute = 0;
    for _ in 0..60 {
        clock.advance(seconds(1));
        in_a_minute += admitted(3);
    }
    assert_eq!(in_a_minute, 10);
}

#[test]
fn asking_in_vain_neither_costs_nor_helps() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = \"1/minute\"").clock(&clock).start();
    assert_eq!(gateway.token("ada").status, 200);
    for _ in 0..50 {
        assert_eq!(gateway.token("ada").status, 429);
    }
    clock.advance(seconds(59));
    assert_eq!(gateway.token("ada").status, 429);
    clock.advance(seconds(1));
    assert_eq!(gateway.token("ada").status, 200, "refusals did not push the end back");
}

#[test]
fn another_limit_of_the_same_name_starts_no_new_count() {
    let (app, clock) = (App::start(), clock());
    let setup = |limit: &str| Setup::new(&app).token(&format!("limit = {limit}")).clock(&clock);
    let gateway = setup("\"2/hour\"").start();
    assert_eq!([gateway.token("ada").status, gateway.token("ada").status], [200, 200]);
    for limit in ["\"2/hour\"", "[\"2/hour\", \"100/day\"]", "\"2/hour\""] {
        gateway.reload(&setup(limit));
        assert_eq!(gateway.token("ada").status, 429, "{limit}");
    }
}

#[test]
fn many_users_do_not_free_one() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = \"1/hour\"").clock(&clock).start();
    assert_eq!(gateway.token("ada").status, 200);
    let mut conn = gateway.connect();
    for number in 0..1_500 {
        let request = Request::new("HEAD", PATH).user(&format!("user-{number}"));
        assert_eq!(conn.ask(&request).status, 200);
    }
    assert_eq!(gateway.token("ada").status, 429);
}
