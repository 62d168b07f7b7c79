//! Traffic between the client, the proxies in front, and the app, field by field.

use crate::keys::problems;
use crate::support::http2::{ask, block_on, open};
use crate::support::tls::Authority;
use crate::support::{App, Claims, Conn, Gateway, Raw, Setup, eventually, get, post};

/// An app's answer with these fields.
fn answers(fields: &str) -> Raw {
    Raw::start(&[
        format!("HTTP/1.1 200 OK\r\nX-App: 1\r\n{fields}Content-Length: 2\r\n\r\nok").as_bytes()
    ])
}

#[test]
fn no_field_about_the_apps_connection_reaches_the_client() {
    for (fields, gone, kept) in [
        ("Keep-Alive: timeout=5, max=9\r\n", "keep-alive", ""),
        ("Proxy-Connection: keep-alive\r\n", "proxy-connection", ""),
        ("Upgrade: h2c\r\nConnection: upgrade\r\n", "upgrade", ""),
        ("Upgrade: websocket\r\n", "upgrade", ""),
        ("Connection: close, X-Hop\r\nX-Hop: 1\r\nX-End: 1\r\n", "x-hop", "x-end"),
        ("Connection: x-hop\r\nConnection: X-Other\r\nX-Hop: 1\r\nX-End: 1\r\n", "x-hop", "x-end"),
        ("Connection: content-length, x-hop\r\nX-Hop: 1\r\n", "x-hop", "content-length"),
        ("Connection: \"x\", ,=\r\nKeep-Alive: x\r\nX-End: 1\r\n", "keep-alive", "x-end"),
        ("Proxy-Authenticate: Basic\r\n", "proxy-authenticate", ""),
    ] {
        let app = answers(fields);
        let gateway = Setup::towards(&app.url).start();
        let answer = gateway.ask(&get("/"));
        assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()), "{fields}");
        assert_eq!(answer.header(gone), None, "{fields}");
        assert!(kept.is_empty() || answer.header(kept).is_some(), "{fields}: {answer:?}");
        assert_eq!(answer.all("connection").len(), 1, "{fields}");
    }
}

