//! Clients that take their time: each is cut off, and nobody else waits for them.

use std::time::Duration;

use crate::support::http2::{self, block_on};
use crate::support::{
    App, Conn, Gateway, PATIENCE, Request, Setup, Stopwatch, cookie_of, eventually, get, in_time,
    seconds,
};

const LATE_HEADS: &str = "portcullis_slow_clients_total{part=\"head\"}";
const LATE_BODIES: &str = "portcullis_slow_clients_total{part=\"body\"}";

fn gateway(app: &App) -> Gateway {
    Setup::new(app).server("header_timeout = \"1s\"\nidle_timeout = \"3s\"").start()
}

/// Writes `bytes` one by one until the gateway ends the connection; how long
/// that took. Whatever is refused early is fine, an answer of the app is not.
fn drip(conn: &mut Conn, bytes: &[u8]) -> Duration {
    let began = Stopwatch::start();
    for byte in bytes.iter().cycle() {
        if conn.try_write(&[*byte]).is_err() || began.elapsed() > seconds(12) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}

#[test]
fn a_dripped_head_is_cut_off_in_time_however_it_drips() {
    let app = App::start();
    let gateway = gateway(&app);
    let cases: [(&str, &[u8], &[u8]); 12] = [
        ("a field that never ends", b"GET /x HTTP/1.1\r\nX: ", b"x"),
        ("fields without end", b"GET /x HTTP/1.1\r\n", b"X: y\r\n"),
        ("a target that never ends", b"GET /", b"x"),
        ("a method that never ends", b"", b"G"),
        ("empty lines", b"", b"\r\n"),
        ("a name that never ends", b"GET /x HTTP/1.1\r\nHost: app.test\r\nX", b"x"),
        ("half of a preface", b"PRI * HT", b"x"),
        ("one byte", b"P", b""),
        ("three bytes", b"PRI", b""),
        ("most of a preface", b"PRI * HTTP/2.0\r\n\r\nSM", b""),
        ("a preface and half a frame", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00", b""),
        (
            "a preface and fields that go on",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x82",
            b"",
        ),
    ];
    // All at once: each of them takes its time.
    std::thread::scope(|scope| {
        for (name, start, rest) in cases {
            let mut conn = gateway.connect();
            scope.spawn(move || {
                conn.write(start);
                let took =
                    if rest.is_empty() { until_closed(&mut conn) } else { drip(&mut conn, rest) };
                assert!(took < seconds(6), "{name}: {took:?}");
                let answer = String::from_utf8_lossy(&conn.rest()).into_owned();
                assert!(!answer.contains(" 200 "), "{name}: {answer}");
            });
        }
    });
    assert!(app.seen().is_empty());
}

fn until_closed(conn: &mut Conn) -> Duration {
    let began = Stopwatch::start();
    conn.rest();
    began.elapsed()
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let app = App::start();
    let gateway = gateway(&app);
    let began = Stopwatch::start();
    let took = until_closed(&mut gateway.connect());
    assert!(began.on_the_wall() > Duration::from_millis(500) && took < seconds(6), "{took:?}");
    gateway.counts(LATE_HEADS, 1);
}

#[test]
fn a_kept_connection_is_closed_when_idle_and_no_sooner() {
    let app = App::start();
    let gateway = gateway(&app);
    let wait = |request: &Request| {
        in_time(Duration::from_millis(2900), || {
            let mut conn = gateway.connect();
            conn.ask(request);
            std::thread::sleep(Duration::from_millis(1500));
            drop(conn.try_write(&request.bytes()));
            conn.try_response_to("GET").map(|answer| (answer.status, conn))
        })
    };
    std::thread::scope(|scope| {
        let token = "/api/get-auth-token";
        for request in [get("/x"), get(token).user("ada"), get(token)] {
            scope.spawn(move || {
                let (status, mut conn) = wait(&request).expect("longer than a head may take");
                assert!(matches!(status, 200 | 401), "{status}");
                let began = Stopwatch::start();
                let took = until_closed(&mut conn);
                assert!(began.on_the_wall() > seconds(1) && took < seconds(8), "{took:?}");
            });
        }
    });
    gateway.counts("portcullis_connections", 0);
    gateway.counts(LATE_HEADS, 0);
}

#[test]
fn an_http_2_connection_is_closed_when_idle_and_not_while_it_is_used() {
    let app = App::start();
    let gateway = gateway(&app);
    block_on(async {
        let socket = tokio::net::TcpStream::connect(&gateway.address).await.unwrap();
        let (mut client, mut connection) = h2::client::handshake(socket).await.unwrap();
        let slow = http2::request("GET", "/do/slow").body(()).unwrap();
        let (answer, _) = client.send_request(slow, true).unwrap();
        let waiting = tokio::time::timeout(seconds(4), &mut connection).await;
        assert!(waiting.is_err(), "a stream is open");
        app.open_gate();
        let began = Stopwatch::start();
        let (answer, ended) = tokio::join!(answer, connection);
        assert_eq!(answer.unwrap().status(), 200);
        ended.unwrap();
        assert!(began.elapsed() < seconds(8), "{:?}", began.elapsed());
    });
}

#[test]
fn a_second_head_may_not_drip_either() {
    let app = App::start();
    let gateway = gateway(&app);
    let mut conn = gateway.connect();
    conn.ask(&get("/x"));
    conn.write(b"GET /y HTTP/1.1\r\nX: ");
    let took = drip(&mut conn, b"y");
    assert!(took < seconds(6), "{took:?}");
    assert_eq!(app.seen().len(), 1);
    gateway.counts(LATE_HEADS, 1);
}

#[test]
fn a_slow_but_whole_head_is_served() {
    let app = App::start();
    let gateway = gateway(&app);
    let mut conn = gateway.connect();
    for piece in get("/x").bytes().chunks(20) {
        conn.write(piece);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(conn.response_to("GET").status, 200);
}

#[test]
fn a_body_may_take_longer_than_a_head() {
    let app = App::start();
    let gateway = gateway(&app);
    let mut conn = gateway.connect();
    conn.write(&Request::new("POST", "/x").header("Content-Length", "10").bytes());
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(200));
        conn.write(b"x");
    }
    assert_eq!(conn.response_to("POST").status, 200);
    assert_eq!(app.only().length, 10);
}

/// The status of a token request over HTTP/2 whose body never ends.
fn stalled_token_request(address: &str) -> std::thread::JoinHandle<u16> {
    let address = address.to_owned();
    let ask = async move {
        let mut client = http2::open(&address).await.ready().await.unwrap();
        let request =
            http2::request("POST", "/api/get-auth-token").header("cookie", cookie_of("ada"));
        let (answer, _body) = client.send_request(request.body(()).unwrap(), false).unwrap();
        answer.await.unwrap().status().as_u16()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async { tokio::time::timeout(PATIENCE, ask).await.unwrap() })
    })
}

