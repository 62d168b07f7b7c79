//! The socket below a connection, with somebody who looks at what passes.
//!
//! The framework keeps some things to itself that the gateway must know: how a
//! request line was before it mended it, why it ends an HTTP/2 connection. Both
//! can be seen in the octets. The socket also looks ahead, where it is asked to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// Looks at what passes.
pub(super) trait Watch: std::fmt::Debug + Send + Sync + Unpin + 'static {
    fn received(&mut self, _: &[u8]) {}
    fn sent(&mut self, _: &[u8]) {}
}

/// A connection that is watched.
#[derive(Debug)]
pub(super) struct WatchedIo<W> {
    io: Stream,
    /// Read before anybody asked for it, in reverse order.
    ahead: Vec<u8>,
    watch: W,
}

impl<W: Watch> WatchedIo<W> {
    pub(super) fn new(io: Stream, watch: W) -> Self {
        Self { io, ahead: Vec::new(), watch }
    }
}

#[async_trait]
impl<W: Watch> Peek for WatchedIo<W> {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.read_exact(buffer).await?;
        self.ahead.extend(buffer.iter().rev());
        Ok(true)
    }
}

impl<W: Watch> AsyncRead for WatchedIo<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let before = buffer.filled().len();
            let read = Pin::new(&mut self.io).poll_read(context, buffer);
            self.watch.received(buffer.filled().get(before..).unwrap_or_default());
            return read;
        }
        while buffer.remaining() > 0
            && let Some(byte) = self.ahead.pop()
        {
            buffer.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: Watch> AsyncWrite for WatchedIo<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write(context, bytes);
        if let Poll::Ready(Ok(length)) = wrote {
            self.watch.sent(bytes.get(..length).unwrap_or_default());
        }
        wrote
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(mut length)) = wrote {
            for slice in slices {
                let part = slice.get(..length.min(slice.len())).unwrap_or_default();
                length -= part.len();
                self.watch.sent(part);
            }
        }
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[async_trait]
impl<W: Watch> Shutdown for WatchedIo<W> {
    async fn shutdown(&mut self) {
        self.io.shutdown().await;
    }
}

impl<W: Watch> UniqueID for WatchedIo<W> {
    fn id(&self) -> UniqueIDType {
        self.io.id()
    }
}

impl<W: Watch> Ssl for WatchedIo<W> {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.io.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.io.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.io.selected_alpn_proto()
    }
}

impl<W: Watch> GetTimingDigest for WatchedIo<W> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.io.get_timing_digest()
    }
}

impl<W: Watch> GetProxyDigest for WatchedIo<W> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.io.get_proxy_digest()
    }
}

impl<W: Watch> GetSocketDigest for WatchedIo<W> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.io.get_socket_digest()
    }
}
