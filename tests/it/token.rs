//! The token endpoint as HTTP: methods, bodies, cache headers, freshness.

use std::collections::HashSet;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;

use crate::support::{App, Claims, Gateway, Request, START, Setup, clock, get, post, seconds};

const PATH: &str = "/api/get-auth-token";

/// The claims of the token, if its vendor would accept it.
fn claims(token: &str) -> Value {
    let key = DecodingKey::from_secret(b"canaryOfTheKey0123456789abcdef");
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    decode::<Value>(token, &key, &validation).unwrap().claims
}

fn mints(gateway: &Gateway) -> u64 {
    gateway.metric("portcullis_mints_total{token=\"portive\"}")
}

#[test]
fn get_and_post_are_answered_with_the_token_and_nothing_else() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    for request in [get(PATH), post(PATH, b"{}"), post(PATH, b""), get(&format!("{PATH}?a=b"))] {
        let answer = gateway.ask(&request.user("ada"));
        let token = answer.auth_token();
        assert_eq!(answer.json().as_object().unwrap().len(), 1);
        assert!(answer.header("content-type").unwrap().starts_with("application/json"));
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
        assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.as_deref(), Some("keyOne"));
        let claims = claims(&token);
        assert_eq!(claims["exp"].as_u64(), Some(START + 60), "{claims}");
    }
    assert!(app.seen().is_empty(), "the app was asked");
}

#[test]
fn other_methods_are_refused_with_those_that_work() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get", "Post", "GETX"] {
        for signed_in in [true, false] {
            let request = Request::new(method, PATH).header("Content-Length", "0");
            let answer = gateway.ask(&if signed_in { request.user("ada") } else { request });
            answer.assert_refused(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some("GET, POST"), "{method}");
        }
    }
    for method in ["TRACE", "TRACK"] {
        gateway
            .ask(&Request::new(method, PATH).user("ada"))
            .assert_refused(405, "method_not_allowed");
    }
    assert_eq!(gateway.ask(&Request::new("CONNECT", "app.test:80")).status, 405);
    assert!(app.seen().is_empty());
}

#[test]
fn head_has_the_headers_of_get_and_mints_nothing() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let head = gateway.ask(&Request::new("HEAD", PATH).user("ada"));
    assert_eq!(mints(&gateway), 0);
    let answer = gateway.token("ada");
    assert_eq!((head.status, answer.status, mints(&gateway)), (200, 200, 1));
    for name in ["content-type", "cache-control", "vary", "ratelimit-policy"] {
        assert_eq!(head.header(name), answer.header(name), "{name}");
    }
    assert_eq!(head.header("ratelimit"), Some("\"portive\";r=29;t=2"), "HEAD counts");
    assert_eq!(answer.header("ratelimit"), Some("\"portive\";r=28;t=4"));
    gateway.ask(&Request::new("HEAD", PATH)).check();
    assert_eq!(gateway.ask(&Request::new("HEAD", PATH)).status, 401);
}

#[test]
fn conditions_ranges_and_codings_change_nothing() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let plain = gateway.token("ada");
    for (name, value) in [
        ("If-None-Match", "*"),
        ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ("If-Match", "\"x\""),
        ("Range", "bytes=0-3"),
        ("Accept-Encoding", "gzip, br, zstd"),
        ("Accept", "text/html"),
        ("Accept", "image/png"),
        ("Content-Type", "text/plain"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Upgrade-Insecure-Requests", "1"),
        ("Prefer", "return=minimal"),
    ] {
        let answer = gateway.ask(&get(PATH).user("ada").header(name, value));
        assert_eq!(answer.status, 200, "{name}: {value}");
        assert_eq!(answer.body.len(), plain.body.len(), "{name}: {value}");
        assert_eq!(answer.header("content-encoding"), None);
        assert_eq!(answer.header("content-type"), plain.header("content-type"));
    }
}

#[test]
fn a_page_being_opened_gets_neither_html_nor_a_redirect() {
    let app = App::start();
    let route = "[[route]]\npath = \"/api/**\"\nsession = \"required\"\nsign_in = \"/login\"";
    let gateway = Setup::new(&app).with(route).start();
    let answer = gateway.ask(&get(PATH).navigation());
    answer.assert_refused(401, "not_signed_in");
    assert_eq!(answer.header("www-authenticate"), Some("Cookie cookie-name=\"session\""));
    gateway.ask(&Request::new("PUT", PATH).navigation()).assert_refused(405, "method_not_allowed");
    assert_eq!(gateway.ask(&get("/api/other").navigation()).status, 303, "the route does redirect");
}

#[test]
fn bodies_are_read_up_to_a_limit_and_never_taken_for_a_request() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let smuggled = b"GET /admin HTTP/1.1\r\nHost: app.test\r\n\r\n";
    for length in [0, 1, smuggled.len(), 64 * 1024] {
        let mut conn = gateway.connect();
        let body: Vec<u8> = smuggled.iter().copied().cycle().take(length).collect();
        assert_eq!(conn.ask(&post(PATH, &body).user("ada")).status, 200, "{length}");
        assert_eq!(conn.ask(&get(PATH).user("ada")).status, 200, "kept alive after {length}");
    }
    let small = Setup::new(&app).server("max_token_body = \"1KiB\"").start();
    for (gateway, length) in [(&gateway, 64 * 1024 + 1), (&gateway, 200_000), (&small, 1025)] {
        let mut conn = gateway.connect();
        drop(conn.try_write(&post(PATH, &vec![b'x'; length]).user("ada").bytes()));
        conn.response_to("POST").assert_refused(413, "too_large");
        // Closed, or ready for the next request: never in the middle of a body.
        drop(conn.try_write(&get(PATH).user("ada").bytes()));
        let next = conn.try_response_to("GET").map(|answer| answer.status);
        assert!(matches!(next, None | Some(200)), "{length}: {next:?}");
    }
    small.counts("portcullis_refusals_total{code=\"too_large\"}", 1);
    assert!(app.seen().is_empty());
}

