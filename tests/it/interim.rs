//! Interim answers (1xx): they come before the answer, to clients that know them, and
//! change nothing about it.

use crate::support::faults::ok;
use crate::support::{App, Request, Script, Scripted, Setup, get};

const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[test]
fn http_1_0_clients_get_the_answer_alone() {
    for interim in [HINTS, CONTINUE, b"HTTP/1.1 102 Processing\r\n\r\n"] {
        let head = ok("Content-Length: 4\r\n", "some");
        let script = Script::says(&[interim, interim, &head]);
        let app = Scripted::start(move |_| Some(script.clone()));
        let gateway = Setup::towards(&app.url).start();
        for request in [
            get("/x").http10(),
            get("/x").http10().header("Connection", "keep-alive"),
            Request::new("POST", "/x").http10().header("Content-Length", "3").raw_body(b"abc"),
            get("/x").http10().header("Expect", "100-continue"),
        ] {
            let mut conn = gateway.connect();
            conn.write(&request.bytes());
            let head = conn.next_head().unwrap();
            assert_eq!(head.status, 200, "{interim:?} to {} {:?}", request.method, request.bytes());
            assert_eq!(conn.exactly(4), b"some");
        }
    }
}

#[test]
fn an_expectation_in_http_1_0_is_none() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for path in ["/do/continue", "/api/get-auth-token"] {
        let mut conn = gateway.connect();
        let request = Request::new("POST", path)
            .user("ada")
            .http10()
            .header("Expect", "100-continue")
            .header("Content-Length", "3")
            .raw_body(b"abc");
        conn.write(&request.bytes());
        assert_eq!(conn.next_head().unwrap().status, 200, "{path}");
    }
    assert_eq!(app.only().one("expect"), None);
}

#[test]
fn an_interim_answer_within_the_body_does_not_end_the_connection() {
    let head = ok("Content-Length: 4\r\n", "some");
    let script = Script::says(&[HINTS, CONTINUE, &head]);
    let app = Scripted::start(move |target| target.starts_with("/do").then(|| script.clone()));
    let gateway = Setup::towards(&app.url).start();
    let mut conn = gateway.connect();
    for (path, interims) in [("/do", 2), ("/api/get-auth-token", 1), ("/do", 2)] {
        let request = Request::new("POST", path)
            .user("ada")
            .header("Expect", "100-continue")
            .header("Content-Length", "3");
        conn.write(&request.bytes());
        // The script answers once it has the body; the gateway itself asks for a token's.
        if interims == 1 {
            assert_eq!(conn.next_head().unwrap().status, 100);
        }
        conn.write(b"abc");
        let answer = conn.response_to("POST");
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("connection"), Some("keep-alive"), "{path}");
    }
    assert_eq!(conn.ask(&get("/next")).text(), "/next");
}

#[test]
fn an_answer_before_the_end_of_the_body_still_ends_the_connection() {
    let head = ok("Content-Length: 4\r\n", "some");
    for pieces in [&[&head[..]][..], &[HINTS, &head]] {
        let script = Script::says(pieces).without_reading();
        let app = Scripted::start(move |_| Some(script.clone()));
        let gateway = Setup::towards(&app.url).start();
        let mut conn = gateway.connect();
        conn.write(&Request::new("POST", "/do").header("Content-Length", "1000").bytes());
        let answer = conn.response_to("POST");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    }
}
