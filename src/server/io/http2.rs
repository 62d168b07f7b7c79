//! The socket below an HTTP/2 connection: looks ahead for the preface, at trailers that
//! come in, and at the frames that go out, which leave together.
//!
//! The framework waits for the preface as long as it takes, and does not report why it
//! ends a connection. The reason is in the GOAWAY frame it sends, so the metrics take it
//! from there.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{GetProxyDigest, Peek, Stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::passthrough::pass_on;
use super::trailers::{Goes, Trailers};
use super::write_buffer::WriteBuffer;
use crate::observe::{ConnectionEvent, Event};
use crate::state::State;

/// How every connection begins (RFC 9113 section 3.4).
pub(in crate::server) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An invalid HTTP/2 request, which is a stream error (RFC 9113 section 8.1.1).
const MALFORMED: &str = "malformed";

/// A head that the library answers itself, with a bare 431.
const TOO_LARGE: &str = "too_large";

/// The longest fields of one request that the library takes, in octets. Its own limit bounds
/// floods of CONTINUATION frames too.
pub(in crate::server) fn longest_fields(max_header: usize) -> usize {
    max_header.saturating_mul(2).max(64 * 1024)
}

/// A connection that speaks HTTP/2.
pub(in crate::server) struct Http2Io {
    io: Stream,
    /// Read ahead, in reverse order.
    ahead: Vec<u8>,
    trailers: Trailers,
    /// Frames that were held back and found no room.
    unread: Bytes,
    /// The frames that were written.
    written: Frames,
    gathered: WriteBuffer,
    state: Arc<State>,
}

impl Http2Io {
    pub(in crate::server) fn new(io: Stream, state: &Arc<State>) -> Self {
        let limits = state.policy().limits;
        let gathered = WriteBuffer::new(limits.body_timeout);
        Self {
            io,
            ahead: Vec::new(),
            trailers: Trailers::new(longest_fields(limits.header)),
            unread: Bytes::new(),
            written: Frames::default(),
            gathered,
            state: state.clone(),
        }
    }

    /// Whether the preface comes; `None` if nothing decides it within `limit`.
    pub(in crate::server) async fn has_preface(&mut self, limit: Duration) -> Option<bool> {
        let mut start = [0; PREFACE.len()];
        let read = tokio::time::timeout(limit, self.try_peek(&mut start)).await.ok()?;
        Some(matches!(read, Ok(true)) && &start == PREFACE)
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = ready!(self.gathered.poll_send(&mut self.io, context));
        Poll::Ready(sent.inspect_err(|error| self.note_error(error)))
    }

    /// Reads the part of the frames that the framework may see.
    fn poll_frames(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while self.unread.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
            if buffer.filled().len() == before {
                // The client has ended, so the rest of the frame that was held back will not
                // come.
                self.unread = self.trailers.ended().into();
                break;
            }
            match self.trailers.received(buffer.filled().get(before..).unwrap_or_default()) {
                Goes::AsItCame => return Poll::Ready(Ok(())),
                Goes::Instead(frames) => {
                    buffer.set_filled(before);
                    self.unread = frames.into();
                }
            }
        }
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.split_to(length));
        Poll::Ready(Ok(()))
    }

    fn note_error(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::TimedOut {
            refused(&self.state, "stalled");
        }
    }

    fn note(&mut self, written: &[u8]) {
        let state = &self.state;
        self.written.look_at(written, |reason| refused(state, reason));
    }
}

fn refused(state: &State, reason: &'static str) {
    if reason == MALFORMED || reason == TOO_LARGE {
        // No hook is called for most of them, so the access log knows nothing of it.
        tracing::info!(reason, "HTTP/2 request refused");
    }
    state.telemetry.emit(Event::Connection(ConnectionEvent::Http2Refused { reason }));
}

pass_on!(Http2Io);

impl GetProxyDigest for Http2Io {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.io.get_proxy_digest()
    }
}

#[async_trait]
impl Peek for Http2Io {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.read_exact(buffer).await?;
        self.ahead.extend(buffer.iter().rev());
        Ok(true)
    }
}

