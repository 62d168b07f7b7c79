//! Whether the chunked body of the current request is framed as it must be.
//!
//! The listener shows every byte to `FramingReader` before the framework gets it. The
//! framework tells later which request has a chunked body, and where its head ended; the
//! start of the body has often arrived with the head by then. So each body is read as if
//! it were chunked, and the verdict counts only if it is; for others, reading ends at the
//! first octet.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memchr::memmem::Finder;

use super::chunks::Chunks;

/// The end of a head.
const END: &[u8; 4] = b"\r\n\r\n";
static FIND_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(END));

/// The framing of a connection's current request.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyFraming(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Octets of the head; zero until its end has arrived.
    head: AtomicUsize,
    is_chunked: AtomicBool,
    is_broken: AtomicBool,
    /// The request has ended: what arrives is the rest of its body, or the next head.
    has_ended: AtomicBool,
}

/// Reads along with the framework.
#[derive(Debug, Default)]
pub(super) struct FramingReader {
    framing: BodyFraming,
    /// Octets of the head so far, and how many of its last ones are the start of `END`.
    head: usize,
    matched: usize,
    is_in_body: bool,
    chunks: Chunks,
}

impl BodyFraming {
    pub(super) fn reader(&self) -> FramingReader {
        FramingReader { framing: self.clone(), ..FramingReader::default() }
    }

    /// Called for a request with a chunked body whose head has `head` octets. Whether the
    /// part of the body that has arrived is well-formed.
    pub(super) fn is_chunked_after(&self, head: usize) -> bool {
        self.0.is_chunked.store(true, Ordering::Relaxed);
        // A head that ends differently, for example with bare line feeds, is not guessed
        // at.
        self.0.head.load(Ordering::Relaxed) == head && !self.0.is_broken.load(Ordering::Relaxed)
    }

    /// Whether the current request's body is chunked, and wrongly.
    pub(super) fn is_broken(&self) -> bool {
        self.0.is_chunked.load(Ordering::Relaxed) && self.0.is_broken.load(Ordering::Relaxed)
    }

    pub(super) fn request_has_ended(&self) {
        self.0.has_ended.store(true, Ordering::Relaxed);
    }
}

impl FramingReader {
    /// Whether reading may go on.
    pub(super) fn received(&mut self, bytes: &[u8]) -> bool {
        let state = &self.framing.0;
        // The rest of an unwanted body is still read to its end.
        let is_rest = state.is_chunked.load(Ordering::Relaxed) && !self.chunks.is_done();
        if state.has_ended.load(Ordering::Relaxed) && !is_rest {
            self.start_over();
        }
        let body = if self.is_in_body { bytes } else { self.pass_head(bytes) };
        if body.is_empty() || self.chunks.received(body).is_ok() {
            return true;
        }
        let state = &self.framing.0;
        state.is_broken.store(true, Ordering::Relaxed);
        !state.is_chunked.load(Ordering::Relaxed)
    }

    fn start_over(&mut self) {
        let state = &self.framing.0;
        state.head.store(0, Ordering::Relaxed);
        for flag in [&state.is_chunked, &state.is_broken, &state.has_ended] {
            flag.store(false, Ordering::Relaxed);
        }
        (self.head, self.matched, self.is_in_body) = (0, 0, false);
        self.chunks = Chunks::default();
    }

    /// Skips the rest of the head; returns the bytes after it.
    fn pass_head<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mut rest = bytes;
        // The end may have come in two pieces.
        while self.matched > 0
            && let Some((&byte, after)) = rest.split_first()
        {
            rest = after;
            self.matched = match END.get(self.matched) {
                Some(&next) if next == byte => self.matched + 1,
                _ => usize::from(byte == b'\r'),
            };
            if self.matched == END.len() {
                return self.head_has_ended(bytes.len() - rest.len(), rest);
            }
        }
        if let Some(at) = FIND_END.find(rest) {
            let body = rest.get(at + END.len()..).unwrap_or_default();
            return self.head_has_ended(bytes.len() - body.len(), body);
        }
        if self.matched == 0 {
            let is_start = |length: &usize| END.get(..*length).is_some_and(|s| rest.ends_with(s));
            self.matched = (1..END.len()).rev().find(is_start).unwrap_or_default();
        }
        self.head += bytes.len();
        &[]
    }

    fn head_has_ended<'b>(&mut self, length: usize, body: &'b [u8]) -> &'b [u8] {
        self.is_in_body = true;
        self.framing.0.head.store(self.head + length, Ordering::Relaxed);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// Whether the framework gets all of a chunked body, in pieces of `size`.
    fn passes(body: &str, size: usize) -> bool {
        let framing = BodyFraming::default();
        let mut reader = framing.reader();
        let text = format!("{HEAD}{body}");
        let mut so_far = 0;
        let mut is_known = false;
        for piece in text.as_bytes().chunks(size) {
            if !reader.received(piece) {
                return false;
            }
            so_far += piece.len();
            if so_far >= HEAD.len() && !is_known {
                is_known = true;
                if !framing.is_chunked_after(HEAD.len()) {
                    return false;
                }
            }
        }
        !framing.is_broken()
    }

    #[test]
    fn a_bad_chunk_is_found_whatever_arrives_with_the_head() {
        for size in 1..HEAD.len() + 40 {
            assert!(passes("5\r\nhello\r\n0\r\n\r\n", size), "{size}");
            assert!(!passes("5\r\nhello\r\n\r\n0\r\n\r\n", size), "{size}");
            assert!(!passes("5;a\nb\r\nhello\r\n0\r\n\r\n", size), "{size}");
        }
    }

    #[test]
    fn a_head_that_ends_elsewhere_has_no_chunked_body() {
        let framing = BodyFraming::default();
        let head = b"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n";
        assert!(framing.reader().received(&[&head[..], b"0\r\n\r\n"].concat()));
        assert!(!framing.is_chunked_after(head.len()));
    }

    #[test]
    fn other_bodies_are_not_judged() {
        let framing = BodyFraming::default();
        let mut reader = framing.reader();
        assert!(reader.received(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nnot "));
        assert!(reader.received(b"chunk") && !framing.is_broken());
    }

    #[test]
    fn the_next_request_starts_with_its_own_head() {
        let framing = BodyFraming::default();
        let mut reader = framing.reader();
        for body in ["0\r\n\r\n", "3\r\nabc\r\n0\r\nT: x\r\n\r\n"] {
            assert!(reader.received(format!("{HEAD}{body}").as_bytes()));
            assert!(framing.is_chunked_after(HEAD.len()), "{body:?}");
            framing.request_has_ended();
        }
        // A body not read to its end is not a head.
        assert!(reader.received(format!("{HEAD}5\r\nhe").as_bytes()));
        assert!(framing.is_chunked_after(HEAD.len()));
        framing.request_has_ended();
        assert!(reader.received(b"llo\r\n0\r\n\r\n"));
        assert!(reader.received(HEAD.as_bytes()) && framing.is_chunked_after(HEAD.len()));
        framing.request_has_ended();
        assert!(!reader.received(b"\r\n\r\n"), "the rest of a body is judged too");
    }
}
