//! The PROXY protocol: whoever must send a header is believed, nobody else is.

use std::time::Duration;

use crate::support::tls::Authority;
use crate::support::{App, Conn, Gateway, Response, Setup, Stopwatch, folder, get, seconds};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A version 2 header.
fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[0x20 | command, family], &length, body].concat()
}

fn v4(last: u8) -> Vec<u8> {
    vec![203, 0, 113, last, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb]
}

fn v6() -> Vec<u8> {
    let mut body = vec![0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    body.extend_from_slice(&[0; 16]);
    body.extend_from_slice(&[0, 80, 0, 80]);
    body
}

fn extended(body: Vec<u8>, extension: &[u8]) -> Vec<u8> {
    [body, extension.to_vec()].concat()
}

fn gateway(app: &App, lines: &str) -> Gateway {
    let lines = format!("proxy_protocol = [\"127.0.0.0/8\"]\n{lines}");
    Setup::new(app).server(&lines).start()
}

/// The client's address as the app learns it after these bytes.
#[track_caller]
fn forwarded_for(app: &App, gateway: &Gateway, header: &[u8]) -> (Response, Option<String>) {
    app.forget();
    let mut conn = gateway.connect();
    conn.write(&[header, &get("/x").header("X-Forwarded-For", "6.6.6.6").bytes()].concat());
    let answer = conn.response_to("GET");
    assert_eq!(answer.status, 200);
    (answer, app.only().one("x-forwarded-for"))
}

#[test]
fn the_client_is_where_the_header_says() {
    let app = App::start();
    let gateway = gateway(&app, "");
    let long_extension = [&[0x04, 0x08, 0x00][..], &[b'x'; 2048]].concat();
    for (header, expected) in [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n".to_vec(), Some("203.0.113.7")),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 1 443\r\n".to_vec(), Some("2001:db8::7")),
        (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 443\r\n".to_vec(), Some("203.0.113.7")),
        (b"PROXY UNKNOWN\r\n".to_vec(), Some("127.0.0.1")),
        (b"PROXY UNKNOWN whatever follows\r\n".to_vec(), Some("127.0.0.1")),
        (header(1, 0x11, &v4(8)), Some("203.0.113.8")),
        (header(1, 0x21, &v6()), Some("2001:db8::7")),
        (header(1, 0x31, &[0; 216]), None),
        (header(1, 0x00, b"to be ignored"), Some("127.0.0.1")),
        (header(0, 0x11, &v4(8)), Some("127.0.0.1")),
        (header(0, 0x00, &[]), Some("127.0.0.1")),
        (header(1, 0x11, &extended(v4(9), &[3, 0, 4, 1, 2, 3, 4])), Some("203.0.113.9")),
        (header(1, 0x11, &extended(v4(9), &long_extension)), Some("203.0.113.9")),
    ] {
        let (answer, found) = forwarded_for(&app, &gateway, &header);
        assert_eq!(found.as_deref(), expected, "{:?}", String::from_utf8_lossy(&header));
        assert_eq!(gateway.line_of(&answer)["client"].as_str(), expected);
    }
}

#[test]
fn split_reads_and_what_follows_on_the_connection_change_nothing() {
    let app = App::start();
    let gateway = gateway(&app, "");
    for header in [
        b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n".to_vec(),
        header(1, 0x11, &extended(v4(7), &[3, 0, 4, 1, 2, 3, 4])),
    ] {
        app.forget();
        let mut conn = gateway.connect();
        for byte in [&header[..], b"GET /x HTTP"].concat() {
            conn.write(&[byte]);
            std::thread::sleep(Duration::from_micros(500));
        }
        conn.write(b"/1.1\r\nHost: app.test\r\n\r\n");
        assert_eq!(conn.response_to("GET").status, 200);
        assert_eq!(conn.ask(&get("/y")).status, 200, "a header comes once");
        for seen in app.seen() {
            assert_eq!(seen.one("x-forwarded-for").as_deref(), Some("203.0.113.7"));
        }
        // A second one is no request.
        drop(conn.try_write(&header));
        drop(conn.try_write(&get("/z").bytes()));
        let rest = String::from_utf8_lossy(&conn.rest()).into_owned();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400"), "{rest}");
        assert_eq!(app.seen().len(), 2);
    }
}

#[test]
fn who_must_send_a_header_and_does_not_is_not_served() {
    let app = App::start();
    let gateway = gateway(&app, "");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("none", Vec::new()),
        ("LF alone", b"PROXY TCP4 203.0.113.7 10.0.0.1 1 443\n".to_vec()),
        ("too long", format!("PROXY UNKNOWN {}\r\n", "x".repeat(100)).into_bytes()),
        ("no end", format!("PROXY TCP4 {}", "1".repeat(3000)).into_bytes()),
        ("no address", b"PROXY TCP4 localhost 10.0.0.1 1 443\r\n".to_vec()),
        ("another family", b"PROXY TCP4 2001:db8::7 2001:db8::1 1 443\r\n".to_vec()),
        ("lower case", b"proxy tcp4 203.0.113.7 10.0.0.1 1 443\r\n".to_vec()),
        ("one port", b"PROXY TCP4 203.0.113.7 10.0.0.1 1\r\n".to_vec()),
        ("a large port", b"PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n".to_vec()),
        ("version 3", [SIGNATURE, &[0x31, 0x11, 0, 12], &v4(7)].concat()),
        ("an unknown command", header(2, 0x11, &v4(7))),
        ("an unknown family", header(1, 0x41, &v4(7))),
        ("datagrams", header(1, 0x12, &v4(7))),
        ("short addresses", header(1, 0x21, &v4(7))),
        ("a cut extension", header(1, 0x11, &extended(v4(7), &[3, 0, 9, 1]))),
        ("an oversized one", header(1, 0x11, &extended(v4(7), &vec![0; 60_000]))),
        ("a broken signature", b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c".to_vec()),
    ];
    let count = cases.len() as u64;
    for (name, bytes) in cases {
        let mut conn = gateway.connect();
        drop(conn.try_write(&[&bytes[..], &get("/x").bytes()].concat()));
        conn.try_finish();
        assert!(conn.rest().is_empty(), "{name}");
    }
    assert!(app.seen().is_empty());
    gateway.counts("portcullis_proxy_headers_refused_total", count);
}

#[test]
fn a_header_may_not_take_longer_than_a_head() {
    let app = App::start();
    let gateway = gateway(&app, "header_timeout = \"1s\"");
    std::thread::scope(|scope| {
        for start in
            [&b""[..], b"PROXY TCP4 1", &SIGNATURE[..5], &[SIGNATURE, &[0x21, 0x11, 1]].concat()]
        {
            let began = Stopwatch::start();
            let (mut conn, start) = (gateway.connect(), start.to_vec());
            scope.spawn(move || {
                conn.write(&start);
                conn.rest();
                assert!(began.on_the_wall() > Duration::from_millis(500), "too soon");
                assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());
            });
        }
    });
    assert!(app.seen().is_empty());
}

