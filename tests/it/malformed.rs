//! RFC 9112, section by section: forms of heads and bodies that it does not allow, beside
//! those of `framing` and `heads`. Each is also sent octet by octet, which must not change
//! what becomes of it.

use crate::support::bench::{
    Bench,
    Expect::{Passed, Refused},
    head,
};

/// What no token may hold (RFC 9110 section 5.6.2), apart from blanks and controls.
const DELIMITERS: &[u8] = b"\"(),/:;<=>?@[\\]{}";
const HOST: &[u8] = b"\r\nHost: app.test\r\n\r\n";

fn line(line: &[u8]) -> Vec<u8> {
    [line, HOST].concat()
}

fn field(field: &[u8]) -> Vec<u8> {
    head("GET", "/f", &[field, b"\r\n"].concat())
}

fn refused(bench: &mut Bench, cases: impl IntoIterator<Item = Vec<u8>>) {
    for case in cases {
        bench.in_every_way(&case.escape_ascii().to_string(), &case, Refused);
    }
}

fn passed(bench: &mut Bench, cases: impl IntoIterator<Item = Vec<u8>>) {
    for case in cases {
        bench.in_every_way(&case.escape_ascii().to_string(), &case, Passed);
    }
}

/// Sections 2.2 and 2.3.
#[test]
fn a_message_begins_with_its_request_line_of_a_version_that_is_known() {
    let mut bench = Bench::new();
    let plain = line(b"GET /f HTTP/1.1");
    let before = |octets: &[u8]| [octets, &plain].concat();
    let utf16 = plain.iter().flat_map(|octet| [*octet, 0]).collect();
    refused(&mut bench, [before(b"\r"), before(b"\xef\xbb\xbf"), before(b"\r\n "), utf16]);
    refused(
        &mut bench,
        [
            &b"GET /f HTTP/1.1\r\n X: y\r\nHost: app.test\r\n\r\n"[..],
            b"GET /f HTTP/1.1\r\n \r\nHost: app.test\r\n\r\n",
            b"GET /f HTTP/1.1\r\n\t\r\nHost: app.test\r\n\r\n",
            b"GET /f HTTP/1.1\r\nHost: app.test\r\n \r\n\r\n",
            b"GET /f HTTP/1.1\r\nHost: app.test\r\r\n\r\n",
            b"GET /f HTTP/1.1\r\nHost: app.test\n\r\n",
        ]
        .map(<[u8]>::to_vec),
    );
    let versions: [&[u8]; 18] = [
        b"HTTP/1",
        b"HTTP/1.",
        b"HTTP/.1",
        b"HTTP/1.10",
        b"HTTP/01.1",
        b"HTTP/1.1.1",
        b"HTTP/11",
        b"HTTP/1,1",
        b"HTTP/1.1a",
        b"HTTPS/1.1",
        b"HTTP 1.1",
        b"HTTP/ 1.1",
        b"HTTP/1. 1",
        b"HTTP/-1.1",
        b"HTTP/1.\x001",
        b"HtTP/1.1",
        b"ICY/1.1",
        b"HTTP/3.0",
    ];
    refused(&mut bench, versions.map(|version| line(&[b"GET /f ", version].concat())));
    passed(&mut bench, [before(b"\r\n\r\n"), before(b"\n"), line(b"GET /f HTTP/1.0")]);
}

