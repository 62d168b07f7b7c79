//! Where a body ends: one way to find out, or the request is refused whole.

use crate::support::bench::{
    Bench,
    Expect::{Broken, Passed, Refused},
    head,
};
use crate::support::{App, Setup};

#[test]
fn content_length_is_one_plain_number() {
    Bench::new().fields(&[
        ("two that differ", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello", Refused),
        ("two alike", b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello", Refused),
        ("a list", b"Content-Length: 5, 5\r\n", b"hello", Refused),
        ("plus", b"Content-Length: +5\r\n", b"hello", Refused),
        ("minus", b"Content-Length: -5\r\n", b"hello", Refused),
        ("letters", b"Content-Length: 5abc\r\n", b"hello", Refused),
        ("hexadecimal", b"Content-Length: 0x5\r\n", b"hello", Refused),
        ("exponent", b"Content-Length: 5e0\r\n", b"hello", Refused),
        ("fraction", b"Content-Length: 5.0\r\n", b"hello", Refused),
        ("empty", b"Content-Length:\r\n", b"", Refused),
        ("blank", b"Content-Length:   \r\n", b"", Refused),
        ("a blank inside", b"Content-Length: 5 5\r\n", b"hello", Refused),
        ("quoted", b"Content-Length: \"5\"\r\n", b"hello", Refused),
        ("underscore", b"Content-Length: 1_0\r\n", b"hellohello", Refused),
        ("vertical tab", b"Content-Length: \x0b5\r\n", b"hello", Refused),
        ("other digits", "Content-Length: \u{665}\r\n".as_bytes(), b"hello", Refused),
        ("beyond 64 bits", b"Content-Length: 18446744073709551621\r\n", b"hello", Refused),
        ("beyond 63 bits", b"Content-Length: 9223372036854775808\r\n", b"hello", Refused),
        ("far beyond", b"Content-Length: 99999999999999999999999999999\r\n", b"hello", Refused),
        ("space before the colon", b"Content-Length : 5\r\n", b"hello", Refused),
        ("plain", b"Content-Length: 5\r\n", b"hello", Passed),
        ("lower case", b"content-length:5\r\n", b"hello", Passed),
        ("none", b"", b"", Passed),
        ("zero", b"Content-Length: 0\r\n", b"", Passed),
    ]);
}

#[test]
fn transfer_encoding_is_chunked_and_alone() {
    const BODY: &[u8] = b"5\r\nhello\r\n0\r\n\r\n";
    Bench::new().fields(&[
        (
            "with a length before",
            b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            BODY,
            Refused,
        ),
        (
            "with a length after",
            b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            BODY,
            Refused,
        ),
        ("with length zero", b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", BODY, Refused),
        (
            "with a length in capitals",
            b"CONTENT-LENGTH:4\r\ntransfer-encoding:chunked\r\n",
            BODY,
            Refused,
        ),
        (
            "with a bad length",
            b"Content-Length: x\r\nTransfer-Encoding: chunked\r\n",
            BODY,
            Refused,
        ),
        ("gzip", b"Transfer-Encoding: gzip\r\n", BODY, Refused),
        ("gzip, chunked", b"Transfer-Encoding: gzip, chunked\r\n", BODY, Refused),
        ("chunked, gzip", b"Transfer-Encoding: chunked, gzip\r\n", BODY, Refused),
        ("chunked, chunked", b"Transfer-Encoding: chunked, chunked\r\n", BODY, Refused),
        ("identity", b"Transfer-Encoding: identity\r\n", BODY, Refused),
        ("chunked, identity", b"Transfer-Encoding: chunked, identity\r\n", BODY, Refused),
        ("identity, chunked", b"Transfer-Encoding: identity, chunked\r\n", BODY, Refused),
        ("xchunked", b"Transfer-Encoding: xchunked\r\n", BODY, Refused),
        ("parameters", b"Transfer-Encoding: chunked;q=1\r\n", BODY, Refused),
        ("quoted", b"Transfer-Encoding: \"chunked\"\r\n", BODY, Refused),
        ("trailing comma", b"Transfer-Encoding: chunked,\r\n", BODY, Refused),
        ("leading comma", b"Transfer-Encoding: ,chunked\r\n", BODY, Refused),
        ("empty", b"Transfer-Encoding:\r\n", b"", Refused),
        ("vertical tab", b"Transfer-Encoding: \x0bchunked\r\n", BODY, Refused),
        ("form feed after", b"Transfer-Encoding: chunked\x0c\r\n", BODY, Refused),
        ("NUL", b"Transfer-Encoding: chunked\x00\r\n", BODY, Refused),
        (
            "two fields",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            BODY,
            Refused,
        ),
        (
            "two fields that differ",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            BODY,
            Refused,
        ),
        (
            "the second empty",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n",
            BODY,
            Refused,
        ),
        ("space before the colon", b"Transfer-Encoding : chunked\r\n", BODY, Refused),
        ("folded", b"Transfer-Encoding:\r\n chunked\r\n", BODY, Refused),
        ("folded after another", b"X: y\r\n Transfer-Encoding: chunked\r\n", BODY, Refused),
        ("bare CR before", b"X: y\rTransfer-Encoding: chunked\r\n", BODY, Refused),
        ("NUL in the name", b"Transfer-Encoding\x00: chunked\r\n", BODY, Refused),
        ("plain", b"Transfer-Encoding: chunked\r\n", BODY, Passed),
        ("capitals", b"TRANSFER-ENCODING: CHUNKED\r\n", BODY, Passed),
        ("another name", b"Transfer_Encoding: chunked\r\n", b"", Passed),
        ("another name yet", b"X-Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", b"", Passed),
    ]);
}

#[test]
fn chunks_are_well_formed_or_the_request_is_refused() {
    const TE: &[u8] = b"Transfer-Encoding: chunked\r\n";
    Bench::new().fields(&[
        ("0x", TE, b"0x5\r\nhello\r\n0\r\n\r\n", Refused),
        ("minus", TE, b"-5\r\nhello\r\n0\r\n\r\n", Refused),
        ("plus", TE, b"+5\r\nhello\r\n0\r\n\r\n", Refused),
        ("no digits", TE, b"\r\nhello\r\n0\r\n\r\n", Refused),
        ("letters", TE, b"xyz\r\nhello\r\n0\r\n\r\n", Refused),
        ("beyond 64 bits", TE, b"10000000000000005\r\nhello\r\n0\r\n\r\n", Refused),
        ("all ones", TE, b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", Refused),
        ("bare LF after the size", TE, b"5\nhello\r\n0\r\n\r\n", Refused),
        ("bare LF after the data", TE, b"5\r\nhello\n0\r\n\r\n", Refused),
        ("bare CR after the size", TE, b"5\rhello\r\n0\r\n\r\n", Refused),
        ("too little data", TE, b"6\r\nhello\r\n0\r\n\r\n", Refused),
        ("too much data", TE, b"4\r\nhello\r\n0\r\n\r\n", Refused),
        ("NUL in the size", TE, b"5\x00\r\nhello\r\n0\r\n\r\n", Refused),
        ("LF in an extension", TE, b"5;a\nb\r\nhello\r\n0\r\n\r\n", Refused),
        (
            "an endless extension",
            TE,
            &[&b"5;"[..], &[b'a'; 20_000], b"\r\nhello\r\n0\r\n\r\n"].concat(),
            Broken,
        ),
        ("an extension without a name", TE, b"5;\r\nhello\r\n0\r\n\r\n", Refused),
        ("blanks behind the size", TE, b"5 \r\nhello\r\n0\r\n\r\n", Refused),
        ("blanks before the size", TE, b" 5\r\nhello\r\n0\r\n\r\n", Refused),
        ("CR in an extension", TE, b"5;a\rb\r\nhello\r\n0\r\n\r\n", Refused),
        ("NUL in an extension", TE, b"5;a\x00\r\nhello\r\n0\r\n\r\n", Refused),
        ("a quote that stays open", TE, b"5;a=\"b\r\nhello\r\n0\r\n\r\n", Refused),
        ("LF in quotes", TE, b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n", Refused),
        ("a blank line before the last chunk", TE, b"5\r\nhello\r\n\r\n0\r\n\r\n", Refused),
        ("an empty last chunk", TE, b"5\r\nhello\r\n\r\n\r\n", Refused),
        ("a bare LF at the end", TE, b"5\r\nhello\r\n0\r\n\n", Refused),
        ("a folded trailer", TE, b"0\r\nA: b\r\n c\r\n\r\n", Refused),
        ("a trailer without a colon", TE, b"0\r\nA\r\n\r\n", Refused),
        ("a trailer with a bare LF", TE, b"0\r\nA: b\nC: d\r\n\r\n", Refused),
        ("a quoted extension", TE, b"5;a=\"b; c\\\"\"\r\nhello\r\n0\r\n\r\n", Passed),
        ("an extension", TE, b"5;a=b\r\nhello\r\n0\r\n\r\n", Passed),
        ("capital digits", TE, b"A\r\nhellohello\r\n0\r\n\r\n", Passed),
        ("leading zeros", TE, b"0005\r\nhello\r\n000\r\n\r\n", Passed),
        ("a trailer", TE, b"5\r\nhello\r\n0\r\nX-Auth-User: r00t\r\n\r\n", Passed),
        ("a trailer that frames", TE, b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n", Passed),
        ("nothing", TE, b"0\r\n\r\n", Passed),
    ]);
}

#[test]
fn http_1_0_has_no_chunks_to_send() {
    Bench::new().whole(&[
        (
            "chunked",
            b"POST /f HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Refused,
        ),
        (
            "both",
            b"POST /f HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
            Refused,
        ),
        ("a length", b"POST /f HTTP/1.0\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc", Passed),
        (
            "kept alive",
            b"POST /f HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
            Passed,
        ),
    ]);
}

/// The first chunk may be at the app already when the second one breaks.
#[test]
fn a_chunk_that_comes_later_is_judged_too() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let later: [&[u8]; 4] =
        [b"\r\n", b"5;a\nb\r\nhello\r\n", b"5\nhello\r\n", b"0\r\nA\nB: c\r\n\r\n"];
    for bad in later {
        let mut conn = gateway.connect();
        conn.write(&head("POST", "/do/mirror", b"Transfer-Encoding: chunked\r\n"));
        conn.write(b"5\r\nhello\r\n");
        assert_eq!(conn.next_head().unwrap().status, 200);
        assert_eq!(conn.chunk(), b"hello", "while the request is open");
        drop(conn.try_write(&[bad, b"0\r\n\r\n"].concat()));
        conn.try_finish();
        let said = String::from_utf8_lossy(&conn.rest()).into_owned();
        assert!(!said.contains("0\r\n\r\n"), "{}: a whole answer: {said}", bad.escape_ascii());
    }
}