#[test]
fn a_header_from_any_other_sender_is_not_a_request() {
    let app = App::start();
    let gateway = Setup::new(&app).server("proxy_protocol = [\"192.0.2.0/24\"]").start();
    for header in [
        b"PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        header(1, 0x11, &v4(7)),
        header(0, 0x00, &[]),
    ] {
        let mut conn = gateway.connect();
        drop(conn.try_write(&[&header[..], &get("/x").bytes()].concat()));
        let answer = String::from_utf8_lossy(&conn.rest()).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert!(app.seen().is_empty());
    // Without one, they are who they are.
    assert_eq!(gateway.ask(&get("/x")).status, 200);
    assert_eq!(app.only().one("x-forwarded-for").as_deref(), Some("127.0.0.1"));
}

#[test]
fn limits_count_the_client_and_not_the_load_balancer() {
    let app = App::start();
    let route = "[[route]]\npath = \"/x\"\nlimit = \"2/hour\"\n";
    let lines = "proxy_protocol = [\"127.0.0.1\"]\nmax_connections_per_address = 2";
    let gateway = Setup::new(&app).server(lines).with(route).start();
    let open = |last: u8| {
        let mut conn = gateway.connect();
        conn.write(&header(1, 0x11, &v4(last)));
        conn
    };
    let (mut first, mut second) = (open(1), open(1));
    let page = |conn: &mut Conn| conn.ask(&get("/x")).status;
    assert_eq!([page(&mut first), page(&mut second), page(&mut first)], [200, 200, 429]);
    assert!(open(1).rest().is_empty(), "a third connection of this client");
    assert_eq!(page(&mut open(2)), 200, "somebody else behind the same load balancer");
    gateway.counts("portcullis_address_connections_refused_total", 1);
}

#[test]
fn the_header_comes_before_the_handshake_and_on_unix_sockets_too() {
    let (app, authority) = (App::start(), Authority::new());
    let tls = format!("tls = [{}]", authority.issue(&["app.test"]).item());
    let socket = folder().join("gateway.sock");
    let secured = gateway(&app, &tls);
    let mut socket_conn = std::net::TcpStream::connect(&secured.address).unwrap();
    std::io::Write::write_all(&mut socket_conn, &header(1, 0x11, &v4(7))).unwrap();
    let mut conn = authority.client().over(socket_conn, "app.test");
    assert_eq!(conn.ask(&get("/x")).status, 200);
    assert_eq!(app.last().one("x-forwarded-for").as_deref(), Some("203.0.113.7"));
    assert_eq!(app.last().one("x-forwarded-proto").as_deref(), Some("https"));
    let setup = Setup::new(&app).listen(&format!("unix:{}", socket.display()));
    let unix = setup.server("proxy_protocol = [\"unix\"]").start();
    assert_eq!(
        forwarded_for(&app, &unix, &header(1, 0x11, &v4(9))).1.as_deref(),
        Some("203.0.113.9")
    );
    assert!({
        let mut conn = unix.connect();
        drop(conn.try_write(&get("/x").bytes()));
        conn.rest().is_empty()
    });
}