#[test]
fn a_length_that_is_said_twice_is_said_once() {
    for lengths in ["Content-Length: 2\r\nContent-Length: 2\r\n", "Content-Length: 2, 2\r\n"] {
        let text = format!("HTTP/1.1 200 OK\r\nX-App: 1\r\n{lengths}\r\nok");
        let app = Raw::start(&[text.as_bytes()]);
        let gateway = Setup::towards(&app.url).start();
        let answer = gateway.ask(&get("/"));
        assert_eq!((answer.status, answer.all("content-length")), (200, vec!["2"]), "{lengths}");
    }
    let app =
        Raw::start(&[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk"]);
    let gateway = Setup::towards(&app.url).start();
    gateway.ask(&get("/")).assert_refused(502, "upstream_failed");
}

#[test]
fn a_chunked_body_is_announced_once_and_in_a_version_that_has_it() {
    let once = "Transfer-Encoding: chunked\r\n";
    for (version, codings) in [
        ("HTTP/1.1", "Transfer-Encoding: chunked, Chunked\r\n"),
        ("HTTP/1.1", &once.repeat(2)),
        ("HTTP/1.0", once),
    ] {
        let text = format!("{version} 200 OK\r\nX-App: 1\r\n{codings}\r\n2\r\nok\r\n0\r\n\r\n");
        let app = Raw::start(&[text.as_bytes()]);
        let gateway = Setup::towards(&app.url).start();
        let answer = gateway.ask(&get("/"));
        assert_eq!((answer.version.as_str(), answer.status), ("HTTP/1.1", 200), "{codings}");
        assert_eq!(answer.all("transfer-encoding"), ["chunked"], "{codings}");
        assert_eq!(answer.text(), "ok", "{codings}");
    }
}

#[test]
fn an_app_that_names_its_answer_is_not_overruled() {
    let app = answers("X-Request-Id: of-the-app\r\n");
    let gateway = Setup::towards(&app.url).start();
    assert_eq!(gateway.ask(&get("/")).all("x-request-id"), ["of-the-app"]);
}

#[test]
fn forwarding_headers_are_read_from_the_right_as_far_as_proxies_are_trusted() {
    const ORIGIN: &str = "https://public.example";
    let app = App::start();
    let trusted = "trusted_proxies = [\"127.0.0.0/8\"]\ntrust_forwarded_host = true";
    let gateway = Setup::new(&app).server(trusted).start();
    let two = "203.0.113.9, 127.0.0.2";
    // The fields, and whether the origin is the site's own.
    let table: [(&[(&str, &str)], bool); 14] = [
        (&[("X-Forwarded-For", two), ("X-Forwarded-Host", "public.example, inner")], true),
        (&[("X-Forwarded-For", two), ("X-Forwarded-Host", "evil, public.example, inner")], true),
        (&[("X-Forwarded-For", two), ("X-Forwarded-Host", "public.example, x, inner")], false),
        (&[("X-Forwarded-For", two), ("X-Forwarded-Host", "public.example")], true),
        (&[("X-Forwarded-Host", "public.example, inner")], false),
        (
            &[("X-Forwarded-Host", "evil, public.example"), ("X-Forwarded-Proto", "http, https")],
            true,
        ),
        (&[("X-Forwarded-Host", "public.example"), ("X-Forwarded-Port", "443")], true),
        (&[("X-Forwarded-Host", "public.example"), ("X-Forwarded-Port", "8443")], false),
        (&[("Forwarded", "for=203.0.113.9;proto=https;host=public.example")], true),
        (&[("Forwarded", "for=203.0.113.9;host=public.example, for=127.0.0.2;host=inner")], true),
        (&[("Forwarded", "host=evil, for=6.6.6.6;host=\"public.example\"")], true),
        (&[("Forwarded", "for=203.0.113.9;host=\"public.example")], false),
        (&[("Forwarded", "host=public.example"), ("X-Forwarded-For", "203.0.113.9")], false),
        (&[("Forwarded", "host=public.example"), ("X-Forwarded-Proto", "https")], false),
    ];
    for (fields, is_own) in table {
        let head = get("/api/get-auth-token").host("inner").user("ada").header("Origin", ORIGIN);
        let head = fields.iter().fold(head, |head, (name, value)| head.header(name, value));
        let status = if is_own { 200 } else { 403 };
        assert_eq!(gateway.ask(&head).status, status, "{fields:?}");
        // From anybody else they say nothing.
        let stranger = Setup::new(&app).start();
        assert_eq!(stranger.ask(&head).status, 403, "{fields:?} of a stranger");
    }
}

#[test]
fn only_allowed_protocols_are_switched_to() {
    let tunnel = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                  Upgrade: SPDY/3.1\r\n\r\nhello";
    let app = Raw::start(&[tunnel.as_bytes()]);
    let asks = |allowed: &str| {
        let gateway = Setup::towards(&app.url).upstream(allowed).start();
        let mut conn = gateway.connect();
        let request = post("/exec", b"").header("Connection", "Upgrade, X-Hop");
        conn.write(&request.header("X-Hop", "1").header("Upgrade", "SPDY/3.1").bytes());
        let answer = conn.response_to("POST");
        (answer.status, String::from_utf8_lossy(&conn.rest()).into_owned(), app.head())
    };
    let (status, rest, head) = asks("upgrades = [\"websocket\", \"spdy/3.1\"]");
    assert_eq!((status, rest.as_str()), (101, "hello"));
    assert!(head.contains("\r\nupgrade: spdy/3.1\r\n"), "{head}");
    assert!(head.contains("\r\nconnection: upgrade\r\n") && !head.contains("x-hop"), "{head}");
    // An app that switches all the same is not followed.
    let (status, _, head) = asks("");
    assert_eq!(status, 502);
    assert!(!head.contains("upgrade"), "{head}");
}

#[test]
fn an_upgrade_is_for_the_upstream_that_allows_it() {
    let app = App::start();
    let url = app.url();
    let text = Setup::new(&app).text();
    let text = text.replace(
        &format!("[upstream]\nservers = [{url:?}]"),
        &format!(
            "[upstream.app]\nservers = [{url:?}]\nupgrades = []\n\
             [upstream.live]\nservers = [{url:?}]\nhosts = [\"live.test\"]"
        ),
    );
    let gateway = Setup::new(&app).replaced_by(text).start();
    let upgrade = crate::websocket::upgrade("/do/websocket");
    assert_eq!(gateway.ask(&upgrade.clone().host("live.test")).status, 101);
    let plain = crate::websocket::upgrade("/x").host("app.test");
    let mut conn = gateway.connect();
    assert_eq!(conn.ask(&plain).status, 200);
    assert_eq!(app.last().one("upgrade"), None);
    assert_eq!(conn.ask(&get("/again")).status, 200, "the connection is an ordinary one");
}

#[test]
fn a_head_that_cannot_be_read_is_refused_with_a_body_a_log_line_and_a_counter() {
    let app = App::start();
    for (head, status) in [
        ("GET /x HTTP/1.1\r\nHost: app.test\r\nX Foo: 1\r\n\r\n", 400),
        ("GET /x HTTP/1.1\r\nHost: app.test\r\nX-Foo[bar]: 1\r\n\r\n", 400),
        ("GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /x HTTP/1.2\r\nHost: app.test\r\n\r\n", 400),
        ("GET http://other.test/x HTTP/1.1\r\nHost: app.test\r\n\r\n", 400),
        ("no request at all\r\n\r\n", 400),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        ("CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\n\r\n", 405),
    ] {
        let gateway = Setup::new(&app).start();
        let mut conn = gateway.connect();
        // Not the first request of its connection, either.
        assert_eq!(conn.ask(&get("/first")).status, 200);
        conn.write(head.as_bytes());
        let answer = conn.response_to("GET");
        let code = if status == 405 { "method_not_allowed" } else { "bad_request" };
        answer.assert_refused(status, code);
        assert_eq!(answer.all("connection"), ["close"], "{head}");
        assert!(conn.rest().is_empty(), "{head}");
        let line = gateway.logged(2);
        assert_eq!((&line["status"], &line["reason"]), (&status.into(), &code.into()), "{head}");
        assert_eq!(line["request_id"], answer.header("x-request-id").unwrap(), "{head}");
        assert_eq!(line["client"], "127.0.0.1", "{head}");
        gateway.counts(&format!("portcullis_refusals_total{{code=\"{code}\"}}"), 1);
    }
}

#[test]
fn connect_over_http2_is_refused_with_a_body() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        let client = open(&gateway.address).await;
        let connect = http::Request::builder().method("CONNECT").uri("app.test:443");
        ask(&client, connect, &[]).await.unwrap().assert_refused(405, "method_not_allowed");
    });
    assert_eq!(gateway.logged(1)["status"], 405);
}

