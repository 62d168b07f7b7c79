//! HTTP/2 clients in front of an HTTP/1.1 app: nothing is lost or added on the
//! way down.

use std::future::poll_fn;

use bytes::Bytes;

use crate::support::http2::{ask, block_on, open, request, send_raw};
use crate::support::{App, Setup, cookie_of, get};

#[test]
fn tokens_and_pages_are_served() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        let client = open(&gateway.address).await;
        let cookie = cookie_of("ada");
        let token = request("GET", "/api/get-auth-token").header("cookie", &cookie);
        let answer = ask(&client, token, &[]).await.unwrap();
        assert!(!answer.auth_token().is_empty());
        assert_eq!(answer.header("ratelimit"), Some("\"portive\";r=29;t=2"));
        assert_eq!(answer.header("connection"), None);
        let refused = ask(&client, request("GET", "/api/get-auth-token"), &[]).await.unwrap();
        refused.assert_refused(401, "not_signed_in");
        let head = request("HEAD", "/api/get-auth-token").header("cookie", &cookie);
        assert_eq!(ask(&client, head, &[]).await.unwrap().status, 200);
        let posted = request("POST", "/api/get-auth-token").header("cookie", &cookie);
        assert_eq!(ask(&client, posted, &[b"{}"]).await.unwrap().status, 200);
        assert!(app.seen().is_empty());
        let page = request("GET", "/x?y=1").header("cookie", &cookie).header("x-auth-user", "root");
        assert_eq!(ask(&client, page, &[]).await.unwrap().json()["target"], "/x?y=1");
        let seen = app.only();
        assert_eq!(seen.one("host").as_deref(), Some("app.test"));
        assert_eq!(seen.one("x-forwarded-host").as_deref(), Some("app.test"));
        assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"));
    });
}

#[test]
fn cookie_crumbs_are_joined_for_the_check_and_for_the_app() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let cookie = cookie_of("ada");
    block_on(async {
        let client = open(&gateway.address).await;
        let crumbs = |builder: http::request::Builder| {
            builder.header("cookie", "a=1").header("cookie", &cookie).header("cookie", "b=2")
        };
        let page = ask(&client, crumbs(request("GET", "/x")), &[]).await.unwrap();
        assert_eq!(page.status, 200);
        let token = ask(&client, crumbs(request("GET", "/api/get-auth-token")), &[]).await.unwrap();
        assert_eq!(token.status, 200);
    });
    let seen = app.only();
    assert_eq!(seen.one("cookie"), Some(format!("a=1; {cookie}; b=2")));
    assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"));
}

#[test]
fn an_upload_without_a_length_ends_with_exactly_one_terminator() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let uploads: [&[&'static [u8]]; 7] = [
        &[b"hello"],
        &[b"hello", b""],
        &[b""],
        &[b"hel", b"", b"lo"],
        &[b"", b"hello"],
        &[b"hel", b"lo", b"", b""],
        &[b"a", b"b", b"c", b"d", b"e"],
    ];
    block_on(async {
        let client = open(&gateway.address).await;
        for frames in uploads {
            app.forget();
            let answer = ask(&client, request("POST", "/x"), frames).await.unwrap();
            assert_eq!(answer.json()["body"], String::from_utf8(frames.concat()).unwrap());
            let next = ask(&client, request("GET", "/next"), &[]).await.unwrap();
            assert_eq!(next.json()["target"], "/next");
            let seen = app.seen();
            assert_eq!(seen.len(), 2, "{frames:?}: {seen:?}");
            let wire = String::from_utf8(seen[0].wire.clone()).unwrap();
            assert_eq!(wire.matches("0\r\n\r\n").count(), 1, "{frames:?}: {wire:?}");
            assert_eq!(seen[1].method(), "GET", "{frames:?}: {seen:?}");
        }
    });
}

#[test]
fn an_upload_with_a_length_keeps_it() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        let client = open(&gateway.address).await;
        let upload = request("POST", "/x").header("content-length", "5");
        assert_eq!(ask(&client, upload, &[b"he", b"llo"]).await.unwrap().status, 200);
    });
    let seen = app.only();
    assert_eq!((seen.one("content-length").as_deref(), seen.wire), (Some("5"), b"hello".to_vec()));
}

#[test]
fn events_arrive_one_by_one() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        let client = open(&gateway.address).await.ready().await.unwrap();
        let events = request("GET", "/do/sse").body(()).unwrap();
        let (response, _) = client.clone().send_request(events, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let first = poll_fn(|context| body.poll_data(context)).await.unwrap().unwrap();
        assert_eq!(first, Bytes::from_static(b"data: 1\n\n"));
        app.open_gate();
        let second = poll_fn(|context| body.poll_data(context)).await.unwrap().unwrap();
        assert_eq!(second, Bytes::from_static(b"data: 2\n\n"));
    });
}

