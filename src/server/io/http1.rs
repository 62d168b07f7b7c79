//! The socket below an HTTP/1.1 connection: sends what was written before it waits.
//!
//! The framework keeps an answer of known length back until it has 1460 octets of it or
//! its end, however long the app takes. While it waits for the app it also polls the
//! client for reading, so each read here first sends what is left.
//!
//! Request lines are inspected here, because nothing later sees them as they came.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{GetProxyDigest, Peek, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::passthrough::pass_on;
use crate::gateway::connection::{Connection, Reader};

/// A connection that speaks HTTP/1.1.
pub(in crate::server) struct Http1Io {
    io: Stream,
    /// Whether something was written since the last flush.
    holds_back: bool,
    reader: Reader,
    connection: Arc<ProxyDigest>,
}

impl Http1Io {
    pub(in crate::server) fn new(io: Stream, connection: Connection) -> Self {
        let reader = connection.reader();
        Self { io, holds_back: false, reader, connection: connection.into_digest() }
    }
}

pass_on!(Http1Io);

impl GetProxyDigest for Http1Io {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.connection.clone())
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
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        self.reader.received(buffer.filled().get(before..).unwrap_or_default());
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
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.holds_back = true;
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
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
