//! Traffic to the app and back: nothing lost, nothing added that
//! was not verified.

use crate::support::{App, Conn, Request, Setup, eventually, folder, get, post};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn hop_by_hop_headers_and_what_connection_names_stay_behind() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let request = get("/x")
        .user("ada")
        .header("Connection", "keep-alive, X-Custom, x-auth-user")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic eA==")
        .header("TE", "trailers")
        .header("Trailer", "X-T")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAAQAAP__")
        .header("X-Custom", "1")
        .header("X-Other", "2");
    assert_eq!(gateway.ask(&request).status, 200);
    let seen = app.only();
    for gone in [
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "trailer",
        "upgrade",
        "http2-settings",
        "x-custom",
    ] {
        assert_eq!(seen.one(gone), None, "{gone}");
    }
    assert_eq!(seen.one("x-other").as_deref(), Some("2"));
    assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"), "set after the removal");
}

#[test]
fn connection_cannot_remove_what_the_gateway_sets() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for nominated in [
        "X-Auth-User",
        "x-auth-user, X-AUTH-USER",
        "close, x-auth-user",
        "keep-alive,x-auth-user ,x-auth-role",
        "X-Real-IP",
    ] {
        app.forget();
        let answer = gateway.ask(&get("/x").user("ada").header("Connection", nominated));
        if answer.status == 200 {
            let seen = app.only();
            assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"), "{nominated}");
            assert_eq!(seen.one("x-real-ip").as_deref(), Some("127.0.0.1"), "{nominated}");
        }
    }
    for nominated in [
        "Host",
        "X-Forwarded-For",
        "close, x-forwarded-proto",
        "Cookie",
        "keep-alive ,COOKIE",
        "authorization",
        "Origin",
    ] {
        app.forget();
        assert_eq!(gateway.ask(&get("/x").header("Connection", nominated)).status, 400);
        assert!(app.seen().is_empty(), "{nominated}");
    }
}

#[test]
fn the_app_learns_who_connected_and_believes_no_other_claim() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let request = get("/x")
        .header("X-Forwarded-For", "6.6.6.6")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "evil.test")
        .header("X-Forwarded-Port", "443")
        .header("X-Forwarded-Prefix", "/admin")
        .header("Forwarded", "for=6.6.6.6;proto=https")
        .header("X-Real-IP", "6.6.6.6");
    gateway.ask(&request);
    let seen = app.only();
    assert_eq!(seen.one("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.one("x-real-ip").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.one("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(seen.one("x-forwarded-host").as_deref(), Some("app.test"));
    for gone in ["x-forwarded-port", "x-forwarded-prefix", "forwarded"] {
        assert_eq!(seen.one(gone), None, "{gone}");
    }
}

#[test]
fn trusted_proxies_are_walked_from_the_right() {
    let app = App::start();
    let gateway =
        Setup::new(&app).server("trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]").start();
    let cases: [(&[&str], &str, &str); 9] = [
        (&[], "127.0.0.1", "127.0.0.1"),
        (&["1.2.3.4"], "1.2.3.4, 127.0.0.1", "1.2.3.4"),
        (&["6.6.6.6, 1.2.3.4"], "1.2.3.4, 127.0.0.1", "1.2.3.4"),
        (&["6.6.6.6", "1.2.3.4, 10.0.0.9"], "1.2.3.4, 10.0.0.9, 127.0.0.1", "1.2.3.4"),
        (&["::ffff:1.2.3.4"], "1.2.3.4, 127.0.0.1", "1.2.3.4"),
        (&["[2001:db8::1]:4711"], "2001:db8::1, 127.0.0.1", "2001:db8::1"),
        (&["junk"], "127.0.0.1", "127.0.0.1"),
        (&["1.2.3.4, \"x\""], "127.0.0.1", "127.0.0.1"),
        (&["1.2.3.4, , 10.0.0.9"], "10.0.0.9, 127.0.0.1", "10.0.0.9"),
    ];
    for (fields, chain, client) in cases {
        app.forget();
        let request = fields.iter().fold(get("/x"), |r, value| r.header("X-Forwarded-For", value));
        gateway.ask(&request.header("X-Forwarded-Proto", "https"));
        let seen = app.only();
        assert_eq!(seen.one("x-forwarded-for").as_deref(), Some(chain), "{fields:?}");
        assert_eq!(seen.one("x-real-ip").as_deref(), Some(client), "{fields:?}");
        assert_eq!(seen.one("x-forwarded-proto").as_deref(), Some("https"), "{fields:?}");
    }
    let fifty = vec!["10.0.0.1"; 50].join(", ");
    assert_eq!(gateway.ask(&get("/x").header("X-Forwarded-For", &fifty)).status, 200);
}

#[test]
fn the_host_is_kept_or_replaced_as_configured() {
    let app = App::start();
    let kept = Setup::new(&app).start();
    for host in ["app.test", "app.test:8080", "APP.TEST", "app.test.", "[::1]:80", "127.0.0.1"] {
        app.forget();
        assert_eq!(kept.ask(&get("/x").host(host)).status, 200, "{host}");
        assert_eq!(app.only().one("host").as_deref(), Some(host));
        assert_eq!(app.only().one("x-forwarded-host").as_deref(), Some(host));
    }
    app.forget();
    let replaced = Setup::new(&app).upstream("host = \"internal.test\"").start();
    replaced.ask(&get("/x"));
    assert_eq!(app.only().one("host").as_deref(), Some("internal.test"));
    assert_eq!(app.only().one("x-forwarded-host").as_deref(), Some("app.test"));
}

#[test]
fn an_absolute_target_becomes_a_path() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for (target, expected) in [
        ("http://app.test/a/b?c=d", "/a/b?c=d"),
        ("http://app.test", "/"),
        ("http://app.test?x=1", "/?x=1"),
        ("HTTP://app.test/a", "/a"),
    ] {
        app.forget();
        assert_eq!(gateway.ask(&get(target)).status, 200, "{target}");
        assert_eq!(app.only().target(), expected);
        assert_eq!(app.only().one("host").as_deref(), Some("app.test"));
    }
    for token in ["http://app.test/api/get-auth-token", "HTTP://app.test/api/get-auth-token?x"] {
        app.forget();
        gateway.ask(&get(token)).assert_refused(401, "not_signed_in");
        assert!(app.seen().is_empty());
    }
}

