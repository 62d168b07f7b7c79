//! How many connections one address holds, how long a second head on one may take,
//! and what one HTTP/2 connection may ask of the gateway.

use std::time::Duration;

use crate::support::http2::{
    CONTINUATION, DATA, END_HEADERS, HEADERS, HELLO, PADDED, PRIORITY, RESET, WINDOW_UPDATE, field,
    frame,
};
use crate::support::tls::Authority;
use crate::support::{App, Conn, Gateway, Setup, Stopwatch, eventually, get, in_time, seconds};

/// A connection that was closed without an answer.
fn is_refused(gateway: &Gateway) -> bool {
    let mut conn = gateway.connect();
    drop(conn.try_write(&get("/x").header("Connection", "close").bytes()));
    conn.rest().is_empty()
}

fn kept(gateway: &Gateway, count: usize) -> Vec<Conn> {
    let open = |_| {
        let mut conn = gateway.connect();
        assert_eq!(conn.ask(&get("/x")).status, 200);
        conn
    };
    (0..count).map(open).collect()
}

#[test]
fn one_address_holds_so_many_connections_and_gets_its_places_back() {
    let app = App::start();
    let gateway = Setup::new(&app).server("max_connections_per_address = 2").start();
    let mut conns = kept(&gateway, 2);
    assert!(is_refused(&gateway));
    assert!(is_refused(&gateway));
    gateway.counts("portcullis_address_connections_refused_total", 2);
    assert_eq!(gateway.metric("portcullis_connections_refused_total"), 0);
    assert_eq!(conns[0].ask(&get("/x")).status, 200, "those inside are served on");
    conns.pop();
    eventually("a free place", || !is_refused(&gateway));
}

#[test]
fn proxies_and_the_machine_itself_hold_as_many_as_they_need_unless_limited() {
    let app = App::start();
    let lines = "max_connections_per_address = 2\ntrusted_proxies = [\"127.0.0.1\"]";
    for lines in [lines, ""] {
        let gateway = Setup::new(&app).server(lines).start();
        let conns = kept(&gateway, 10);
        assert!(!is_refused(&gateway), "{lines}");
        drop(conns);
    }
}

#[test]
fn a_reload_changes_the_limits_of_connections_that_are_still_to_come() {
    let app = App::start();
    let gateway = Setup::new(&app).server("max_connections_per_address = 3").start();
    let mut conns = kept(&gateway, 3);
    gateway.reload(&Setup::new(&app).server("max_connections_per_address = 4"));
    assert!(!is_refused(&gateway));
    gateway.reload(&Setup::new(&app).server("max_connections = 1"));
    assert!(is_refused(&gateway));
    for conn in &mut conns {
        assert_eq!(conn.ask(&get("/x")).status, 200);
    }
}

/// The fields of `GET path`, not indexed.
fn block(path: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (&b":method"[..], &b"GET"[..]),
        (b":scheme", b"http"),
        (b":authority", b"app.test"),
        (b":path", path),
    ] {
        field(&mut block, name, value);
    }
    block
}

/// The last octets of the answer, as long as the gateway has any.
fn answer_to(conn: &mut Conn, bytes: &[u8]) -> Vec<u8> {
    // The gateway may close before all of it is written.
    drop(conn.try_write(bytes));
    conn.rest()
}

/// Whether the connection ended with ENHANCE_YOUR_CALM.
fn is_calmed(answer: &[u8]) -> bool {
    let goaway = |w: &[u8]| w[3] == 7 && w[13..17] == [0, 0, 0, 11];
    answer.windows(17).any(goaway)
}

#[test]
fn streams_beyond_the_limit_are_refused_one_by_one() {
    let app = App::start();
    let gateway = Setup::new(&app).server("max_streams = 2").start();
    let mut conn = gateway.connect();
    let mut bytes = HELLO.to_vec();
    for stream in [1, 3, 5] {
        bytes.extend(frame(HEADERS, END_HEADERS | 1, stream, &block(b"/do/slow")));
    }
    conn.write(&bytes);
    gateway.counts("portcullis_http2_refused_total{reason=\"too_many_streams\"}", 1);
    app.wait_for(2);
    app.open_gate();
    eventually("the others", || gateway.live.in_flight() == 0);
    assert_eq!(app.seen().len(), 2);
}

#[test]
fn a_flood_of_resets_ends_the_connection() {
    let (app, authority) = (App::start(), Authority::new());
    let tls = format!("tls = [{}]\nmax_resets = 10", authority.issue(&["app.test"]).item());
    let mut bytes = HELLO.to_vec();
    for number in 0..500 {
        let stream = number * 2 + 1;
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &block(b"/do/slow")));
        bytes.extend(frame(RESET, 0, stream, &[0, 0, 0, 8]));
    }
    for lines in ["max_resets = 10", &tls] {
        let gateway = Setup::new(&app).server(lines).start();
        let mut conn = if lines == tls {
            authority.client().offering(&["h2"]).open(&gateway.address, "app.test")
        } else {
            gateway.connect()
        };
        assert!(is_calmed(&answer_to(&mut conn, &bytes)), "{lines}");
        gateway.counts("portcullis_http2_refused_total{reason=\"flood\"}", 1);
        app.open_gate();
        eventually("nothing in flight", || gateway.live.in_flight() == 0);
    }
}