#[test]
fn streams_share_a_connection_and_nothing_else() {
    let app = App::start();
    let clock = crate::support::clock();
    let gateway = Setup::new(&app).clock(&clock).start();
    let statuses = block_on(async {
        let client = open(&gateway.address).await;
        let asked: Vec<_> = (0..80)
            .map(|number| {
                let client = client.clone();
                tokio::spawn(async move {
                    let user = if number % 2 == 0 { "ada" } else { "bob" };
                    let token = request("GET", "/api/get-auth-token");
                    let token = token.header("cookie", cookie_of(user));
                    let status = ask(&client, token, &[]).await.unwrap().status;
                    let page = request("GET", &format!("/{number}"));
                    let page = ask(&client, page.header("cookie", cookie_of(user)), &[]).await;
                    let page = page.unwrap().json();
                    assert_eq!(page["target"], format!("/{number}"));
                    assert!(page["fields"].to_string().contains(user));
                    status
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for status in asked {
            statuses.push(status.await.unwrap());
        }
        statuses
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 60, "thirty each");
}

#[test]
fn refusals_look_the_same_as_over_http_1() {
    let app = App::start();
    let route = "[[route]]\npath = \"/admin/**\"\nsession = \"required\"\nsign_in = \"/login?next={path}\"\n";
    let gateway = Setup::new(&app).with(route).start();
    block_on(async {
        let client = open(&gateway.address).await;
        for (builder, status) in [
            (request("GET", "/admin/x"), 401),
            (request("GET", "/admin/x").header("sec-fetch-mode", "navigate"), 303),
            (request("GET", "/Admin/x"), 401),
            (request("GET", "/x/../admin/x"), 401),
            (request("GET", "/%2e%2e/admin"), 401),
            (request("GET", "/x%00"), 400),
            (request("PUT", "/api/get-auth-token"), 405),
            (request("TRACE", "/x"), 405),
            (request("GET", "/x").header("big", "x".repeat(40_000)), 431),
            (request("GET", "/do/drop"), 502),
        ] {
            let path = builder.uri_ref().unwrap().path().to_owned();
            let answer = ask(&client, builder, &[]).await.unwrap();
            assert_eq!(answer.status, status, "{path}");
            if status == 303 {
                assert_eq!(answer.header("location"), Some("/login?next=/admin/x"));
            }
        }
    });
}

#[test]
fn a_connect_request_opens_no_tunnel() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        let client = open(&gateway.address).await;
        let tunnel = http::Request::builder().method("CONNECT").uri("evil.test:443");
        if let Ok(answer) = ask(&client, tunnel, &[]).await {
            assert_eq!(answer.status, 405);
        }
        assert_eq!(ask(&client, request("GET", "/x"), &[]).await.unwrap().status, 200);
    });
    assert_eq!(app.only().target(), "/x");
}

#[test]
fn a_flood_of_cancelled_streams_harms_no_other_client() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        let client = open(&gateway.address).await;
        for _ in 0..2_000 {
            // The gateway may end such a connection at any point.
            let Ok(mut ready) = client.clone().ready().await else { break };
            let Ok((response, mut stream)) =
                ready.send_request(request("POST", "/do/slow").body(()).unwrap(), false)
            else {
                break;
            };
            stream.send_reset(h2::Reason::CANCEL);
            drop(response);
        }
    });
    app.open_gate();
    assert_eq!(gateway.ask(&get("/x")).status, 200);
    crate::support::eventually("nothing in flight", || gateway.live.in_flight() == 0);
}

#[test]
fn without_http2_its_preface_is_not_a_request() {
    let app = App::start();
    let gateway = Setup::new(&app).server("http2 = false").start();
    let mut conn = gateway.connect();
    conn.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00");
    let answer = String::from_utf8_lossy(&conn.rest()).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(app.seen().is_empty());
}

/// A field as bytes.
type Field = (&'static [u8], &'static [u8]);

const GET: [Field; 4] =
    [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"app.test"), (b":path", b"/x")];

/// A name, fields, and a body.
type Case = (&'static str, Vec<Field>, Option<&'static [u8]>);

/// `GET` with these pseudo-fields instead and these fields after them.
fn fields(replaced: &[Field], more: &[Field]) -> Vec<Field> {
    let mut fields = GET.to_vec();
    for (name, value) in replaced {
        fields.iter_mut().filter(|(own, _)| own == name).for_each(|field| field.1 = value);
    }
    fields.extend_from_slice(more);
    fields
}