#[test]
fn targets_and_methods_pass_byte_for_byte() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for target in [
        "/",
        "/?",
        "/a?b=c%20d&e=//f?g=../h",
        "/%E2%82%AC/x.y~z",
        "/a//b",
        "/a/;p=1/b",
        "/@scope%2Fpackage",
        "/a+b/'(c)'!*,",
        "/x?next=https://evil.test/%0d%0a",
        "/x?%00=%zz",
    ] {
        app.forget();
        assert_eq!(gateway.ask(&get(target)).status, 200, "{target}");
        assert_eq!(app.only().target(), target);
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL", "QUERY", "M-SEARCH"] {
        app.forget();
        gateway.ask(&Request::new(method, "/x").header("Content-Length", "0"));
        assert_eq!(app.only().method(), method);
    }
}

#[test]
fn cookies_reach_the_app_untouched() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let cookie = crate::support::cookie_of("ada");
    let junk = format!("a=1; {cookie}; b=\"x y\"; novalue; c=%3B; =empty;d=1;;");
    gateway.ask(&get("/x").header("Cookie", &junk));
    assert_eq!(app.only().one("cookie").as_deref(), Some(junk.as_str()));
    assert_eq!(app.only().one("x-auth-user").as_deref(), Some("ada"));
}

#[test]
fn the_apps_answer_passes_unchanged() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let answer = gateway.ask(&get("/do/headers").user("ada"));
    assert_eq!(answer.text(), "plain");
    assert_eq!(answer.header("etag"), Some("\"x\""));
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.header("cache-control"), Some("public"));
    assert_eq!(answer.header("x-auth-user"), Some("app"));
    for absent in ["x-content-type-options", "server", "via", "vary", "ratelimit"] {
        assert_eq!(answer.header(absent), None, "{absent}");
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    for (request, status) in [
        (Request::new("HEAD", "/x"), 200),
        (get("/do/empty-204"), 204),
        (get("/do/not-modified").header("If-None-Match", "\"x\""), 304),
        (get("/do/range").header("Range", "bytes=2-4"), 206),
        (get("/do/early-hints"), 200),
        (get("/x"), 200),
    ] {
        let answer = conn.ask(&request);
        assert_eq!(answer.status, status);
        match status {
            206 => {
                assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
                assert_eq!(answer.text(), "234");
            }
            200 if request.method == "HEAD" => assert!(answer.header("content-length").is_some()),
            _ => {}
        }
    }
}

