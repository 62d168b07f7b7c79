//! Faults of an app, and what it sends meanwhile.

use super::Script;

pub(crate) const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nX-App: 1\r\n";

/// A head of the app with these fields, then this.
pub(crate) fn ok(fields: &str, rest: &str) -> Vec<u8> {
    [HEAD, fields.as_bytes(), b"\r\n", rest.as_bytes()].concat()
}

/// A kind of fault and what the app does.
pub(crate) type Fault = (&'static str, Script);

pub(crate) fn before_the_head() -> Vec<Fault> {
    let says = |bytes: &[u8]| Script::says(&[bytes]);
    let many = "X-Field: x\r\n".repeat(300);
    let large = format!("X-Field: {}\r\n", "x".repeat(2 << 20));
    vec![
        ("hangs up", Script::says(&[]).closes()),
        ("hangs up with the request unread", Script::says(&[]).without_reading().closes()),
        ("resets", Script::says(&[]).resets()),
        ("says nothing more will come", Script::says(&[]).half_closes()),
        ("hangs up in the status line", says(b"HTTP/1.1 20").closes()),
        ("hangs up in the head", says(HEAD).closes()),
        ("resets in the head", says(HEAD).resets()),
        ("says nothing more will come in the head", says(HEAD).half_closes()),
        ("hangs up after early hints", says(b"HTTP/1.1 103 Early Hints\r\n\r\n").closes()),
        ("sends no HTTP", says(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").closes()),
        ("sends no head", says(b"<html>hello</html>\r\n\r\n").closes()),
        ("sends no status", says(b"HTTP/1.1 OK\r\n\r\n")),
        ("sends half a status", says(b"HTTP/1.1 20\r\n\r\n")),
        ("sends no version", says(b"HTTP/9.9 200 OK\r\n\r\n")),
        ("sends a name that is none", says(&ok("Bad\x01Name: x\r\n", ""))),
        ("sends a NUL", says(&ok("X-Field: a\0b\r\n", ""))),
        ("sends many fields", says(&ok(&many, "hello"))),
        ("sends endless fields", says(&ok(&large, "hello"))),
        ("sends two lengths", says(&ok("Content-Length: 3\r\nContent-Length: 5\r\n", "abcde"))),
        ("sends no length", says(&ok("Content-Length: -5\r\n", "abcde"))),
        ("switches protocols unasked", {
            says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        }),
    ]
}

pub(crate) fn in_the_body() -> Vec<Fault> {
    let says = |fields: &str, rest: &str| Script::says(&[&ok(fields, ""), rest.as_bytes()]);
    let length = |rest| says("Content-Length: 1000\r\n", rest);
    let chunked = |rest| says("Transfer-Encoding: chunked\r\n", rest);
    vec![
        ("hangs up", length("some").closes()),
        ("resets", length("some").resets()),
        ("says nothing more will come", length("some").half_closes()),
        ("falls silent", length("some").falls_silent()),
        ("hangs up in a chunk", chunked("8\r\nsome").closes()),
        ("resets in a chunk", chunked("8\r\nsome").resets()),
        ("falls silent in a chunk", chunked("8\r\nsome").falls_silent()),
        ("hangs up between two chunks", chunked("4\r\nsome\r\n").closes()),
        ("resets between two chunks", chunked("4\r\nsome\r\n").resets()),
        ("falls silent between two chunks", chunked("4\r\nsome\r\n").falls_silent()),
        ("hangs up in the size of a chunk", chunked("4\r\nsome\r\n1").closes()),
        ("sends a size that is none", chunked("4\r\nsome\r\nzz\r\nmore\r\n0\r\n\r\n")),
        ("sends a chunk too long", chunked("4\r\nsome\r\n2\r\nmore\r\n0\r\n\r\n")),
        ("sends no last line", chunked("4\r\nsome\r\n0\r\n").closes()),
        ("resets a body without a length", says("", "some").resets()),
        ("falls silent in a body without a length", says("", "some").falls_silent()),
    ]
}

/// Answers with more behind them than belongs to them.
pub(crate) fn with_a_surplus() -> Vec<(&'static str, &'static str, u16, &'static str, Script)> {
    const SECOND: &str = "HTTP/1.1 200 OK\r\nX-App: 2\r\nContent-Length: 5\r\n\r\nother";
    let fixed = |rest: &str| ok("Content-Length: 4\r\n", &format!("some{rest}"));
    let chunked =
        |rest: &str| ok("Transfer-Encoding: chunked\r\n", &format!("4\r\nsome\r\n0\r\n\r\n{rest}"));
    let status = |line: &str, rest: &str| {
        format!("HTTP/1.1 {line}\r\nX-App: 1\r\nContent-Length: 5\r\n\r\n{rest}").into_bytes()
    };
    let once = |bytes: &[u8]| Script::says(&[bytes]);
    let late = |bytes: &[u8]| Script::says(&[bytes, SECOND.as_bytes()]);
    vec![
        ("answers twice", "GET", 200, "some", once(&fixed(SECOND))),
        ("answers twice, the second time late", "GET", 200, "some", late(&fixed(""))),
        ("answers in chunks twice", "GET", 200, "some", once(&chunked(SECOND))),
        ("answers in chunks twice, late", "GET", 200, "some", late(&chunked(""))),
        ("sends more than the length", "GET", 200, "some", once(&fixed("more"))),
        ("sends something after the chunks", "GET", 200, "some", once(&chunked("more"))),
        ("answers HEAD with a body", "HEAD", 200, "", once(&fixed(""))),
        ("answers HEAD with another answer", "HEAD", 200, "", once(&fixed(SECOND))),
        ("answers HEAD with chunks", "HEAD", 200, "", once(&chunked(SECOND))),
        ("answers 204 with a body", "GET", 204, "", once(&status("204 No Content", "other"))),
        ("answers 204 with an answer", "GET", 204, "", once(&status("204 No Content", SECOND))),
        ("answers 304 with a body", "GET", 304, "", once(&status("304 Not Modified", "other"))),
        ("answers 304 with an answer", "GET", 304, "", once(&status("304 Not Modified", SECOND))),
    ]
}