impl AsyncRead for Http2Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.gathered.is_empty() {
            // A client that takes nothing yet does not keep its own frames from being read.
            if let Poll::Ready(Err(error)) = self.poll_send(context) {
                return Poll::Ready(Err(error));
            }
        }
        if self.ahead.is_empty() {
            return self.poll_frames(context, buffer);
        }
        while buffer.remaining() > 0
            && let Some(byte) = self.ahead.pop()
        {
            buffer.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Http2Io {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { gathered, io, .. } = &mut *self;
        let written = ready!(gathered.poll_write(io, context, slices))
            .inspect_err(|error| self.note_error(error))?;
        let mut length = written;
        for slice in slices {
            let part = slice.get(..length).unwrap_or(slice);
            length -= part.len();
            self.note(part);
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Reports success at once; the bytes leave at the next read poll, which this schedules.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.gathered.send_soon(context);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Writes pending bytes on drop, if the socket takes them at once.
impl Drop for Http2Io {
    fn drop(&mut self) {
        let Self { gathered, io, .. } = self;
        if !gathered.is_empty() {
            gathered.send_now(io);
        }
    }
}

/// Where in the frames that go out the next octet is.
#[derive(Debug, Default)]
struct Frames {
    /// The head of a frame, and of two kinds of frames the code they carry.
    head: Vec<u8>,
    /// Octets of the frame still to come that do not matter.
    skip: usize,
}

impl Frames {
    const HEAD: usize = 9;
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    /// `:status: 431`, the number in Huffman's code (RFC 7541 section 6.2.1).
    const STATUS_431: [u8; 5] = [0x48, 0x83, 0x69, 0x90, 0xff];
    const RESET: u8 = 3;
    const GO_AWAY: u8 = 7;

    /// Goes through `sent`, reporting what was refused.
    fn look_at(&mut self, mut sent: &[u8], refused: impl Fn(&'static str)) {
        while !sent.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(sent.len());
                self.skip -= skipped;
                sent = sent.get(skipped..).unwrap_or_default();
                continue;
            }
            let wanted = self.wanted();
            let (part, rest) = sent.split_at(sent.len().min(wanted - self.head.len()));
            self.head.extend_from_slice(part);
            sent = rest;
            if self.head.len() == wanted && self.wanted() == wanted {
                if let Some(reason) = self.reason() {
                    refused(reason);
                }
                self.skip = self.length().saturating_sub(wanted - Self::HEAD);
                self.head.clear();
            }
        }
    }

    /// The number of octets to look at, as far as it is known.
    fn wanted(&self) -> usize {
        let code = match self.head.get(3) {
            Some(_) if self.is_of_one_field() => Self::STATUS_431.len(),
            Some(&Self::RESET) => 4,
            Some(&Self::GO_AWAY) => 8,
            _ => 0,
        };
        Self::HEAD + if self.head.len() >= Self::HEAD { code } else { 0 }
    }

    /// Whether this may be the library's own answer, which is only a status that the
    /// connection has not had yet.
    fn is_of_one_field(&self) -> bool {
        let [.., length, Self::HEADERS, flags, _, _, _, _] =
            self.head.get(..Self::HEAD).unwrap_or_default()
        else {
            return false;
        };
        flags & Self::END_STREAM != 0
            && usize::from(*length) == Self::STATUS_431.len()
            && self.length() == Self::STATUS_431.len()
    }

    fn length(&self) -> usize {
        let octet = |index| usize::from(self.head.get(index).copied().unwrap_or_default());
        octet(0) << 16 | octet(1) << 8 | octet(2)
    }

    fn reason(&self) -> Option<&'static str> {
        const PROTOCOL_ERROR: u32 = 1;
        const REFUSED_STREAM: u32 = 7;
        const ENHANCE_YOUR_CALM: u32 = 11;
        if self.is_of_one_field() {
            return self.head.ends_with(&Self::STATUS_431).then_some(TOO_LARGE);
        }
        let (_, code) = self.head.split_last_chunk::<4>()?;
        match (*self.head.get(3)?, u32::from_be_bytes(*code)) {
            (Self::RESET, PROTOCOL_ERROR) => Some(MALFORMED),
            (Self::RESET, REFUSED_STREAM) => Some("too_many_streams"),
            (Self::GO_AWAY, ENHANCE_YOUR_CALM) => Some("flood"),
            (Self::GO_AWAY, code) if code != 0 => Some("protocol_error"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn reasons_are_found_however_the_frames_are_cut() {
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 11];
        let data = [0, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 11];
        let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
        let cancel = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
        let calm = [0, 0, 10, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 11, b'x', b'y'];
        let fine = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let malformed = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 1];
        let refused = [0, 0, 5, 1, 5, 0, 0, 0, 1, 0x48, 0x83, 0x69, 0x90, 0xff];
        let other = [0, 0, 5, 1, 5, 0, 0, 0, 1, 0x48, 0x83, 0x69, 0x90, 0xfe];
        let all: Vec<u8> =
            [&settings[..], &data, &reset, &cancel, &malformed, &refused, &other, &calm, &fine]
                .concat();
        for size in 1..all.len() {
            let (mut frames, reasons) = (Frames::default(), RefCell::new(Vec::new()));
            for part in all.chunks(size) {
                frames.look_at(part, |reason| reasons.borrow_mut().push(reason));
            }
            assert_eq!(
                reasons.into_inner(),
                ["too_many_streams", "malformed", "too_large", "flood"],
                "parts of {size}"
            );
        }
    }
}