#[test]
fn early_hints_come_before_the_answer() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    conn.write(&get("/do/early-hints").bytes());
    let hints = conn.next_head().unwrap();
    assert_eq!((hints.status, hints.header("link")), (103, Some("</a.css>; rel=preload")));
    assert_eq!(conn.response_to("GET").text(), "after hints");
}

#[test]
fn http_1_0_clients_get_no_chunks() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    conn.write(&get("/do/chunked").http10().bytes());
    let answer = conn.response_to("GET");
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.text(), "piecepiecepiece");
    // Without a Host, which 1.0 did not know; and asking to be kept alive.
    for request in [
        get("/x").http10().without("Host"),
        get("/x").http10().header("Connection", "keep-alive"),
        get("/api/get-auth-token").http10(),
    ] {
        let answer = gateway.ask(&request);
        assert!(matches!(answer.status, 200 | 401), "{answer:?}");
        assert_eq!(answer.header("transfer-encoding"), None);
    }
}

#[test]
fn a_connection_is_kept_only_for_who_can_keep_it() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for target in ["/x", "/do/chunked", "/api/get-auth-token"] {
        for (request, is_kept) in [
            (get(target), true),
            (get(target).header("Connection", "close"), false),
            (get(target).http10(), false),
        ] {
            let mut conn = gateway.connect();
            let answer = conn.ask(&request);
            let said = if is_kept { "keep-alive" } else { "close" };
            assert_eq!(answer.header("connection"), Some(said), "{target}");
            if is_kept {
                assert_eq!(conn.ask(&request).status, answer.status, "{target}");
            } else {
                assert!(conn.is_closed(), "{target}");
            }
        }
    }
}

#[test]
fn apps_that_speak_http_1_0_or_close_are_understood() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    let old = conn.ask(&get("/do/http10"));
    assert_eq!((old.version.as_str(), old.text()), ("HTTP/1.1", "old body".to_owned()));
    assert_eq!(gateway.ask(&get("/do/close-delimited")).text(), "to the end");
    assert_eq!(gateway.ask(&get("/do/chunked")).text(), "piecepiecepiece");
}

#[test]
fn connections_to_the_app_are_reused() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    // One is free for the next request a moment after its answer.
    eventually("two requests on one connection", || {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
        let seen = app.seen();
        let connections: BTreeSet<usize> = seen.iter().map(|seen| seen.connection).collect();
        connections.len() < seen.len()
    });
}

#[test]
fn a_connection_to_the_app_that_was_idle_too_long_is_not_used_again() {
    let app = App::start();
    let gateway = Setup::new(&app).upstream("idle_timeout = \"200ms\"").start();
    assert_eq!(gateway.ask(&get("/x")).status, 200);
    app.wait_for_ended(1);
    assert_eq!(gateway.ask(&post("/x", b"abc")).status, 200);
    let connections: Vec<usize> = app.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1]);
}

#[test]
fn unix_sockets_work_on_both_sides() {
    let folder = folder();
    let app = App::on_unix_socket(&folder.join("app.sock"));
    let socket = folder.join("gateway.sock");
    let gateway = Setup::new(&app).listen(&format!("unix:{}", socket.display())).start();
    let mut conn = Conn::open(&gateway.address);
    assert_eq!(conn.ask(&get("/x").user("ada")).status, 200);
    let seen = app.only();
    assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"));
    assert_eq!(seen.one("x-forwarded-for"), None, "a unix socket has no address");
    assert_eq!(conn.ask(&get("/api/get-auth-token").user("ada")).status, 200);
    assert_eq!(conn.ask(&post("/y", b"abc")).status, 200);
    assert_eq!(app.last().wire, b"abc");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660, "owner and group, nobody else");
}
