//! Request lines, fields and hosts that two programs could read differently.

use crate::support::bench::{
    Bench,
    Expect::{Passed, Refused},
    head,
};
use crate::support::{App, Setup, get};

#[test]
fn the_request_line_has_three_words() {
    const REST: &[u8] = b"\r\nHost: app.test\r\n\r\n";
    let line = |line: &[u8]| [line, REST].concat();
    Bench::new().whole(&[
        ("two blanks before the target", &line(b"GET  /f HTTP/1.1"), Refused),
        ("two blanks after the target", &line(b"GET /f  HTTP/1.1"), Refused),
        ("a tab", &line(b"GET\t/f HTTP/1.1"), Refused),
        ("a blank in front", &line(b" GET /f HTTP/1.1"), Refused),
        ("a blank at the end", &line(b"GET /f HTTP/1.1 "), Refused),
        ("a blank in the target", &line(b"GET /f g HTTP/1.1"), Refused),
        ("a quote in the target", &line(b"GET /f\"g HTTP/1.1"), Passed),
        ("a quote in the query", &line(b"GET /f?a=\"g\" HTTP/1.1"), Passed),
        ("angle brackets in the query", &line(b"GET /f?<a> HTTP/1.1"), Passed),
        ("a blank in the query", &line(b"GET /f?a b HTTP/1.1"), Refused),
        ("a tab in the target", &line(b"GET /f\tg HTTP/1.1"), Refused),
        ("NUL in the target", &line(b"GET /f\x00g HTTP/1.1"), Refused),
        ("two bare CRs", &line(b"GET /f HTTP/1.1\r\r"), Refused),
        ("no version", &line(b"GET /f"), Refused),
        ("no target", &line(b"GET HTTP/1.1"), Refused),
        ("one word", &line(b"GET"), Refused),
        ("a second version", &line(b"GET /f HTTP/1.1 HTTP/1.1"), Refused),
        ("HTTP/0.9", &line(b"GET /f HTTP/0.9"), Refused),
        ("HTTP/1.2", &line(b"GET /f HTTP/1.2"), Refused),
        ("HTTP/2.0", &line(b"GET /f HTTP/2.0"), Refused),
        ("http in lower case", &line(b"GET /f http/1.1"), Refused),
        ("NUL in front", &line(b"\x00GET /f HTTP/1.1"), Refused),
        ("a method with a colon", &line(b"GET: /f HTTP/1.1"), Refused),
        ("a method with NUL", &line(b"GE\x00T /f HTTP/1.1"), Refused),
        ("a bare CR", &line(b"GET /f\rX HTTP/1.1"), Refused),
        ("a fragment", &line(b"GET /f#g HTTP/1.1"), Refused),
        ("a fragment after the query", &line(b"GET /f?a#g HTTP/1.1"), Refused),
        ("no slash", &line(b"GET f HTTP/1.1"), Refused),
        ("only a query", &line(b"GET ?f HTTP/1.1"), Refused),
        ("an asterisk", &line(b"GET * HTTP/1.1"), Refused),
        ("an authority", &line(b"GET app.test:80 HTTP/1.1"), Refused),
        ("another scheme", &line(b"GET ftp://app.test/f HTTP/1.1"), Refused),
        ("one slash", &line(b"GET http:/app.test/f HTTP/1.1"), Refused),
        ("no authority", &line(b"GET http:///f HTTP/1.1"), Refused),
        ("another host", &line(b"GET http://evil.test/f HTTP/1.1"), Refused),
        ("user information", &line(b"GET http://a@app.test/f HTTP/1.1"), Refused),
        ("non-ASCII", &line("GET /f\u{e9} HTTP/1.1".as_bytes()), Refused),
        ("not UTF-8", &line(b"GET /f\xff HTTP/1.1"), Refused),
        ("DEL", &line(b"GET /f\x7f HTTP/1.1"), Refused),
        ("CONNECT", &line(b"CONNECT app.test:443 HTTP/1.1"), Refused),
        ("TRACE", &line(b"TRACE /f HTTP/1.1"), Refused),
        ("an escaped blank", &line(b"GET /f%20g HTTP/1.1"), Passed),
        ("an empty line in front", &[b"\r\n", &line(b"GET /f HTTP/1.1")[..]].concat(), Passed),
    ]);
}

#[test]
fn fields_are_well_formed() {
    let field = |field: &[u8]| head("GET", "/f", &[field, b"\r\n"].concat());
    Bench::new().whole(&[
        ("no colon", &field(b"garbage"), Refused),
        ("no name", &field(b": x"), Refused),
        ("a blank in the name", &field(b"X Y: x"), Refused),
        ("a blank before the colon", &field(b"X : x"), Refused),
        ("a tab before the colon", &field(b"X\t: x"), Refused),
        ("a folded value", &field(b"X: a\r\n b"), Refused),
        ("a value folded with a tab", &field(b"X: a\r\n\tb"), Refused),
        ("NUL in a value", &field(b"X: a\x00b"), Refused),
        ("a control in a value", &field(b"X: a\x01b"), Refused),
        ("a bare CR in a value", &field(b"X: a\rb"), Refused),
        ("a bare CR at the end", &field(b"X: a\r"), Refused),
        ("a bare LF between two fields", &field(b"X: a\nY: b"), Refused),
        ("a bare LF after a blank", &field(b"X: a \nTransfer-Encoding: chunked"), Refused),
        ("a bare LF after no value", &field(b"X:\nY: b"), Refused),
        ("a bare LF after the line", b"GET /f HTTP/1.1\nHost: app.test\r\n\r\n", Refused),
        ("a bare LF at the end", b"GET /f HTTP/1.1\r\nHost: app.test\r\n\n", Refused),
        ("bare LFs only", b"GET /f HTTP/1.1\nHost: app.test\n\n", Refused),
        ("a control in a name", &field(b"X\x01Y: a"), Refused),
        ("a non-ASCII name", &field("X\u{e9}: a".as_bytes()), Refused),
        ("brackets in a name", &field(b"X[Y]: a"), Refused),
        ("a quote in a name", &field(b"X\"Y: a"), Refused),
        ("a first line that is folded", b"GET /f HTTP/1.1\r\n Host: app.test\r\n\r\n", Refused),
        ("any character in a value", &field("X: \u{e9}\u{20ac}".as_bytes()), Passed),
        ("no value", &field(b"X:"), Passed),
        ("no blank", &field(b"X:y"), Passed),
    ]);
}

