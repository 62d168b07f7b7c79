//! Bodies flow through: nothing is held back, nothing is gathered up.

use std::io::ErrorKind;
use std::time::Duration;

use crate::support::{App, Request, Setup, get, post};

#[test]
fn the_first_event_arrives_before_the_last_is_sent() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    // Compressing it would hold it back.
    conn.write(&get("/do/sse").user("ada").header("Accept-Encoding", "gzip, br").bytes());
    let head = conn.next_head().unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(conn.chunk(), b"data: 1\n\n", "while the app waits at the gate");
    app.open_gate();
    assert_eq!(conn.chunk(), b"data: 2\n\n");
    assert_eq!(conn.chunk(), b"");
}

#[test]
fn a_slow_answer_of_known_length_arrives_as_it_is_written() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for (path, before, after) in
        [("/do/halves", &b"first"[..], &b"second"[..]), ("/do/late-body", b"", b"body")]
    {
        app.close_gate();
        let mut conn = gateway.connect();
        conn.write(&get(path).bytes());
        let head = conn.next_head().unwrap();
        assert_eq!(
            head.header("content-length"),
            Some((before.len() + after.len()).to_string().as_str())
        );
        assert_eq!(conn.exactly(before.len()), before, "while the app waits at the gate");
        app.open_gate();
        assert_eq!(conn.exactly(after.len()), after);
        assert_eq!(conn.ask(&get("/x")).status, 200);
    }
}

#[test]
fn an_upload_and_its_answer_flow_at_the_same_time() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    conn.write(&Request::new("POST", "/do/mirror").header("Transfer-Encoding", "chunked").bytes());
    assert_eq!(conn.next_head().unwrap().status, 200, "before any of the body");
    for piece in ["one", "two", "three"] {
        conn.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
        assert_eq!(conn.chunk(), piece.as_bytes());
    }
    conn.write(b"0\r\n\r\n");
    assert_eq!(conn.chunk(), b"");
}

/// More than the sockets of two hops hold, much less than the whole.
const IN_BUFFERS: usize = 32 << 20;
const WHOLE: usize = 96 << 20;

#[test]
fn an_app_that_does_not_read_holds_the_upload_back() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    let length = WHOLE.to_string();
    conn.write(&Request::new("POST", "/do/late-upload").header("Content-Length", &length).bytes());
    let block = vec![b'u'; 64 * 1024];
    let mut sent = 0;
    conn.write_patience(Some(Duration::from_millis(300)));
    while sent < WHOLE {
        match conn.write_some(&block[..block.len().min(WHOLE - sent)]) {
            Ok(length) => sent += length,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
                break;
            }
        }
    }
    assert!(sent < IN_BUFFERS, "{sent} bytes were taken though nobody reads them");
    app.open_gate();
    conn.write_patience(None);
    while sent < WHOLE {
        sent += conn.write_some(&block[..block.len().min(WHOLE - sent)]).unwrap();
    }
    assert_eq!(conn.response_to("POST").text(), length, "all of it arrived");
}

#[test]
fn a_client_that_does_not_read_holds_the_download_back() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    conn.write(&get(&format!("/do/download?{WHOLE}")).bytes());
    let head = conn.next_head().unwrap();
    assert_eq!(head.header("content-length"), Some(WHOLE.to_string().as_str()));
    app.wait_until_blocked();
    assert!(app.written() < IN_BUFFERS, "{} bytes were taken", app.written());
    let mut left = WHOLE;
    while left > 0 {
        let part = left.min(1 << 20);
        assert!(conn.exactly(part).iter().all(|byte| *byte == b'd'));
        left -= part;
    }
}

#[test]
fn bodies_arrive_exactly_as_they_were_framed() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for length in [0, 1, 1460, 8 * 1024, 65_535, 65_536, 300_000] {
        app.forget();
        let body: Vec<u8> = (0..length).map(|n| b"0123456789abcdef"[n % 16]).collect();
        assert_eq!(gateway.ask(&post("/x", &body)).status, 200);
        let seen = app.only();
        assert_eq!(seen.one("content-length").as_deref(), Some(length.to_string().as_str()));
        assert_eq!((seen.wire.as_slice(), seen.length), (body.as_slice(), length));
    }
}

#[test]
fn chunked_uploads_end_with_exactly_one_terminator() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let bodies: [&[u8]; 5] = [
        b"0\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        b"3;name=value\r\nabc\r\n0;last\r\n\r\n",
        b"003\r\nabc\r\n00\r\nX-Trailer: 1\r\n\r\n",
    ];
    for body in bodies {
        app.forget();
        let mut conn = gateway.connect();
        let request =
            Request::new("POST", "/x").header("Transfer-Encoding", "chunked").raw_body(body);
        assert_eq!(conn.ask(&request).status, 200);
        assert_eq!(conn.ask(&get("/next")).status, 200);
        let seen = app.seen();
        assert_eq!(seen.len(), 2, "{seen:?}");
        let wire = String::from_utf8(seen[0].wire.clone()).unwrap();
        assert!(wire.ends_with("0\r\n\r\n") && wire.matches("0\r\n").count() == 1, "{wire:?}");
        assert!(!wire.contains("name=value") && !wire.contains("Trailer"), "{wire:?}");
        assert_eq!(seen[1].method(), "GET", "{seen:?}");
    }
}

#[test]
fn the_app_says_when_to_continue() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut conn = gateway.connect();
    let request = Request::new("POST", "/do/continue")
        .header("Expect", "100-continue")
        .header("Content-Length", "3");
    conn.write(&request.bytes());
    assert_eq!(conn.next_head().unwrap().status, 100);
    conn.write(b"abc");
    assert_eq!(conn.response_to("POST").status, 200);
    assert_eq!(app.only().wire, b"abc");
}

#[test]
fn an_early_refusal_of_the_app_reaches_a_client_that_is_still_sending() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for (path, status) in [("/do/early-401", 401), ("/do/early-413", 413)] {
        let mut conn = gateway.connect();
        conn.write(&Request::new("POST", path).header("Content-Length", "1000000").bytes());
        conn.write(&[b'x'; 10_000]);
        let answer = conn.response_to("POST");
        assert_eq!((answer.status, answer.text()), (status, "early".to_owned()));
    }
    assert_eq!(gateway.ask(&get("/x")).status, 200);
}