#[test]
fn a_dripped_body_of_a_token_request_is_given_up() {
    let app = App::start();
    let gateway = gateway(&app);
    let mut conn = gateway.connect();
    let request = Request::new("POST", "/api/get-auth-token").user("ada");
    conn.write(&request.header("Content-Length", "1000").bytes());
    let began = Stopwatch::start();
    let over_http2 = stalled_token_request(&gateway.address);
    conn.response_to("POST").assert_refused(400, "bad_request");
    assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());
    assert!(conn.is_closed());
    assert_eq!(over_http2.join().unwrap(), 400);
    gateway.counts(LATE_BODIES, 2);
}

#[test]
fn a_body_that_stops_ends_the_connection_and_one_that_continues_does_not() {
    let app = App::start();
    let gateway = Setup::new(&app).server("body_timeout = \"1500ms\"").start();
    let upload = Request::new("POST", "/x").header("Content-Length", "10").bytes();
    let mut conn = gateway.connect();
    conn.write(&upload);
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(250));
        conn.write(b"x");
    }
    assert_eq!(conn.response_to("POST").status, 200);
    let began = Stopwatch::start();
    conn.write(&upload);
    conn.write(b"xxx");
    let took = until_closed(&mut conn);
    assert!(began.on_the_wall() > seconds(1) && took < seconds(7), "{took:?}");
    gateway.counts(LATE_BODIES, 1);
    assert_eq!(gateway.logged(2)["reason"], "slow_client");
}

#[test]
fn a_client_that_does_not_read_its_answer_is_given_up() {
    let app = App::start();
    let gateway = Setup::new(&app).server("body_timeout = \"400ms\"").start();
    let mut conn = gateway.connect();
    conn.write(&get("/do/download?100000000").bytes());
    let mut fields = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "app.test"),
        (":path", "/do/download?100000000"),
    ] {
        http2::field(&mut fields, name.as_bytes(), value.as_bytes());
    }
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    let mut over_http2 = gateway.connect();
    over_http2.write(http2::HELLO);
    over_http2.write(&http2::frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
    over_http2.write(&http2::frame(http2::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0, 0]));
    let flags = http2::END_HEADERS | END_STREAM;
    over_http2.write(&http2::frame(http2::HEADERS, flags, 1, &fields));
    eventually("both are cut off", || {
        gateway.log_now().len() == 2 && gateway.metric_now("portcullis_connections") == 0
    });
    assert!(gateway.log().iter().any(|line| line["reason"] == "slow_client"));
    gateway.counts("portcullis_http2_refused_total{reason=\"stalled\"}", 1);
}

#[test]
fn over_http_2_a_body_that_stops_is_given_up_with_the_app() {
    let app = App::start();
    let gateway = Setup::new(&app).upstream("read_timeout = \"400ms\"").start();
    block_on(async {
        let mut client = http2::open(&gateway.address).await.ready().await.unwrap();
        let request = http2::request("POST", "/x").body(()).unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        body.send_data("xxx".into(), false).unwrap();
        assert_eq!(answer.await.unwrap().status(), 504);
    });
    eventually("nothing in flight", || gateway.live.in_flight() == 0);
}

#[test]
fn an_endless_head_costs_a_bounded_amount() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    conn.write_patience(Some(seconds(5)));
    conn.write(b"GET /x HTTP/1.1\r\nHost: app.test\r\nX: ");
    let block = [b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < 64 << 20 {
        match conn.write_some(&block) {
            Ok(length) => sent += length,
            Err(_) => break,
        }
    }
    assert!(sent < 16 << 20, "{sent} bytes of one field were taken");
    assert!(app.seen().is_empty());
}

#[test]
fn an_endless_trailer_costs_a_bounded_amount() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    conn.write_patience(Some(seconds(5)));
    conn.write(&Request::new("POST", "/x").header("Transfer-Encoding", "chunked").bytes());
    conn.write(b"0\r\nX: ");
    let block = [b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < 64 << 20 {
        match conn.write_some(&block) {
            Ok(length) => sent += length,
            Err(_) => break,
        }
    }
    assert!(sent < 16 << 20, "{sent} bytes of one trailer were taken");
}