#[test]
fn requests_that_http_1_cannot_express_unambiguously_stop_here() {
    const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let app = App::start();
    let gateway = Setup::new(&app).start();
    send_raw(&gateway.address, &fields(&[], &[]), None);
    assert_eq!(app.only().target(), "/x", "the control");
    let cases: Vec<Case> = vec![
        ("no slash", fields(&[(b":path", b"x")], &[]), None),
        ("no path", fields(&[(b":path", b"")], &[]), None),
        ("an asterisk", fields(&[(b":path", b"*")], &[]), None),
        ("a blank", fields(&[(b":path", b"/x /admin")], &[]), None),
        ("a line end", fields(&[(b":path", b"/x HTTP/1.1\r\nX-Auth-User: root\r\n")], &[]), None),
        ("a NUL", fields(&[(b":path", b"/x\0")], &[]), None),
        ("not text", fields(&[(b":path", b"/x\xff")], &[]), None),
        ("a hash", fields(&[(b":path", b"/x#/../admin")], &[]), None),
        (
            "a line end in the method",
            fields(&[(b":method", b"GET /admin HTTP/1.1\r\n")], &[]),
            None,
        ),
        ("a blank in the method", fields(&[(b":method", b"GET /admin")], &[]), None),
        ("no method", fields(&[(b":method", b"")], &[]), None),
        ("a path in the authority", fields(&[(b":authority", b"app.test/admin")], &[]), None),
        ("a user in the authority", fields(&[(b":authority", b"a@app.test")], &[]), None),
        ("an empty authority", fields(&[(b":authority", b"")], &[]), None),
        ("a line end in the authority", fields(&[(b":authority", b"a\r\nX: y")], &[]), None),
        ("another host", fields(&[], &[(b"host", b"evil.test")]), None),
        ("two hosts", fields(&[], &[(b"host", b"app.test"), (b"host", b"evil.test")]), None),
        ("two paths", fields(&[], &[(b":path", b"/admin")]), None),
        ("a pseudo-field at the end", fields(&[], &[(b"a", b"b"), (b":path", b"/admin")]), None),
        ("an unknown pseudo-field", fields(&[], &[(b":user", b"root")]), None),
        ("capitals", fields(&[], &[(b"X-Auth-User", b"root")]), None),
        ("a blank in a name", fields(&[], &[(b"x auth", b"root")]), None),
        ("a colon in a name", fields(&[], &[(b"x: root\r\ny", b"z")]), None),
        ("a line end in a name", fields(&[], &[(b"x\r\nx-auth-user", b"root")]), None),
        ("a line end in a value", fields(&[], &[(b"x", b"y\r\nx-auth-user: root")]), None),
        ("a bare LF in a value", fields(&[], &[(b"x", b"y\nx-auth-user: root")]), None),
        ("a bare CR in a value", fields(&[], &[(b"x", b"y\rx-auth-user: root")]), None),
        ("a NUL in a value", fields(&[], &[(b"x", b"y\0root")]), None),
        ("an empty name", fields(&[], &[(b"", b"root")]), None),
        ("connection", fields(&[], &[(b"connection", b"x-auth-user")]), None),
        ("upgrade", fields(&[], &[(b"upgrade", b"websocket")]), None),
        (
            "chunked",
            fields(&[(b":method", b"POST")], &[(b"transfer-encoding", b"chunked")]),
            Some(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
        ),
        (
            "a length too small",
            fields(&[(b":method", b"POST")], &[(b"content-length", b"0")]),
            Some(SMUGGLED),
        ),
        (
            "a length too large",
            fields(&[(b":method", b"POST")], &[(b"content-length", b"99")]),
            Some(SMUGGLED),
        ),
        (
            "a length that is none",
            fields(&[(b":method", b"POST")], &[(b"content-length", b"+3")]),
            Some(b"abc"),
        ),
        (
            "two lengths",
            fields(
                &[(b":method", b"POST")],
                &[(b"content-length", b"3"), (b"content-length", b"0")],
            ),
            Some(b"abc"),
        ),
    ];
    for (name, fields, body) in &cases {
        app.forget();
        send_raw(&gateway.address, fields, *body);
        for seen in app.seen() {
            let text = String::from_utf8_lossy(&seen.head).into_owned();
            for wrong in ["root", "smuggled", "/admin", "evil.test"] {
                assert!(!text.contains(wrong), "{name}: {text}");
            }
            assert_eq!(seen.path(), "/x", "{name}: {text}");
            let framed = seen.all("content-length").len() + seen.all("transfer-encoding").len();
            assert!(framed <= 1, "{name}: {text}");
        }
        assert_eq!(gateway.ask(&get("/after")).json()["target"], "/after", "{name}");
    }
}

#[test]
fn a_body_behind_a_length_of_zero_never_reaches_the_app() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let head: [(&[u8], &[u8]); 5] = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/x"),
        (b":authority", b"app.test"),
        (b"content-length", b"0"),
    ];
    send_raw(&gateway.address, &head, Some(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(app.seen().is_empty(), "{:?}", app.seen());
    // An empty frame that ends the stream is no body.
    send_raw(&gateway.address, &head, Some(b""));
    assert_eq!(app.only().path(), "/x");
}
