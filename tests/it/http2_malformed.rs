//! HTTP/2 requests that are malformed: each is a stream error, no other stream suffers, and
//! the app gets no whole request. And a client that hardly takes its answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::http2::{
    DATA, END_HEADERS, HEADERS, HELLO, RESET, WINDOW_UPDATE, block_on, field, frame,
};
use crate::support::{App, Gateway, PATIENCE, Setup, eventually, seconds};

const END_STREAM: u8 = 1;
const LATE_BODIES: &str = "portcullis_slow_clients_total{part=\"body\"}";

/// The fields of a request to `/x`, and these.
fn block(method: &[u8], more: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    let usual = [
        (&b":method"[..], method),
        (b":scheme", b"http"),
        (b":authority", b"app.test"),
        (b":path", b"/x"),
    ];
    for &(name, value) in usual.iter().chain(more) {
        field(&mut block, name, value);
    }
    block
}

/// A request whose path is added to the table of the connection (RFC 7541 section 6.2.1).
fn indexed() -> Vec<u8> {
    let mut block = b"\x83\x86\x44\x02/x".to_vec();
    field(&mut block, b":authority", b"app.test");
    frame(HEADERS, END_HEADERS, 1, &block)
}

fn trailers(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    fields.iter().for_each(|(name, value)| field(&mut block, name, value));
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

fn connect(gateway: &Gateway) -> TcpStream {
    let socket = TcpStream::connect(&gateway.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    socket
}

/// Bytes that have arrived, or arrive in a moment.
fn some(socket: &mut TcpStream) -> Vec<u8> {
    let mut octets = vec![0; 64 * 1024];
    let length = socket.read(&mut octets).unwrap_or(0);
    octets.truncate(length);
    octets
}

/// Whether the answer resets stream 1 with PROTOCOL_ERROR, and answers stream 3.
fn is_refused_alone(socket: &mut TcpStream, malformed: &[Vec<u8>]) -> bool {
    let next = frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(b"GET", &[]));
    let bytes = [&[HELLO.to_vec()][..], malformed, &[next]].concat().concat();
    socket.write_all(&bytes).unwrap();
    let mut all = Vec::new();
    let reset = [&[0, 0, 4, RESET, 0][..], &1_u32.to_be_bytes(), &1_u32.to_be_bytes()].concat();
    let answered = [END_STREAM, 0, 0, 0, 3];
    let has = |all: &[u8], part: &[u8]| all.windows(part.len()).any(|window| window == part);
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        all.extend(some(socket));
        if has(&all, &reset) && has(&all, &answered) {
            return true;
        }
    }
    false
}

#[test]
fn a_malformed_request_is_a_stream_error() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let post = |more: &[(&[u8], &[u8])]| frame(HEADERS, END_HEADERS, 1, &block(b"POST", more));
    let data = |flags, octets: &[u8]| frame(DATA, flags, 1, octets);
    let length: [(&[u8], &[u8]); 1] = [(b"content-length", b"3")];
    let cases: &[(&str, Vec<Vec<u8>>)] = &[
        ("more than announced", vec![post(&length), data(END_STREAM, b"hello")]),
        ("more than announced, later", vec![post(&length), data(0, b"hel"), data(0, b"lo")]),
        ("less than announced", vec![post(&length), data(END_STREAM, b"he")]),
        ("less, then trailers", vec![post(&length), data(0, b"he"), trailers(&[(b"x-a", b"1")])]),
        (
            "none of what was announced",
            vec![frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(b"POST", &length))],
        ),
        ("a path in trailers", vec![post(&[]), data(0, b"hello"), trailers(&[(b":path", b"/y")])]),
        (
            "a method behind other trailers",
            vec![
                post(&[]),
                data(0, b"hello"),
                trailers(&[(b"x-checksum", b"1"), (b":method", b"GET")]),
            ],
        ),
        (
            "a whole head again",
            vec![
                post(&[]),
                data(0, b"hello"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(b"GET", &[])),
            ],
        ),
        (
            "a method by its number",
            vec![post(&[]), frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x82])],
        ),
        (
            "the head's path, from the connection's table",
            vec![
                indexed(),
                data(0, b"hello"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xbe]),
            ],
        ),
        (
            "the name of the head's path, with another value",
            vec![
                indexed(),
                data(0, b"hello"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x0f\x2f\x02/y"),
            ],
        ),
    ];
    for (number, (name, frames)) in cases.iter().enumerate() {
        app.forget();
        assert!(is_refused_alone(&mut connect(&gateway), frames), "{name}");
        let whole =
            app.seen().iter().filter(|seen| seen.wire == b"5\r\nhello\r\n0\r\n\r\n").count();
        assert_eq!(whole, 0, "{name}: what came is no whole request");
        let counted = "portcullis_http2_refused_total{reason=\"malformed\"}";
        gateway.counts(counted, u64::try_from(number).unwrap() + 1);
    }
}

