//! A line, and what clients may put into one, for the tests of every format.

use std::time::Duration;

use http::Version;

use crate::observe::event::{Line, Outcome};

pub(super) const LINE: Line<'_> = Line {
    unix_ms: 1_767_225_600_042,
    request_id: "r1",
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    method: "GET",
    version: Version::HTTP_11,
    host: "app.example",
    path: "/a",
    headers: None,
    route: "token.portive",
    client: None,
    user: Some("u1"),
    source: "next-auth",
    outcome: Outcome::Issued,
    reason: "cached",
    code: None,
    status: 200,
    bytes: 512,
    scheme: "https",
    recorded: None,
    took: Duration::from_micros(1_234),
};

/// Texts that would end a field or a line, or look like the next one.
pub(super) const ODD: &[&str] = &[
    "",
    "\"",
    "\\",
    "\\\"",
    "a\" b=\"c",
    "a b",
    "alice source=jwt",
    "x\",\"outcome\":\"issued",
    "/\" 200 1 \"-\" \"-",
    "=",
    "a=b",
    "a\tb\nc",
    "\r\n192.0.2.1 - admin [01/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1",
    "\0",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{7f}",
    "a\u{202e}b",
    "a\u{2066}b",
    "a\u{200f}b",
    "a\u{61c}b",
    "a\u{2028}b",
    "a\u{85}b",
    "a\u{a0}b",
    "a\u{3000}b",
    "a\u{200b}b",
    "a\u{feff}b",
    "a\u{e0041}b",
    "Zo\u{eb}",
    "\u{1f512}",
    "\\u0022",
    "\\x22",
    "%22%0a",
    "{}",
    "'",
];

/// A line with `text` wherever a client, an app or the settings choose the text.
pub(super) fn odd(text: &str) -> Line<'_> {
    Line {
        request_id: text,
        method: text,
        host: text,
        path: text,
        client: "192.0.2.1".parse().ok(),
        user: Some(text),
        // An empty one is not a source.
        source: if text.is_empty() { "-" } else { text },
        ..LINE
    }
}
