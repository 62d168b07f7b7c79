//! Upgraded connections: none is lost, none is cut, none is let in unseen.

use std::time::Duration;

use crate::support::{App, Conn, Request, Script, Scripted, Setup, get};

/// Frames are opaque here: the tunnel must not care.
const FRAME: &[u8] = b"\x81\x85\x01\x02\x03\x04ijojn";

pub(crate) fn upgrade(path: &str) -> Request {
    get(path)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[track_caller]
fn echoes(conn: &mut Conn, frame: &[u8]) {
    conn.write(frame);
    assert_eq!(conn.exactly(frame.len()), frame);
}

#[test]
fn no_upgrade_is_lost() {
    const UPGRADES: usize = 2_000;
    const CLIENTS: usize = 4;
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let request = upgrade("/do/websocket").user("ada");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, request) = (gateway.address.clone(), request.clone());
            std::thread::spawn(move || {
                for number in 0..UPGRADES / CLIENTS {
                    let mut conn = Conn::open(&address);
                    assert_eq!(conn.ask(&request).status, 101, "upgrade {number}");
                    echoes(&mut conn, FRAME);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    assert_eq!(app.seen().len(), UPGRADES);
}

#[test]
fn the_app_sees_who_upgrades() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    let answer = conn.ask(&upgrade("/do/websocket").user("ada").header("X-Auth-User", "root"));
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert!(answer.header("sec-websocket-accept").is_some());
    let seen = app.only();
    assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"));
    assert_eq!(seen.one("upgrade").as_deref(), Some("websocket"));
    assert!(seen.one("sec-websocket-key").is_some());
    assert_eq!(
        seen.one("connection").map(|value| value.to_lowercase()).as_deref(),
        Some("upgrade")
    );
}

#[test]
fn large_and_many_frames_pass_both_ways() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    assert_eq!(conn.ask(&upgrade("/do/websocket")).status, 101);
    for length in [1, 125, 126, 65_535, 65_536, 400_000] {
        let frame: Vec<u8> = (0..=255).cycle().take(length).collect();
        echoes(&mut conn, &frame);
    }
    for _ in 0..200 {
        echoes(&mut conn, FRAME);
    }
    // Bytes that look like HTTP are bytes.
    echoes(&mut conn, b"GET /admin HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(app.seen().len(), 1);
}

#[test]
fn an_idle_tunnel_outlives_every_timeout() {
    let app = App::start();
    let gateway = Setup::new(&app)
        .server("header_timeout = \"1s\"\nbody_timeout = \"1s\"\nidle_timeout = \"1s\"")
        .upstream("read_timeout = \"1s\"\nidle_timeout = \"1s\"")
        .start();
    let mut conn = gateway.connect();
    assert_eq!(conn.ask(&upgrade("/do/websocket")).status, 101);
    echoes(&mut conn, FRAME);
    std::thread::sleep(Duration::from_millis(2_500));
    echoes(&mut conn, FRAME);
}

#[test]
fn either_side_may_end_the_tunnel() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    assert_eq!(conn.ask(&upgrade("/do/websocket")).status, 101);
    echoes(&mut conn, FRAME);
    conn.finish();
    assert!(conn.is_closed());
    let line = gateway.logged(1);
    assert_eq!(line["status"], 101, "{line}");
}

#[test]
fn a_protected_socket_needs_a_session() {
    let app = App::start();
    let route = "[[route]]\npath = \"/do/**\"\nsession = \"required\"\nsign_in = \"/login\"\n";
    let gateway = Setup::new(&app).with(route).start();
    gateway.ask(&upgrade("/do/websocket")).assert_refused(401, "not_signed_in");
    let expired = crate::support::Claims::of("ada").with("exp", 1_000_000_000).cookie();
    let answer = gateway.ask(&upgrade("/do/websocket").header("Cookie", &expired));
    answer.assert_refused(401, "session_expired");
    assert!(app.seen().is_empty());
    assert_eq!(gateway.ask(&upgrade("/do/websocket").user("ada")).status, 101);
}

#[test]
fn other_upgrades_are_not_offered_to_the_app() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for protocol in ["h2c", "TLS/1.0", "websocketx", "foo, websocket", "h2c, websocket"] {
        app.forget();
        let request = get("/x").header("Connection", "Upgrade").header("Upgrade", protocol);
        let answer = gateway.ask(&request);
        assert!(matches!(answer.status, 200 | 400), "{protocol}: {answer:?}");
        if answer.status == 200 {
            assert_eq!(app.only().one("upgrade"), None, "{protocol}");
        }
    }
}

