//! No time limit is lifted by what a client says it wants to be: only by an app that
//! agrees to switch protocols.

use std::time::Duration;

use crate::support::faults::ok;
use crate::support::http2::{ask, block_on, open, request};
use crate::support::{
    App, Conn, Gateway, Request, Script, Scripted, Setup, Stopwatch, eventually, get, seconds,
};
use crate::websocket::upgrade;

/// Requests with an `Upgrade` field that are none.
fn no_upgrades(path: &str) -> Vec<(&'static str, Request)> {
    let switching = |request: Request, protocol| {
        request.header("Connection", "keep-alive, Upgrade").header("Upgrade", protocol)
    };
    vec![
        ("a protocol alone", get(path).header("Upgrade", "foo")),
        ("another protocol", switching(get(path), "foo")),
        ("websocket alone", get(path).header("Upgrade", "websocket")),
        ("two protocols", switching(get(path), "websocket, foo")),
        ("two fields", switching(get(path), "websocket").header("Upgrade", "foo")),
        ("POST", switching(Request::new("POST", path), "websocket")),
        ("POST and another protocol", switching(Request::new("POST", path), "foo")),
    ]
}

/// The same, and a WebSocket, with a body of which only a part is sent.
fn slow_uploads(path: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut requests = no_upgrades(path);
    requests.push(("a WebSocket with a body", upgrade(path)));
    let mut slow = Vec::new();
    for (name, request) in requests {
        slow.push((name, request.clone().header("Content-Length", "10").raw_body(b"xxx").bytes()));
        let chunked = request.header("Transfer-Encoding", "chunked").raw_body(b"3\r\nxxx\r\n");
        slow.push((name, chunked.bytes()));
    }
    slow
}

/// Whether the gateway ends the connection in time.
fn ends(conn: &mut Conn) -> bool {
    let began = Stopwatch::start();
    conn.rest();
    began.elapsed() < seconds(5)
}

#[test]
fn a_slow_upload_is_given_up_whatever_it_wants_to_be_upgraded_to() {
    let app = App::start();
    let gateway = Setup::new(&app).server("body_timeout = \"1s\"").start();
    let uploads = slow_uploads("/x");
    let count = uploads.len();
    std::thread::scope(|scope| {
        for (name, bytes) in uploads {
            let mut conn = gateway.connect();
            scope.spawn(move || {
                conn.write(&bytes);
                assert!(ends(&mut conn), "{name}: still open");
            });
        }
    });
    gateway.counts("portcullis_slow_clients_total{part=\"body\"}", count as u64);
}

#[test]
fn slow_uploads_hold_no_places_against_others() {
    let app = App::start();
    let gateway = Setup::new(&app).server("body_timeout = \"1s\"\nmax_connections = 3").start();
    let uploads = slow_uploads("/x");
    let began = Stopwatch::start();
    let held: Vec<Conn> = uploads
        .iter()
        .take(3)
        .map(|(_, bytes)| {
            let mut conn = gateway.connect();
            conn.write(bytes);
            conn
        })
        .collect();
    eventually("a free place", || {
        let mut conn = gateway.connect();
        let last = get("/x").header("Connection", "close");
        conn.try_write(&last.bytes()).is_ok() && conn.rest().starts_with(b"HTTP/1.1 200")
    });
    assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());
    drop(held);
}

/// In front of an app with this script; it has 1500 ms for a head.
fn impatient(script: &Script) -> (Scripted, Gateway) {
    let script = script.clone();
    let app = Scripted::start(move |target| (target == "/do").then(|| script.clone()));
    let gateway = Setup::towards(&app.url).upstream("read_timeout = \"1500ms\"").start();
    (app, gateway)
}

/// Upgrades, what only looks like one, and requests without any of it.
fn all_kinds() -> Vec<(&'static str, Request)> {
    let mut requests = no_upgrades("/do");
    requests.push(("a WebSocket", upgrade("/do")));
    requests.push(("a plain GET", get("/do")));
    requests.push(("a plain POST", crate::support::post("/do", b"abc")));
    requests
}

fn assert_late(script: &Script) {
    let (app, gateway) = impatient(script);
    std::thread::scope(|scope| {
        for (name, request) in all_kinds() {
            let mut conn = gateway.connect();
            scope.spawn(move || {
                conn.write(&request.bytes());
                let answer = conn.try_response_to(&request.method);
                let answer = answer.unwrap_or_else(|| panic!("{name}: no answer"));
                assert_eq!(answer.status, 504, "{name}: {answer:?}");
                answer.assert_refused(504, "timeout");
                assert!(conn.is_closed(), "{name}");
            });
        }
    });
    let answer = block_on(async {
        let client = open(&gateway.address).await;
        ask(&client, request("GET", "/do"), &[]).await.unwrap()
    });
    answer.assert_refused(504, "timeout");
    let asked = app.times("GET", "/do") + app.times("POST", "/do");
    assert_eq!(asked, all_kinds().len() + 1, "each is asked once");
    assert_eq!(gateway.ask(&get("/next")).text(), "/next");
    eventually("nothing in flight", || gateway.live.in_flight() == 0);
}