#[test]
fn a_body_that_is_announced_as_too_long_is_not_waited_for() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for length in ["65537", "100000000000", "999999999999999999"] {
        for expect in [None, Some("100-continue")] {
            let request = Request::new("POST", PATH).user("ada").header("Content-Length", length);
            let request = match expect {
                Some(expect) => request.header("Expect", expect),
                None => request,
            };
            let mut conn = gateway.connect();
            conn.write(&request.bytes());
            conn.response_to("POST").assert_refused(413, "too_large");
            assert!(conn.is_closed(), "{length}");
        }
    }
    assert!(app.seen().is_empty());
}

#[test]
fn chunked_bodies_are_bounded_alike() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let chunked = |chunks: usize| {
        let mut body = Vec::new();
        for _ in 0..chunks {
            body.extend_from_slice(b"1000\r\n");
            body.extend_from_slice(&[b'x'; 4096]);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        Request::new("POST", PATH)
            .user("ada")
            .header("Transfer-Encoding", "chunked")
            .raw_body(&body)
    };
    assert_eq!(gateway.ask(&chunked(2)).status, 200);
    let mut conn = gateway.connect();
    drop(conn.try_write(&chunked(40).bytes()));
    conn.response_to("POST").assert_refused(413, "too_large");
    assert!(conn.is_closed());
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    let request = Request::new("POST", PATH)
        .user("ada")
        .header("Content-Length", "4")
        .header("Expect", "100-continue");
    conn.write(&request.bytes());
    assert_eq!(conn.next_head().unwrap().status, 100);
    conn.write(b"body");
    assert_eq!(conn.response_to("POST").status, 200);
}

#[test]
fn a_token_is_served_from_the_cache_until_a_fifth_of_its_life_is_left() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let first = gateway.token("ada").auth_token();
    clock.advance(seconds(47));
    assert_eq!(gateway.token("ada").auth_token(), first);
    assert_eq!(mints(&gateway), 1);
    clock.advance(seconds(1));
    let second = gateway.token("ada").auth_token();
    assert_ne!(second, first);
    assert_eq!(claims(&second)["exp"].as_u64(), Some(START + 48 + 60));
}

#[test]
fn no_cache_asks_for_a_fresh_token_which_then_serves_the_others() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let first = gateway.token("ada").auth_token();
    for value in ["no-cache", "max-age=0, No-Cache", "NO-CACHE"] {
        clock.advance(seconds(1));
        let fresh = gateway.ask(&get(PATH).user("ada").header("Cache-Control", value)).auth_token();
        assert_ne!(fresh, first, "{value}");
        assert_eq!(gateway.token("ada").auth_token(), fresh, "{value}");
    }
    for value in ["max-age=0", "no-cached", "x-no-cache", "no-store"] {
        clock.advance(seconds(1));
        let answer = gateway.ask(&get(PATH).user("ada").header("Cache-Control", value));
        assert_eq!(claims(&answer.auth_token())["exp"].as_u64(), Some(START + 63), "{value}");
    }
}

#[test]
fn users_never_share_a_cached_token() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for user in ["ada", "ADA", "ada ", "bob", "ada:bob", "1", "ада", "a/../ada"] {
        assert_eq!(gateway.token(user).status, 200, "{user}");
    }
    assert_eq!(mints(&gateway), 8, "one for each");
    // A second session of the same user is the same user.
    let other_session = Claims::of("ada").with("jti", 7).cookie();
    assert_eq!(gateway.ask(&get(PATH).header("Cookie", &other_session)).status, 200);
    assert_eq!(mints(&gateway), 8);
}

#[test]
fn the_connection_is_kept_after_every_kind_of_answer() {
    let app = App::start();
    let gateway = Setup::new(&app).token("limit = \"1/hour\"").start();
    let mut conn = gateway.connect();
    let statuses: Vec<u16> = [
        get(PATH).user("ada"),
        get(PATH).user("ada"),
        get(PATH),
        Request::new("PUT", PATH).user("ada"),
        get(PATH).user("ada").header("Origin", "https://evil.test"),
        get("/x"),
        Request::new("HEAD", PATH).user("bob"),
        get("/x"),
    ]
    .iter()
    .map(|request| conn.ask(request).status)
    .collect();
    assert_eq!(statuses, [200, 429, 401, 405, 403, 200, 200, 200]);
}

#[test]
fn each_answer_is_one_line_of_the_log_without_user_or_token() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    gateway.token("ada@example.org");
    let line = gateway.logged(1);
    assert_eq!(line["route"], "token.portive");
    assert_eq!((&line["outcome"], &line["reason"]), (&"issued".into(), &"minted".into()));
    assert_eq!(line["status"], 200);
    assert!(!line.to_string().contains("example.org"), "{line}");
    gateway.ask(&get("/api/get-auth-token?key=value"));
    let line = gateway.logged(2);
    assert_eq!((&line["outcome"], &line["reason"]), (&"refused".into(), &"missing".into()));
    assert!(!line.to_string().contains("key=value"), "{line}");
    let users: HashSet<String> =
        gateway.log().iter().map(|line| line["user"].to_string()).collect();
    assert_eq!(users.len(), 2, "one user, and nobody");
}
