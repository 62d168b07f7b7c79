//! The request line as it came over the wire.
//!
//! The framework escapes characters that do not belong in a target (`GET /a b
//! HTTP/1.1` asks for `/a%20b`) before it shows the request. Two programs could read
//! such a line differently, so the listener shows arriving bytes to `LineReader`, and
//! the gateway asks `RequestLine` afterwards.
//!
//! A few characters ought to be escaped, cannot be misread, and are sent by many clients
//! (`?where={"a":1}`). The framework refuses them, so `LineReader` escapes them as a browser
//! would have done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memchr;

/// The current request line of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestLine(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Set while a request is handled: bytes that arrive then are not a request line.
    is_over: AtomicBool,
    is_odd: AtomicBool,
    /// Set while the gateway, and not the framework, answers.
    is_handled: AtomicBool,
}

/// Reads lines as they arrive, in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    line: RequestLine,
    blanks: usize,
    length: usize,
    ends: bool,
    strange: bool,
    in_query: bool,
}

impl RequestLine {
    pub(super) fn reader(&self) -> LineReader {
        LineReader { line: self.clone(), ..LineReader::default() }
    }

    /// Whether the current request's line is anything but a method, a target and a
    /// version with one space between them.
    pub(super) fn is_odd(&self) -> bool {
        self.0.is_odd.load(Ordering::Relaxed)
    }

    /// Called when a request's head is complete.
    pub(super) fn head_has_arrived(&self) {
        self.0.is_handled.store(true, Ordering::Relaxed);
    }

    /// Whether a request is being handled, as opposed to a head being read.
    pub(super) fn is_handled(&self) -> bool {
        self.0.is_handled.load(Ordering::Relaxed)
    }

    /// Called when a request has ended: the next bytes are a request line.
    pub(super) fn request_has_ended(&self) {
        self.0.is_handled.store(false, Ordering::Relaxed);
        self.0.is_over.store(false, Ordering::Relaxed);
    }
}

impl LineReader {
    /// Reads a piece; returns the bytes that the framework must read instead, if the
    /// target has characters that must be escaped.
    pub(crate) fn received(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.line.0.is_over.load(Ordering::Relaxed) {
            return None;
        }
        // The line arrived in one piece, as nearly all do.
        if self.length == 0
            && !self.ends
            && let Some(end) = memchr(b'\n', bytes)
            && let Some(line) = bytes.get(..end)
            && is_usual(line.strip_suffix(b"\r").unwrap_or(line))
        {
            self.line.0.is_odd.store(false, Ordering::Relaxed);
            self.line.0.is_over.store(true, Ordering::Relaxed);
            return None;
        }
        let (mut escaped, mut copied) = (Vec::new(), 0);
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                // Empty lines in front do not count (RFC 9112 section 2.2).
                b'\n' if self.length == 0 => self.ends = false,
                b'\n' => {
                    self.judge();
                    break;
                }
                _ => {
                    if self.must_escape(byte) {
                        escaped.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
                        escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
                        copied = at + 1;
                    }
                    self.add(byte);
                }
            }
        }
        if copied == 0 {
            return None;
        }
        escaped.extend_from_slice(bytes.get(copied..).unwrap_or_default());
        Some(escaped)
    }

    /// Whether this byte, which comes next, is in the target and has to be escaped there.
    fn must_escape(&mut self, byte: u8) -> bool {
        if self.blanks != 1 {
            return false;
        }
        self.in_query |= byte == b'?';
        match byte {
            b'"' | b'<' | b'>' => true,
            b'`' => !self.in_query,
            _ => false,
        }
    }

    fn add(&mut self, byte: u8) {
        self.strange |= self.ends;
        match byte {
            b'\r' => {
                self.ends = true;
                return;
            }
            b' ' => self.blanks += 1,
            _ => self.strange |= !byte.is_ascii_graphic(),
        }
        self.length += 1;
    }

    fn judge(&mut self) {
        let state = &self.line.0;
        state.is_odd.store(self.strange || self.blanks != 2, Ordering::Relaxed);
        state.is_over.store(true, Ordering::Relaxed);
        *self = self.line.reader();
    }
}

