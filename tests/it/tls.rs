//! TLS listeners: who is shown what, in which version, and what is refused.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};

use crate::support::http2::{ask, block_on, open_tls, request};
use crate::support::tls::{Authority, certificate, post_quantum};
use crate::support::{
    App, Conn, Gateway, PATIENCE, Request, Setup, Stopwatch, cookie_of, eventually, get, seconds,
};

/// A gateway that shows the one certificate of `app.test`.
fn gateway(app: &App, authority: &Authority, lines: &str) -> Gateway {
    let tls = format!("tls = [{}]\n{lines}", authority.issue(&["app.test"]).item());
    Setup::new(app).server(&tls).start()
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let (app, authority) = (App::start(), Authority::new());
    let first = authority.issue(&["app.test", "www.app.test"]);
    let star = authority.issue(&["*.shop.test"]);
    let exact = authority.issue(&["eu.shop.test"]);
    let written = authority.issue(&["inner.test"]);
    let written_item = format!(
        "{{ cert = {:?}, key = {:?}, names = [\"Outer.test\"] }}",
        written.cert, written.key
    );
    let tls = [first.item(), star.item(), exact.item(), written_item].join(", ");
    let gateway = Setup::new(&app).server(&format!("tls = [{tls}]")).start();
    // What it is shown matters here, not whether it believes it.
    let client = authority.client();
    for (name, files) in [
        ("app.test", &first),
        ("www.app.test", &first),
        ("APP.Test", &first),
        ("us.shop.test", &star),
        ("eu.shop.test", &exact),
    ] {
        let shown = client.shown(&gateway.address, name);
        assert_eq!(shown, certificate(&files.cert), "{name}");
    }
    for (name, why) in [
        ("shop.test", "a star stands for exactly one label"),
        ("a.b.shop.test", "a star stands for exactly one label"),
        ("other.test", "the first of the file is for everybody else"),
        ("outer.test", "shown by its written name, which it does not have itself"),
    ] {
        let error = client.try_open(&gateway.address, name).unwrap_err();
        assert!(error.to_string().contains("not valid for name"), "{why}: {error}");
    }
    for name in ["app.test", "*.shop.test", "eu.shop.test", "outer.test"] {
        let line = format!("portcullis_certificate_expiry_seconds{{name=\"{name}\"}} ");
        let metrics = gateway.metrics();
        let left = metrics.lines().find_map(|l| l.strip_prefix(&line)?.parse::<f64>().ok());
        assert!(left.is_some_and(|left| left > 1e9), "{name}: {left:?}");
    }
    let done = "portcullis_tls_handshakes_total{result=\"done\"}";
    eventually(done, || gateway.metric_now(done) >= 5);
}