#[test]
fn the_body_of_an_answer_is_never_taken_for_a_refusal() {
    let body = "HTTP/1.1 400 Bad Request\r\n\r\n";
    let head = format!("HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Length: {}\r\n\r\n", body.len());
    let app = Raw::start(&[head.as_bytes(), body.as_bytes()]);
    let gateway = Setup::towards(&app.url).start();
    assert_eq!(gateway.ask(&get("/")).text(), body);
}

#[test]
fn a_target_is_escaped_as_a_browser_escapes_it() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for (target, expected) in [
        ("/a`b?c`d", "/a%60b?c`d"),
        ("/<a>?<b>", "/%3Ca%3E?%3Cb%3E"),
        ("/x?f={\"a\":[1,2]}|^", "/x?f={%22a%22:[1,2]}|^"),
    ] {
        for pieces in [1, 3] {
            app.forget();
            let bytes = get(target).bytes();
            let mut conn = gateway.connect();
            for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
                conn.write(piece);
            }
            assert_eq!(conn.response_to("GET").status, 200, "{target}");
            assert_eq!(app.only().target(), expected);
        }
    }
}

#[test]
fn a_host_with_an_empty_port_is_that_host() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    assert_eq!(gateway.ask(&get("/x").host("app.test:")).status, 200);
    assert_eq!(app.only().one("host").as_deref(), Some("app.test"));
    for host in ["app.test::", ":", "app.test:x:", "a b:"] {
        assert_eq!(gateway.ask(&get("/x").host(host)).status, 400, "{host}");
    }
}