#[test]
fn there_is_one_host_and_it_is_a_host() {
    let host = |fields: &[u8]| [b"GET /f HTTP/1.1\r\n", fields, b"\r\n\r\n"].concat();
    Bench::new().whole(&[
        ("none", b"GET /f HTTP/1.1\r\nX: y\r\n\r\n", Refused),
        ("empty", &host(b"Host:"), Refused),
        ("two", &host(b"Host: app.test\r\nHost: evil.test"), Refused),
        ("two alike", &host(b"Host: app.test\r\nhost: app.test"), Refused),
        ("a list", &host(b"Host: app.test, evil.test"), Refused),
        ("a blank", &host(b"Host: app test"), Refused),
        ("a tab", &host(b"Host: app\ttest"), Refused),
        ("a slash", &host(b"Host: app.test/x"), Refused),
        ("a question mark", &host(b"Host: app.test?x"), Refused),
        ("a hash", &host(b"Host: app.test#x"), Refused),
        ("user information", &host(b"Host: a@app.test"), Refused),
        ("a scheme", &host(b"Host: http://app.test"), Refused),
        ("two ports", &host(b"Host: app.test:80:90"), Refused),
        ("a port beyond 16 bits", &host(b"Host: app.test:99999"), Refused),
        ("a port that is no number", &host(b"Host: app.test:http"), Refused),
        ("half a bracket", &host(b"Host: [::1"), Refused),
        ("no address in brackets", &host(b"Host: [x]"), Refused),
        ("a backslash", &host(b"Host: app.test\\x"), Refused),
        ("an escape", &host(b"Host: %61pp.test"), Refused),
        ("non-ASCII", &host("Host: \u{e9}.test".as_bytes()), Refused),
        ("two dots", &host(b"Host: app..test"), Refused),
        ("only a port", &host(b"Host: :80"), Refused),
        ("a name", &host(b"Host: app.test"), Passed),
        ("none in 1.0", b"GET /f HTTP/1.0\r\n\r\n", Passed),
    ]);
}

#[test]
fn heads_have_a_size() {
    let app = App::start();
    let gateway = Setup::new(&app).server("max_header = \"16KiB\"\nmax_headers = 100").start();
    let large = |fields: &str| head("GET", "/f", fields.as_bytes());
    let cases: [(&str, Vec<u8>, &[u16]); 9] = [
        ("one large field", large(&format!("X: {}\r\n", "x".repeat(20_000))), &[431]),
        ("many cookies", large(&"Cookie: a=b\r\n".repeat(2_000)), &[400, 431]),
        ("many fields", large(&"X: y\r\n".repeat(300)), &[400, 431]),
        ("fields beyond the limit", large(&"X: y\r\n".repeat(100)), &[431]),
        ("as many fields as there may be", large(&"X: y\r\n".repeat(99)), &[200]),
        ("a long target", head("GET", &format!("/{}", "x".repeat(20_000)), b""), &[414]),
        ("a very long target", head("GET", &format!("/{}", "x".repeat(80_000)), b""), &[400, 414]),
        ("a megabyte", large(&format!("X: {}\r\n", "x".repeat(1_200_000))), &[400, 431]),
        ("within the limit", large(&format!("X: {}\r\n", "x".repeat(15_000))), &[200]),
    ];
    let mut refused = 0;
    for (name, bytes, statuses) in cases {
        app.forget();
        let mut conn = gateway.connect();
        drop(conn.try_write(&bytes));
        let answer = conn.response_to("GET");
        assert!(statuses.contains(&answer.status), "{name}: {answer:?}");
        assert_eq!(app.seen().is_empty(), answer.status != 200, "{name}");
        if let 414 | 431 = answer.status {
            answer.assert_refused(answer.status, "too_large");
            refused += 1;
        }
    }
    gateway.counts("portcullis_refusals_total{code=\"too_large\"}", refused);
    gateway.reload(&Setup::new(&app).server("max_uri = \"32KiB\""));
    assert_eq!(gateway.ask(&get(&format!("/{}", "x".repeat(20_000)))).status, 200, "from now on");
}

#[test]
fn a_question_that_is_the_request_itself_has_one_target_and_no_fragment() {
    let app = App::start();
    let gateway = Setup::new(&app).with("[auth]\nlisten = \"127.0.0.1:0\"").start();
    for target in ["/x#/account", "/x?#", "/account b"] {
        let answer = gateway.ask_auth(&get(&format!("/auth/envoy{target}")));
        answer.assert_refused(400, "bad_request");
    }
    assert_eq!(gateway.ask_auth(&get("/auth/envoy/x")).status, 200);
}