#[test]
fn the_app_learns_that_the_client_came_over_https() {
    let (app, authority) = (App::start(), Authority::new());
    let gateway = gateway(&app, &authority, "");
    let mut conn = authority.client().open(&gateway.address, "app.test");
    let token = conn.ask(&get("/api/get-auth-token").user("ada"));
    assert!(!token.auth_token().is_empty());
    let spoofed = get("/x").user("ada").header("X-Forwarded-Proto", "http");
    assert_eq!(conn.ask(&spoofed).status, 200, "on the same connection");
    let seen = app.only();
    assert_eq!(seen.one("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(seen.one("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"));
}

#[test]
fn http_2_is_chosen_where_both_can_and_nowhere_else() {
    let (app, authority) = (App::start(), Authority::new());
    let gateway = gateway(&app, &authority, "");
    let chosen = |gateway: &Gateway, offer: &[&str]| {
        let client = authority.client().offering(offer);
        let stream = client.try_open(&gateway.address, "app.test").ok()?;
        Some(stream.conn.alpn_protocol().map(<[u8]>::to_vec).unwrap_or_default())
    };
    assert_eq!(chosen(&gateway, &["h2", "http/1.1"]).unwrap(), b"h2");
    assert_eq!(chosen(&gateway, &["http/1.1", "h2"]).unwrap(), b"h2");
    assert_eq!(chosen(&gateway, &["http/1.1"]).unwrap(), b"http/1.1");
    assert_eq!(chosen(&gateway, &[]).unwrap(), b"");
    assert_eq!(chosen(&gateway, &["spdy/1"]), None);
    block_on(async {
        let client = authority.client().offering(&["h2"]);
        let client = open_tls(&gateway.address, client.0).await;
        let cookie = cookie_of("ada");
        let token = request("GET", "/api/get-auth-token").header("cookie", &cookie);
        assert!(!ask(&client, token, &[]).await.unwrap().auth_token().is_empty());
        let page = request("POST", "/x").header("cookie", &cookie);
        assert_eq!(ask(&client, page, &[b"a", b"b"]).await.unwrap().json()["body"], "ab");
    });
    let seen = app.only();
    assert_eq!(seen.one("x-forwarded-proto").as_deref(), Some("https"));
    let off = self::gateway(&app, &authority, "http2 = false");
    assert_eq!(chosen(&off, &["h2", "http/1.1"]).unwrap(), b"http/1.1");
}

#[test]
fn keys_are_agreed_on_that_no_quantum_computer_finds_out() {
    use rustls::NamedGroup::{X25519, X25519MLKEM768};
    let (app, authority) = (App::start(), Authority::new());
    let gateway = gateway(&app, &authority, "");
    let agreed = |provider| {
        let client = authority.client_made_of(provider);
        let stream = client.try_open(&gateway.address, "app.test").unwrap();
        stream.conn.negotiated_key_exchange_group().unwrap().name()
    };
    assert_eq!(agreed(post_quantum()), X25519MLKEM768);
    assert_eq!(agreed(rustls::crypto::aws_lc_rs::default_provider()), X25519MLKEM768);
    assert_eq!(agreed(rustls::crypto::ring::default_provider()), X25519, "older clients");
}

#[test]
fn both_versions_of_tls_are_spoken_and_none_before_them() {
    let (app, authority) = (App::start(), Authority::new());
    let gateway = gateway(&app, &authority, "");
    for version in [&TLS12, &TLS13] {
        let mut client = authority.client();
        let provider = rustls::crypto::ring::default_provider();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate(&authority.root_file())).unwrap();
        client.0 = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        assert_eq!(client.open(&gateway.address, "app.test").ask(&get("/x")).status, 200);
    }
    // A hello as clients of 1.0 and 1.1 sent it: no extensions, two suites.
    for minor in [1, 2] {
        let mut body = vec![3, minor];
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(&[0, 0, 4, 0xc0, 0x13, 0x00, 0x2f, 1, 0]);
        let length = u8::try_from(body.len()).unwrap();
        let mut hello = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
        hello.extend_from_slice(&body);
        let mut socket = TcpStream::connect(&gateway.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(&hello).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        // A fatal alert, and nothing more.
        assert_eq!(
            (answer.first(), answer.get(5), answer.len()),
            (Some(&21), Some(&2), 7),
            "{answer:?}"
        );
    }
    gateway.counts("portcullis_tls_handshakes_total{result=\"failed\"}", 2);
}

#[test]
fn plain_http_is_recognised_as_such() {
    let (app, authority) = (App::start(), Authority::new());
    let gateway = gateway(&app, &authority, "");
    let mut conn = gateway.connect();
    conn.ask(&get("/x").user("ada")).assert_refused(400, "bad_request");
    assert!(conn.is_closed());
    for bytes in
        [&b"\x00\x01\x02"[..], b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", b"\r\n\r\n\0\r\nQUIT\n"]
    {
        let mut conn = gateway.connect();
        conn.write(bytes);
        conn.finish();
        let answer = conn.rest();
        assert!(
            answer.starts_with(b"HTTP/1.1 400") || answer.first() == Some(&21) || answer.is_empty()
        );
    }
    assert!(app.seen().is_empty());
    let line = "portcullis_tls_handshakes_total{result=\"plain_http\"}";
    eventually(line, || gateway.metric_now(line) >= 1);
}

#[test]
fn a_handshake_may_not_take_longer_than_a_head() {
    let (app, authority) = (App::start(), Authority::new());
    let gateway = gateway(&app, &authority, "header_timeout = \"2s\"");
    let record = [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    std::thread::scope(|scope| {
        for (name, start, drips) in [
            ("silence", &record[..0], false),
            ("one byte", &record[..1], false),
            ("half a record", &record[..], false),
            ("a record that drips", &record[..], true),
        ] {
            let began = Stopwatch::start();
            let mut conn = gateway.connect();
            scope.spawn(move || {
                conn.write(start);
                while drips && conn.try_write(b"x").is_ok() && began.elapsed() < seconds(8) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                conn.rest();
                assert!(began.on_the_wall() > seconds(1), "{name}: too soon");
                assert!(began.elapsed() < seconds(6), "{name}: {:?}", began.elapsed());
            });
        }
    });
    gateway.counts("portcullis_tls_handshakes_total{result=\"late\"}", 4);
    // After the handshake, a head has its time as ever, and a preface too.
    let mut conn = authority.client().open(&gateway.address, "app.test");
    conn.write(b"GET /x HTTP/1.1\r\nHost: a");
    assert!(conn.rest().is_empty());
    let mut conn = authority.client().offering(&["h2"]).open(&gateway.address, "app.test");
    conn.write(b"PRI * HTTP/2.0\r\n\r\nSM");
    assert!(conn.rest().is_empty());
}

#[test]
fn a_flood_of_handshakes_delays_no_other_request() {
    let (app, authority) = (App::start(), Authority::new());
    // Longer than anybody's patience.
    let gateway = gateway(&app, &authority, "header_timeout = \"1h\"");
    let mut kept = authority.client().open(&gateway.address, "app.test");
    let crowd: Vec<Conn> = (0..300)
        .map(|number| {
            let mut conn = gateway.connect();
            conn.write(if number % 2 == 0 { &[22, 3, 1, 2, 0, 1, 0, 1] } else { b"" });
            conn
        })
        .collect();
    let began = Stopwatch::start();
    for _ in 0..10 {
        assert_eq!(kept.ask(&get("/x")).status, 200);
        assert_eq!(
            authority.client().open(&gateway.address, "app.test").ask(&get("/x")).status,
            200
        );
    }
    assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());
    drop(crowd);
    drop(kept);
    gateway.counts("portcullis_connections", 0);
}

#[test]
fn web_sockets_and_large_bodies_pass_over_tls() {
    let (app, authority) = (App::start(), Authority::new());
    let gateway = gateway(&app, &authority, "");
    let client = authority.client().offering(&["http/1.1"]);
    let mut conn = client.open(&gateway.address, "app.test");
    let upgrade = get("/do/websocket")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(conn.ask(&upgrade).status, 101);
    let frame = b"\x81\x85\x01\x02\x03\x04ijojn";
    conn.write(frame);
    assert_eq!(conn.exactly(frame.len()), frame);
    let body = vec![b'x'; 3_000_000];
    let mut conn = client.open(&gateway.address, "app.test");
    let length = body.len().to_string();
    let upload = Request::new("POST", "/x").header("Content-Length", &length);
    let answer = conn.ask(&upload.raw_body(&body));
    assert_eq!(answer.status, 200);
    assert_eq!(app.last().length, body.len());
}

#[test]
fn with_client_ca_only_clients_with_a_certificate_are_served() {
    let (app, authority, strangers) = (App::start(), Authority::new(), Authority::new());
    let ours = authority.issue(&["client.test"]);
    let theirs = strangers.issue(&["client.test"]);
    let client_ca = format!("client_ca = {:?}", authority.root_file());
    let gateway = gateway(&app, &authority, &client_ca);
    let mut conn = authority.client_with(&ours).open(&gateway.address, "app.test");
    assert_eq!(conn.ask(&get("/x")).status, 200);
    for client in [authority.client(), authority.client_with(&theirs)] {
        // With TLS 1.3 the client learns of it after its own part is done.
        let refused = match client.try_open(&gateway.address, "app.test") {
            Ok(stream) => {
                let mut conn = Conn::over_tls(stream);
                drop(conn.try_write(&get("/x").bytes()));
                conn.rest().is_empty()
            }
            Err(_) => true,
        };
        assert!(refused);
    }
    assert_eq!(app.seen().len(), 1);
}