/// Sections 3, 3.1 and 3.2.
#[test]
fn a_request_line_is_a_token_a_target_and_a_version() {
    let mut bench = Bench::new();
    let method = |octet: u8| line(&[b"G", &[octet][..], b"T /f HTTP/1.1"].concat());
    refused(
        &mut bench,
        DELIMITERS.iter().chain(b"\0\t\x0b\x0c\r\n \x7f\x80\xa0").map(|it| method(*it)),
    );
    let between = |octet: u8| line(&[b"GET", &[octet][..], b"/f HTTP/1.1"].concat());
    refused(&mut bench, b"\t\x0b\x0c\r\n\xa0".map(between));
    let targets: [&[u8]; 22] = [
        b"",
        b"/f\x01",
        b"/f\x1f",
        b"/f\x80",
        b"/f\x0b",
        b"/f\x0c",
        b"/f%",
        b"/f%2",
        b"/f%zz",
        b"/f%00",
        b"http:app.test/f",
        b"http://app.test:99999/f",
        b"http://[::1/f",
        b"http://app.test@evil.test/f",
        b"http://app.test#x",
        b"mailto:a@app.test",
        b"*x",
        b"http://app.test\\f",
        b"http://app.test,evil.test/f",
        b"http:///",
        b"/f?#",
        b"/f\r/g",
    ];
    refused(&mut bench, targets.map(|target| line(&[b"GET ", target, b" HTTP/1.1"].concat())));
    refused(
        &mut bench,
        [
            line(b"OPTIONS *x HTTP/1.1"),
            line(b"CONNECT /f HTTP/1.1"),
            line(b"CONNECT app.test HTTP/1.1"),
            line(b"PRI * HTTP/1.1"),
        ],
    );
    let fine = ["/..", "//f", "/f|g", "http://app.test", "http://app.test?x", "HTTP://app.test/f"];
    passed(&mut bench, fine.map(|target| line(format!("GET {target} HTTP/1.1").as_bytes())));
}

/// Section 5.
#[test]
fn a_field_is_a_token_a_colon_and_a_value_on_one_line() {
    let mut bench = Bench::new();
    let name = |octet: &u8| field(&[b"X", &[*octet][..], b"Y: a"].concat());
    let outside =
        DELIMITERS.iter().filter(|octet| **octet != b':').chain(b"\0\t\x0b\x0c\r\n \x7f\x80");
    refused(&mut bench, outside.map(name));
    let before_the_colon = |octet: u8| field(&[b"X", &[octet][..], b": a"].concat());
    refused(&mut bench, b"\0\t\x0b\x0c\r\n \x7f".map(before_the_colon));
    let value = |octet: u8| field(&[b"X: a", &[octet][..], b"b"].concat());
    refused(&mut bench, (0..0x20).filter(|octet| *octet != b'\t').chain([0x7f]).map(value));
    let fields: [&[u8]; 6] =
        [b" X: y", b"X\r\nY: b", b"X\r\n : y", b"X: a\r\n\r b", b"X: a\n Y: b", b"X: a\r\n\x0bb"];
    refused(&mut bench, fields.map(field));
    passed(&mut bench, [&b"X:: y"[..], b"X:\ty\t", b"X: \xff", b"!#$%&'*+-.^_`|~: y"].map(field));
}

/// Sections 6.1 and 6.2.
#[test]
fn a_body_has_one_plain_framing() {
    const BODY: &[u8] = b"5\r\nhello\r\n0\r\n\r\n";
    let mut bench = Bench::new();
    let chunked =
        |fields: &[u8]| [&head("POST", "/f", &[fields, b"\r\n"].concat())[..], BODY].concat();
    let codings: [&[u8]; 9] = [
        b"chunked x",
        b"chunked,,",
        b", ,chunked",
        b"'chunked'",
        b"chun ked",
        b"c\xc0\xbahunked",
        b"\xc2\xa0chunked",
        b"chunked;",
        b"deflate, chunked",
    ];
    refused(&mut bench, codings.map(|it| chunked(&[b"Transfer-Encoding: ", it].concat())));
    let names: [&[u8]; 4] = [
        b"Transfer\tEncoding",
        b"Transfer-Encoding\x0b",
        b"Transfer Encoding",
        b"Transfer-Encoding\t",
    ];
    refused(&mut bench, names.map(|name| chunked(&[name, b": chunked"].concat())));
    let of_length =
        |fields: &[u8]| [&head("POST", "/f", &[fields, b"\r\n"].concat())[..], b"hello"].concat();
    let lengths: [&[u8]; 8] = [
        b"-0",
        b"5.",
        b"5;",
        b",5",
        b"5 , 5",
        b"5\t5",
        b"0000000000000000000000005",
        b"\xef\xbc\x95",
    ];
    refused(&mut bench, lengths.map(|it| of_length(&[b"Content-Length: ", it].concat())));
    refused(
        &mut bench,
        [
            of_length(b"Content-Length\t: 5"),
            of_length(b"Content-Length\0: 5"),
            of_length(b"Content-Length: 5\r\nConnection: Content-Length"),
        ],
    );
    passed(
        &mut bench,
        [
            chunked(b"Transfer-Encoding: \tchunked\t "),
            chunked(b"Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding"),
            of_length(b"Content-Length: 05"),
            of_length(b"Content-Length:\t5 "),
        ],
    );
}