/// Whether nothing in the line is odd or must be escaped. No early exit, so that the
/// compiler checks several bytes at once.
fn is_usual(line: &[u8]) -> bool {
    let is_escaped = |b: u8| (b == b'"') | (b == b'<') | (b == b'>') | (b == b'`');
    let escapes = line.iter().fold(0, |so_far, &b| so_far + usize::from(is_escaped(b)));
    let blanks = line.iter().fold(0, |so_far, &b| so_far + usize::from(b == b' '));
    let others = line.iter().fold(0, |so_far, b| so_far + usize::from(b.is_ascii_graphic()));
    escapes == 0 && blanks == 2 && blanks + others == line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_odd(text: &str, size: usize) -> bool {
        let line = RequestLine::default();
        let mut reader = line.reader();
        text.as_bytes().chunks(size).for_each(|part| drop(reader.received(part)));
        assert!(line.0.is_over.load(Ordering::Relaxed), "{text:?} has a line");
        line.0.is_odd.load(Ordering::Relaxed)
    }

    #[test]
    fn a_line_is_a_method_a_target_and_a_version_however_it_is_cut() {
        for size in 1..9 {
            for line in ["GET / HTTP/1.1\r\n", "GET / HTTP/1.1\n", "\r\n\nGET / HTTP/1.1\r\nA: b c"]
            {
                assert!(!is_odd(line, size), "{line:?} in parts of {size}");
            }
            for line in [
                "GET /a b HTTP/1.1\r\n",
                "GET  / HTTP/1.1\r\n",
                "GET / HTTP/1.1 \r\n",
                " GET / HTTP/1.1\r\n",
                "GET /\t HTTP/1.1\r\n",
                "GET /\u{e9} HTTP/1.1\r\n",
                "GET /\rX HTTP/1.1\r\n",
                "GET / HTTP/1.1\r\r\n",
                "GET /\0 HTTP/1.1\r\n",
                "GET /\r\n",
            ] {
                assert!(is_odd(line, size), "{line:?} in parts of {size}");
            }
        }
    }

    #[test]
    fn bytes_after_a_line_are_not_a_line_until_the_request_has_ended() {
        let line = RequestLine::default();
        let mut reader = line.reader();
        reader.received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        reader.received(b"a body with words\n");
        assert!(!line.0.is_odd.load(Ordering::Relaxed));
        line.0.is_over.store(false, Ordering::Relaxed);
        reader.received(b"GET /a b HTTP/1.1\r\n");
        assert!(line.0.is_odd.load(Ordering::Relaxed));
    }

    #[test]
    fn the_target_alone_is_escaped_however_it_is_cut() {
        let table = [
            (
                "GET /a?w={\"a\":1} HTTP/1.1\r\nX: \"\r\n",
                "GET /a?w={%22a%22:1} HTTP/1.1\r\nX: \"\r\n",
            ),
            ("GET /a`b?c`d HTTP/1.1\r\n\r\n", "GET /a%60b?c`d HTTP/1.1\r\n\r\n"),
            ("G`T /<a> HTTP/1.1\r\n\r\n", "G`T /%3Ca%3E HTTP/1.1\r\n\r\n"),
            ("G\"T /a HTTP/1.1\"\r\n\r\n", "G\"T /a HTTP/1.1\"\r\n\r\n"),
            ("GET /a HTTP/1.1\r\n\r\n\"`", "GET /a HTTP/1.1\r\n\r\n\"`"),
        ];
        for (text, expected) in table {
            for size in 1..text.len() + 1 {
                let mut reader = RequestLine::default().reader();
                let piece = |part: &[u8]| reader.received(part).unwrap_or_else(|| part.to_vec());
                let read: Vec<u8> = text.as_bytes().chunks(size).flat_map(piece).collect();
                assert_eq!(String::from_utf8(read).unwrap(), expected, "in parts of {size}");
            }
        }
    }
}