#[test]
fn an_app_that_never_answers_is_late_whatever_it_was_asked() {
    assert_late(&Script::says(&[]).falls_silent());
}

#[test]
fn an_app_that_drips_its_head_is_late() {
    // Ten milliseconds each, so four seconds in all.
    let head = ok(&format!("X-Field: {}\r\nContent-Length: 4\r\n", "x".repeat(400)), "some");
    assert_late(&Script::dripping(&head));
}

#[test]
fn an_app_that_drips_its_head_after_hints_is_late() {
    let head = ok(&format!("X-Field: {}\r\nContent-Length: 4\r\n", "x".repeat(400)), "some");
    let hints = b"HTTP/1.1 103 Early Hints\r\n\r\n";
    assert_late(&Script::dripping(&[hints, &head[..]].concat()));
}

#[test]
fn a_body_in_place_of_a_tunnel_has_limits_like_any_other() {
    let head = ok("Content-Length: 100\r\n", "");
    let (_app, gateway) = impatient(&Script::says(&[&head, b"some"]).falls_silent());
    let mut conn = gateway.connect();
    conn.write(&upgrade("/do").bytes());
    let began = Stopwatch::start();
    let bytes = conn.rest();
    assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());
    assert!(
        bytes.starts_with(b"HTTP/1.1 200") && bytes.ends_with(b"some"),
        "what came is passed on"
    );
    // One that goes on may take longer than a head.
    let head = ok("Content-Length: 250\r\n", "");
    let body = "x".repeat(250);
    let pieces = body.as_bytes().chunks(1);
    let pieces: Vec<&[u8]> = std::iter::once(&head[..]).chain(pieces).collect();
    let (_app, gateway) = impatient(&Script::says(&pieces));
    let mut conn = gateway.connect();
    let answer = conn.ask(&upgrade("/do"));
    assert_eq!((answer.status, answer.text()), (200, body));
    // It was an ordinary answer: the connection is kept, and the next request is served.
    assert_eq!(conn.ask(&get("/next")).text(), "/next");
}

#[test]
fn an_upload_may_take_longer_than_the_head_of_its_answer() {
    let app = App::start();
    let gateway = Setup::new(&app).upstream("read_timeout = \"1500ms\"").start();
    let mut conn = gateway.connect();
    conn.write(&Request::new("POST", "/x").header("Content-Length", "10").bytes());
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(200));
        conn.write(b"x");
    }
    assert_eq!(conn.response_to("POST").status, 200);
    assert_eq!(app.only().length, 10);
}

#[test]
fn a_pause_of_the_client_is_no_silence_of_the_app() {
    let app = App::start();
    let limits = "read_timeout = \"1s\"";
    let gateway = Setup::new(&app).server("body_timeout = \"20s\"").upstream(limits).start();
    std::thread::scope(|scope| {
        for fixed in [true, false] {
            let mut conn = gateway.connect();
            scope.spawn(move || {
                let request = Request::new("POST", "/x");
                let (request, pieces) = if fixed {
                    (request.header("Content-Length", "6"), [&b"abc"[..], b"def"])
                } else {
                    let pieces = [&b"3\r\nabc\r\n"[..], b"3\r\ndef\r\n0\r\n\r\n"];
                    (request.header("Transfer-Encoding", "chunked"), pieces)
                };
                conn.write(&request.bytes());
                for piece in pieces {
                    conn.write(piece);
                    std::thread::sleep(Duration::from_secs(2));
                }
                assert_eq!(conn.response_to("POST").status, 200, "fixed: {fixed}");
            });
        }
    });
    assert!(app.seen().iter().all(|seen| seen.length == 6));
}

#[test]
fn an_app_that_falls_silent_after_an_upload_is_late() {
    for (script, status) in [
        (Script::says(&[]).falls_silent(), 504),
        (Script::says(&[&ok("Content-Length: 100\r\n", "some")]).falls_silent(), 200),
    ] {
        let (_app, gateway) = impatient(&script);
        let mut conn = gateway.connect();
        conn.write(&crate::support::post("/do", b"abc").bytes());
        let began = Stopwatch::start();
        let head = conn.next_head().unwrap();
        conn.rest();
        assert_eq!(head.status, status);
        assert!(began.elapsed() < seconds(10), "{:?}", began.elapsed());
    }
}

#[test]
fn an_app_waits_for_a_client_that_takes_its_time_after_an_upload() {
    let app = App::start();
    let gateway = Setup::new(&app).upstream("read_timeout = \"1s\"").start();
    let mut conn = gateway.connect();
    conn.write(&crate::support::post("/do/download?60000000", b"abc").bytes());
    assert_eq!(conn.next_head().unwrap().status, 200);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(conn.exactly(60_000_000).len(), 60_000_000);
}