/// Section 7.1.
#[test]
fn a_chunk_is_its_size_a_line_end_and_so_much_data() {
    let bodies: [&[u8]; 18] = [
        b"5h\r\nhello\r\n0\r\n\r\n",
        b"5\t\r\nhello\r\n0\r\n\r\n",
        b"5\x0b\r\nhello\r\n0\r\n\r\n",
        b"5,\r\nhello\r\n0\r\n\r\n",
        b"5.0\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n",
        b"0X5\r\nhello\r\n0\r\n\r\n",
        b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
        b"-0\r\n\r\n",
        b"+0\r\n\r\n",
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5\r\nhello\r\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello\r\n0\n\r\n",
        b"5\r\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\r\n",
    ];
    bodies_in_every_way(&bodies, Refused);
    bodies_in_every_way(
        &[b"a\r\nhellohello\r\n0\r\n\r\n", b"0000000000000005\r\nhello\r\n0\r\n\r\n"],
        Passed,
    );
}

/// Section 7.1.1.
#[test]
fn an_extension_is_a_token_with_a_token_or_a_quoted_text() {
    let extensions: [&[u8]; 20] = [
        b";;",
        b";=",
        b";a=",
        b";a=\"",
        b";a=\"b\"c",
        b";a b",
        b";a=\"\\\"",
        b";a=\"\x7f\"",
        b";a=\"\0\"",
        b";a=\x80",
        b";\xff",
        b";a=(b)",
        b";\"a\"",
        b";a=b=c",
        b",a",
        b";a\r",
        b";a\n",
        b";a=\"\r\n\"",
        b"\0;a",
        b";a;",
    ];
    let with = |extension: &[u8]| [b"5", extension, b"\r\nhello\r\n0\r\n\r\n"].concat();
    let last = |extension: &[u8]| [b"5\r\nhello\r\n0", extension, b"\r\n\r\n"].concat();
    let bodies: Vec<_> = extensions.iter().flat_map(|it| [with(it), last(it)]).collect();
    bodies_in_every_way(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>(), Refused);
    let fine: [&[u8]; 5] = [b"; a", b";a = b", b";a;b=c;d=\"e\"", b";a=\"\\\"\"", b";a=\"\""];
    let bodies: Vec<_> = fine.iter().flat_map(|it| [with(it), last(it)]).collect();
    bodies_in_every_way(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>(), Passed);
}

/// Section 7.1.2.
#[test]
fn a_trailer_is_a_field() {
    let with = |trailer: &[u8]| [b"5\r\nhello\r\n0\r\n", trailer, b"\r\n\r\n"].concat();
    let wrong: [&[u8]; 14] = [
        b"A : b",
        b" A: b",
        b"A",
        b": b",
        b"A: b\0",
        b"A: b\rc",
        b"A: b\nC: d",
        b"A[: b",
        b"A\0: b",
        b"A\x80: b",
        b"A: \x7f",
        b"A: b\r\n c",
        b"A: b\r\n\tc",
        b"A B: c",
    ];
    let bodies = wrong.map(with);
    bodies_in_every_way(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>(), Refused);
    let bodies =
        [&b"A: b"[..], b"Transfer-Encoding: chunked", b"Host: evil.test", b"Cookie: a=b"].map(with);
    bodies_in_every_way(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>(), Passed);
}

fn bodies_in_every_way(bodies: &[&[u8]], expect: crate::support::bench::Expect) {
    let mut bench = Bench::new();
    for body in bodies {
        for path in ["/f", "/api/get-auth-token"] {
            let head = head("POST", path, b"Transfer-Encoding: chunked\r\n");
            let name = format!("{} on {path}", body.escape_ascii());
            bench.in_every_way(&name, &[&head[..], body].concat(), expect);
        }
    }
}