#[test]
fn nothing_is_tunnelled_before_the_app_agrees() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let smuggled = b"GET /admin HTTP/1.1\r\nHost: app.test\r\nX-Auth-User: root\r\n\r\n";
    for path in ["/do/refuse-upgrade", "/x", "/do/drop", "/api/get-auth-token", "/do/empty-204"] {
        app.forget();
        let mut conn = gateway.connect();
        let mut bytes = upgrade(path).bytes();
        bytes.extend_from_slice(smuggled);
        conn.write(&bytes);
        let first = conn.response_to("GET");
        assert_ne!(first.status, 101, "{path}");
        // Either the connection ends, or what follows is a request like any other.
        let next = conn.try_response_to("GET");
        for seen in app.seen().iter().filter(|seen| seen.path() == "/admin") {
            assert_eq!(seen.one("x-auth-user"), None, "{path}: {seen:?}");
            assert!(next.is_some(), "{path}");
        }
    }
}

#[test]
fn a_token_path_never_upgrades() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let answer = gateway.ask(&upgrade("/api/get-auth-token").user("ada"));
    assert_eq!(answer.status, 200);
    assert!(app.seen().is_empty());
}

#[test]
fn upgrades_work_towards_a_unix_socket() {
    let folder = crate::support::folder();
    let app = App::on_unix_socket(&folder.join("app.sock"));
    let gateway = Setup::new(&app).start();
    for number in 0..300 {
        let mut conn = gateway.connect();
        assert_eq!(conn.ask(&upgrade("/do/websocket")).status, 101, "upgrade {number}");
        echoes(&mut conn, FRAME);
    }
}

#[test]
fn an_upgrade_with_a_body_starts_no_second_request() {
    const SMUGGLED: &[u8] = b"GET /admin HTTP/1.1\r\nHost: app.test\r\nX-Auth-User: root\r\n\r\n";
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let length = SMUGGLED.len().to_string();
    let chunked =
        [format!("{:x}\r\n", SMUGGLED.len()).as_bytes(), SMUGGLED, b"\r\n0\r\n\r\n"].concat();
    for path in ["/x", "/do/refuse-upgrade", "/do/empty-204", "/api/get-auth-token"] {
        for (framing, request) in [
            ("a length", upgrade(path).header("Content-Length", &length).raw_body(SMUGGLED)),
            ("chunks", upgrade(path).header("Transfer-Encoding", "chunked").raw_body(&chunked)),
            ("a length of zero", upgrade(path).header("Content-Length", "0").raw_body(SMUGGLED)),
            ("HTTP/1.0", upgrade(path).http10().raw_body(SMUGGLED)),
        ] {
            app.forget();
            let mut conn = gateway.connect();
            conn.write(&request.bytes());
            let first = conn.try_response_to("GET");
            assert!(first.is_none_or(|answer| answer.status != 101), "{framing} on {path}");
            conn.try_finish();
            let _ = conn.rest();
            for seen in app.seen() {
                assert_eq!(seen.one("x-auth-user"), None, "{framing} on {path}: {seen:?}");
            }
            assert_eq!(
                gateway.ask(&get("/after")).json()["target"],
                "/after",
                "{framing} on {path}"
            );
        }
    }
}

#[test]
fn a_switch_to_another_protocol_than_asked_for_is_no_answer() {
    let switches = |fields: &str| {
        let head = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{fields}");
        Script::says(&[format!("{head}\r\n").as_bytes()])
    };
    let cases = [
        ("Upgrade: websocket\r\n", 101),
        ("Upgrade: WebSocket\r\n", 101),
        ("", 101),
        ("Upgrade: foo\r\n", 502),
        ("Upgrade: websocket2\r\n", 502),
        ("Upgrade: websocket, foo\r\n", 502),
        ("Upgrade: websocket\r\nUpgrade: foo\r\n", 502),
        ("Upgrade:\r\n", 502),
    ];
    let scripts: Vec<_> = cases.iter().map(|(fields, _)| switches(fields)).collect();
    let place = |target: &str| target.strip_prefix('/')?.parse::<usize>().ok();
    let app = Scripted::start(move |target| scripts.get(place(target)?).cloned());
    let gateway = Setup::towards(&app.url).start();
    for (index, (fields, status)) in cases.iter().enumerate() {
        let mut conn = gateway.connect();
        conn.write(&upgrade(&format!("/{index}")).bytes());
        assert_eq!(conn.next_head().unwrap().status, *status, "{fields:?}");
    }
}