#[test]
fn the_app_answers_the_challenge_for_a_host_without_a_certificate() {
    const PATH: &str = "/.well-known/acme-challenge/tok-en_1";
    let app = answers("");
    let authority = Authority::new();
    let tls = authority.issue(&["app.test"]).item();
    let lines = format!("redirect = \"127.0.0.1:0\"\ntls = [{tls}]");
    let gateway = Setup::towards(&app.url).server(&lines).start();
    let ask = |request: &crate::support::Request| {
        Conn::open(gateway.redirect.as_ref().unwrap()).ask(request)
    };
    let answer = ask(&get(PATH).host("new.test").header("X-Auth-User", "root"));
    assert_eq!((answer.status, answer.text()), (200, "ok".to_owned()));
    let head = app.head();
    assert!(head.starts_with(&format!("get {} ", PATH.to_lowercase())), "{head}");
    assert!(head.contains("\r\nhost: new.test\r\n") && !head.contains("root"), "{head}");
    assert_eq!(ask(&get(PATH)).status, 308, "a host with a certificate is redirected");
    for other in ["/x", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/a/b"] {
        ask(&get(other).host("new.test")).assert_refused(400, "bad_request");
    }
    ask(&post(PATH, b"").host("new.test")).assert_refused(400, "bad_request");
    assert_eq!(app.heads().len(), 1);
}

#[test]
fn a_session_may_begin_a_little_later_than_now() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let now = jsonwebtoken::get_current_timestamp();
    for (ahead, status) in [(3, 200), (9, 200), (25, 200), (90, 401)] {
        let cookie = Claims::of("ada").with("nbf", now + ahead).cookie();
        let answer = gateway.ask(&get("/api/get-auth-token").header("Cookie", &cookie));
        assert_eq!(answer.status, status, "{ahead} s ahead");
    }
}

#[test]
fn the_operator_lets_what_a_cdn_says_about_a_request_pass_and_nothing_that_changes_it() {
    let app = App::start();
    let cdn =
        [("CF-IPCountry", "DE"), ("X-Vercel-IP-Country", "DE"), ("CF-Connecting-IP", "6.6.6.6")];
    let ask = |gateway: &Gateway| {
        app.forget();
        let request = cdn.iter().fold(get("/x"), |r, (name, value)| r.header(name, value));
        assert_eq!(gateway.ask(&request).status, 200);
        let seen = app.only();
        cdn.map(|(name, _)| seen.one(&name.to_lowercase()).is_some())
    };
    assert_eq!(ask(&Setup::new(&app).start()), [false, false, false]);
    let passed = |names: &str| Setup::new(&app).upstream(&format!("pass_headers = [{names}]"));
    let gateway = passed("\"CF-IPCountry\", \"x-vercel-ip-country\"").start();
    assert_eq!(ask(&gateway), [true, true, false]);
    let own = "[[route]]\npath = \"/x\"\nset_headers = { CF-IPCountry = \"{session.country}\" }";
    let gateway = passed("\"CF-IPCountry\"").with(own).start();
    assert_eq!(ask(&gateway), [false, false, false], "the gateway's own");
    for never in ["CF-Connecting-IP", "X-HTTP-Method-Override", "X-Forwarded-For", "Remote-User"] {
        let wrong = problems(&passed(&format!("\"{never}\"")).text());
        assert!(wrong.contains("no client may set those"), "{never}: {wrong}");
    }
}

#[test]
fn no_allowed_name_is_a_spelling_of_a_verified_one() {
    let app = App::start();
    let allowed = "pass_headers = [\"api_key\", \"x_auth_user\"]";
    let gateway = Setup::new(&app).upstream(allowed).start();
    let request = get("/x").header("api_key", "1").header("X_Auth_User", "root");
    assert_eq!(gateway.ask(&request).status, 200);
    let seen = app.only();
    assert_eq!((seen.one("api_key").as_deref(), seen.one("x_auth_user")), (Some("1"), None));
    eventually("the log line", || !gateway.log().is_empty());
}