#[test]
fn a_client_that_takes_its_answer_over_http2_by_drips_is_given_up() {
    let app = App::start();
    let download = |gateway: &Gateway| {
        let mut socket = connect(gateway);
        let mut head = Vec::new();
        let fields: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":scheme", b"http"),
            (b":authority", b"app.test"),
            (b":path", b"/do/download?10000000"),
        ];
        fields.iter().for_each(|(name, value)| field(&mut head, name, value));
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head);
        socket.write_all(&[HELLO, &head].concat()).unwrap();
        socket
    };
    // Ten octets at a time, which no timer between two pieces sees.
    let drip = frame(WINDOW_UPDATE, 0, 1, &10_u32.to_be_bytes());
    let gateway = Setup::new(&app).server("min_body_rate = \"64KiB/1s\"").start();
    let mut socket = download(&gateway);
    eventually("the end", || {
        drop(socket.write_all(&drip));
        drop(some(&mut socket));
        gateway.metric_now(LATE_BODIES) == 1
    });
    let patient = Setup::new(&app).server("min_body_rate = false").start();
    let mut socket = download(&patient);
    let began = Instant::now();
    while began.elapsed() < seconds(4) {
        drop(socket.write_all(&drip));
        drop(some(&mut socket));
    }
    patient.counts(LATE_BODIES, 0);
}

#[test]
fn trailers_pass_as_before_however_many_there_are() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        let client = crate::support::http2::open(&gateway.address).await;
        for number in 0..100 {
            let mut client = client.clone().ready().await.unwrap();
            // So much that earlier fields leave the table of the connection.
            let filler = format!("{number}-{}", "f:".repeat(number * 7 % 200));
            let head = crate::support::http2::request("POST", "/x").header("x-filler", filler);
            let head = head.body(()).unwrap();
            let (response, mut stream) = client.send_request(head, false).unwrap();
            stream.send_data(bytes::Bytes::from_static(b"hello"), false).unwrap();
            let mut fields = http::HeaderMap::new();
            fields.insert("x-checksum", http::HeaderValue::from(number % 10));
            stream.send_trailers(fields).unwrap();
            assert_eq!(response.await.unwrap().status(), 200);
        }
    });
    assert_eq!(app.seen().len(), 100);
}

#[test]
fn fields_too_long_for_the_library_are_counted_too() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    block_on(async {
        for _ in 0..2 {
            let client = crate::support::http2::open(&gateway.address).await;
            let mut client = client.ready().await.unwrap();
            let head = crate::support::http2::request("GET", "/x").header("a", "b".repeat(80_000));
            let (response, _) = client.send_request(head.body(()).unwrap(), true).unwrap();
            assert_eq!(response.await.unwrap().status(), 431);
        }
    });
    gateway.counts("portcullis_http2_refused_total{reason=\"too_large\"}", 2);
    assert!(app.seen().is_empty());
}

#[test]
fn a_client_that_ends_within_a_frame_ends_the_connection() {
    let app = App::start();
    let gateway = Setup::new(&app).server("idle_timeout = \"1h\"").start();
    let head = frame(HEADERS, END_HEADERS, 1, &block(b"POST", &[]));
    let trailers = trailers(&[(b"x-a", b"1")]);
    for rest in [&b"\0\0"[..], &frame(DATA, 0, 1, b"hello")[..11], &trailers[..10]] {
        let mut socket = connect(&gateway);
        socket.write_all(&[HELLO, &head, rest].concat()).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut octets = Vec::new();
        socket.read_to_end(&mut octets).expect("the gateway ends it too");
    }
}
