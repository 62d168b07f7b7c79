//! The request line as it came over the wire.
//!
//! The framework escapes characters that do not belong in a target (`GET /a b
//! HTTP/1.1` asks for `/a%20b`) before it shows the request. Two programs could read
//! such a line differently, so the listener shows arriving bytes to `LineReader`, and
//! the gateway asks `RequestLine` afterwards.

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
}

/// Reads lines as they arrive, in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct LineReader {
    line: RequestLine,
    blanks: usize,
    length: usize,
    ends: bool,
    strange: bool,
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

    /// Called when a request has ended: the next bytes are a request line.
    pub(super) fn request_has_ended(&self) {
        self.0.is_over.store(false, Ordering::Relaxed);
    }
}

impl LineReader {
    pub(crate) fn received(&mut self, bytes: &[u8]) {
        if self.line.0.is_over.load(Ordering::Relaxed) {
            return;
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
            return;
        }
        for &byte in bytes {
            match byte {
                // Empty lines in front do not count (RFC 9112 section 2.2).
                b'\n' if self.length == 0 => self.ends = false,
                b'\n' => return self.judge(),
                _ => self.add(byte),
            }
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

/// No early exit, so that the compiler checks several bytes at once.
fn is_usual(line: &[u8]) -> bool {
    let blanks = line.iter().fold(0, |so_far, &b| so_far + usize::from(b == b' '));
    let others = line.iter().fold(0, |so_far, b| so_far + usize::from(b.is_ascii_graphic()));
    blanks == 2 && blanks + others == line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_odd(text: &str, size: usize) -> bool {
        let line = RequestLine::default();
        let mut reader = line.reader();
        text.as_bytes().chunks(size).for_each(|part| reader.received(part));
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
    fn what_follows_a_line_is_no_line_until_the_request_has_ended() {
        let line = RequestLine::default();
        let mut reader = line.reader();
        reader.received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        reader.received(b"a body with words\n");
        assert!(!line.0.is_odd.load(Ordering::Relaxed));
        line.0.is_over.store(false, Ordering::Relaxed);
        reader.received(b"GET /a b HTTP/1.1\r\n");
        assert!(line.0.is_odd.load(Ordering::Relaxed));
    }
}