#[test]
fn a_flood_of_continuations_ends_the_connection() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut small = Vec::new();
    field(&mut small, b"x", b"y");
    let mut large = Vec::new();
    for _ in 0..100 {
        field(&mut large, b"x-field", &[b'x'; 120]);
    }
    for (name, part) in [("empty", &[][..]), ("small", &small), ("large", &large)] {
        let mut bytes = [HELLO, &frame(HEADERS, 1, 1, &block(b"/x"))].concat();
        for _ in 0..5_000 {
            bytes.extend(frame(CONTINUATION, 0, 1, part));
        }
        let mut conn = gateway.connect();
        assert!(is_calmed(&answer_to(&mut conn, &bytes)), "{name}");
    }
    gateway.counts("portcullis_http2_refused_total{reason=\"flood\"}", 3);
    assert!(app.seen().is_empty());
    assert_eq!(gateway.ask(&get("/x")).status, 200);
}

/// Whether the connection ended with a GOAWAY that says what was wrong.
fn is_accused(answer: &[u8]) -> bool {
    let goaway = |w: &[u8]| w[3..9] == [7, 0, 0, 0, 0, 0] && w[13..17] != [0; 4];
    answer.windows(17).any(goaway)
}

#[test]
fn a_flood_of_frames_that_ask_for_nothing_ends_the_connection() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let open = |stream| frame(HEADERS, END_HEADERS, stream, &block(b"/do/slow"));
    let padding = [&[255][..], &[0; 255]].concat();
    let (nothing, all) = ([0; 4], [0x7f, 0xff, 0xff, 0xff]);
    type Frame<'a> = &'a dyn Fn(u32) -> Vec<u8>;
    let cases: [(&str, Frame<'_>); 6] = [
        ("empty DATA", &|_| frame(DATA, 0, 1, b"")),
        ("DATA that is padding", &|_| frame(DATA, PADDED, 1, &padding)),
        ("a window that grows by nothing", &|_| frame(WINDOW_UPDATE, 0, 1, &nothing)),
        ("a window that grows beyond bounds", &|_| frame(WINDOW_UPDATE, 0, 0, &all)),
        // The gateway itself is made to reset each of them (CVE-2025-8671).
        ("streams made to be reset by windows", &|number| {
            let stream = number * 2 + 3;
            [open(stream), frame(WINDOW_UPDATE, 0, stream, &nothing)].concat()
        }),
        ("streams made to be reset by priorities", &|number| {
            let stream = number * 2 + 3;
            let itself = [&stream.to_be_bytes()[..], &[0]].concat();
            [open(stream), frame(PRIORITY, 0, stream, &itself)].concat()
        }),
    ];
    for (name, flood) in cases {
        let mut bytes = [HELLO, &open(1)].concat();
        (0..5_000).for_each(|number| bytes.extend(flood(number)));
        assert!(is_accused(&answer_to(&mut gateway.connect(), &bytes)), "{name}");
        assert_eq!(gateway.ask(&get("/x")).status, 200, "{name}");
    }
    app.open_gate();
    eventually("nothing in flight", || gateway.live.in_flight() == 0);
}

#[test]
fn a_frame_that_makes_no_sense_ends_the_connection() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let bytes = [HELLO, &frame(CONTINUATION, END_HEADERS, 1, &block(b"/x"))].concat();
    answer_to(&mut gateway.connect(), &bytes);
    gateway.counts("portcullis_http2_refused_total{reason=\"protocol_error\"}", 1);
    assert!(app.seen().is_empty());
}

#[test]
fn a_connection_may_pause_for_the_whole_idle_time() {
    let app = App::start();
    let gateway = Setup::new(&app).server("idle_timeout = \"1900ms\"").start();
    let is_kept = || {
        let mut conn = gateway.connect();
        assert_eq!(conn.ask(&get("/x")).status, 200);
        std::thread::sleep(Duration::from_millis(1300));
        drop(conn.try_write(&get("/x").bytes()));
        conn.try_response_to("GET").is_some_and(|answer| answer.status == 200)
    };
    assert!(in_time(Duration::from_millis(1850), is_kept), "one second is not all of it");
}

#[test]
fn a_second_head_has_its_own_time_however_long_a_connection_may_be_idle() {
    let app = App::start();
    let gateway =
        Setup::new(&app).server("header_timeout = \"2s\"\nidle_timeout = \"60s\"").start();
    let mut conn = gateway.connect();
    assert_eq!(conn.ask(&get("/x")).status, 200);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(conn.ask(&get("/x")).status, 200, "idle time is not the head's");
    let mut silent = gateway.connect();
    assert_eq!(silent.ask(&get("/x")).status, 200);
    let began = Stopwatch::start();
    silent.write(b"GET /y HT");
    conn.write(b"GET /y HTTP/1.1\r\nX: ");
    while conn.try_write(b"y").is_ok() {
        assert!(began.elapsed() < seconds(7), "still open");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(began.on_the_wall() > seconds(1), "{:?}", began.on_the_wall());
    silent.rest();
    assert!(began.elapsed() < seconds(7), "a head that stops is not an idle connection");
    assert_eq!(app.seen().len(), 3);
    gateway.counts("portcullis_slow_clients_total{part=\"head\"}", 2);
}
