//! The socket below an HTTP/1.1 connection: sends what was written before it waits.
//!
//! The framework keeps an answer of known length back until it has 1460 octets of it or
//! its end, however long the app takes. While it waits for the app it also polls the
//! client for reading, so each read here first sends what is left.
//!
//! Request lines and chunked bodies are inspected here, because nothing later sees them
//! as they came; and the framework's refusals of heads that it cannot parse get a body, a
//! log line and a counter here, because no hook is called for them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{GetProxyDigest, Peek, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::passthrough::pass_on;
use crate::gateway::connection::{Connection, Reader, Received};
use crate::gateway::pace::Pace;
use crate::gateway::unreadable;
use crate::observe::{ConnectionEvent, Event, LatePart};
use crate::request::min_rate::MinRate;
use crate::state::State;

/// A connection that speaks HTTP/1.1.
pub(in crate::server) struct Http1Io {
    io: Stream,
    /// Whether something was written since the last flush.
    holds_back: bool,
    reader: Reader,
    /// Escaped bytes of a request line that found no room.
    unread: Bytes,
    /// A refusal that is sent in place of the framework's.
    refusal: Bytes,
    connection: Connection,
    digest: Arc<ProxyDigest>,
    state: Arc<State>,
    taking: Option<Taking>,
}

/// How fast the client takes answers.
struct Taking {
    pace: Pace,
    least: MinRate,
    /// Since when the client has taken nothing of what waits for it.
    blocked: Option<Instant>,
    state: Arc<State>,
}

impl Taking {
    /// Octets have gone to the client, or can not.
    fn note(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => {
                self.blocked.get_or_insert_with(Instant::now);
            }
            Poll::Ready(Ok(octets)) => {
                let waited = self.blocked.take().map_or(Duration::ZERO, |since| since.elapsed());
                if self.pace.moved(octets, waited, self.least).is_err() {
                    let late = ConnectionEvent::Late(LatePart::Body);
                    self.state.telemetry.emit(Event::Connection(late));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl Http1Io {
    pub(in crate::server) fn new(io: Stream, connection: Connection, state: &Arc<State>) -> Self {
        let taking = state.policy().limits.min_body_rate.map(|least| Taking {
            pace: Pace::default(),
            least,
            blocked: None,
            state: state.clone(),
        });
        Self {
            io,
            holds_back: false,
            reader: connection.reader(),
            unread: Bytes::new(),
            refusal: Bytes::new(),
            digest: connection.clone().into_digest(),
            connection,
            state: state.clone(),
            taking,
        }
    }

    fn give_unread(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.split_to(length));
    }

    /// The gateway's own refusal, if these bytes are the framework's. While a request is
    /// handled, everything written is its answer.
    fn refusal_for(&self, bytes: &[u8]) -> Option<Bytes> {
        if self.connection.handles_request() {
            return None;
        }
        let refusal = unreadable::refusal_in(bytes)?;
        let peer = self.io.get_socket_digest();
        let peer = peer.as_ref().and_then(|digest| digest.peer_addr()?.as_inet().copied());
        Some(unreadable::refuse(&self.state, peer.map(|peer| peer.ip()), &refusal))
    }

    fn note(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &mut self.taking {
            Some(taking) => taking.note(written),
            None => written,
        }
    }
}

pass_on!(Http1Io);

impl GetProxyDigest for Http1Io {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.digest.clone())
    }
}

#[async_trait]
impl Peek for Http1Io {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.io.try_peek(buffer).await
    }
}

impl AsyncRead for Http1Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.holds_back {
            // A client that does not read, or is gone, must not keep its own bytes from
            // being read: the next write will tell.
            let _ = self.as_mut().poll_flush(context);
        }
        if !self.unread.is_empty() {
            self.give_unread(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        match self.reader.received(buffer.filled().get(before..).unwrap_or_default()) {
            Received::AsTheyAre => {}
            Received::Instead(escaped) => {
                buffer.set_filled(before);
                self.unread = escaped.into();
                self.give_unread(buffer);
            }
            Received::Malformed => {
                buffer.set_filled(before);
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Http1Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.holds_back = true;
        if self.refusal.is_empty()
            && let Some(refusal) = self.refusal_for(bytes)
        {
            self.refusal = refusal;
        }
        if self.refusal.is_empty() {
            let written = Pin::new(&mut self.io).poll_write(context, bytes);
            return self.note(written);
        }
        while !self.refusal.is_empty() {
            let Self { io, refusal, .. } = &mut *self;
            let written = ready!(Pin::new(io).poll_write(context, refusal))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            drop(refusal.split_to(written));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.holds_back = true;
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.holds_back = flushed.is_pending();
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
