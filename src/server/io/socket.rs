//! An accepted connection as the framework sees it.
//!
//! The framework's own type keeps a read buffer even while idle, and reads the clock each
//! time it waits.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Size of the write buffer: a head and a short body leave in one packet; longer bodies
/// are not copied.
const WRITE_BUFFER: usize = 1460;
/// Most octets read at once when peeking.
const LOOK_AHEAD: usize = 4 * 1024;

/// A non-blocking connection that no thread has taken yet.
pub(in crate::server) enum Accepted {
    Tcp(StdTcpStream, std::net::SocketAddr),
    Unix(StdUnixStream),
}

/// A connection on the thread that serves it.
pub(in crate::server) struct Socket {
    io: BufWriter<Raw>,
    /// Octets read by peeking.
    ahead: Vec<u8>,
    digest: Arc<SocketDigest>,
    /// The user at the other end of a Unix socket.
    peer_uid: Option<u32>,
}

#[derive(Debug)]
enum Raw {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Registers the connection with the runtime of this thread.
    pub(in crate::server) fn new(accepted: Accepted) -> io::Result<Self> {
        let (raw, peer) = match accepted {
            Accepted::Tcp(stream, peer) => {
                // The end of an answer must not wait until its start is acknowledged.
                stream.set_nodelay(true)?;
                (Raw::Tcp(TcpStream::from_std(stream)?), Some(SocketAddr::Inet(peer)))
            }
            Accepted::Unix(stream) => (Raw::Unix(UnixStream::from_std(stream)?), None),
        };
        let peer_uid = match &raw {
            Raw::Tcp(_) => None,
            Raw::Unix(stream) => stream.peer_cred().ok().map(|peer| peer.uid()),
        };
        let digest = Arc::new(come_from(raw.as_raw_fd(), peer));
        let io = BufWriter::with_capacity(WRITE_BUFFER, raw);
        Ok(Self { io, ahead: Vec::new(), digest, peer_uid })
    }

    /// The user at the other end of a Unix socket, as the system knows it.
    pub(in crate::server) fn peer_uid(&self) -> Option<u32> {
        self.peer_uid
    }

    /// Overrides the peer address (PROXY protocol); `None` leaves it without an address.
    pub(in crate::server) fn set_peer(&mut self, peer: Option<SocketAddr>) {
        self.digest = Arc::new(come_from(self.io.get_ref().as_raw_fd(), peer));
    }
}

fn come_from(socket: RawFd, peer: Option<SocketAddr>) -> SocketDigest {
    let digest = SocketDigest::from_raw_fd(socket);
    // Empty until now, so it is taken.
    let _ = digest.peer_addr.set(peer);
    digest
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The content of the buffers is not for logs.
        f.debug_tuple("Socket").field(self.io.get_ref()).finish()
    }
}

/// Sends what is left in the buffer, if that needs no waiting.
impl Drop for Socket {
    fn drop(&mut self) {
        if !self.io.buffer().is_empty() {
            let _ = Pin::new(&mut self.io).poll_flush(&mut Context::from_waker(Waker::noop()));
        }
    }
}

#[async_trait]
impl Peek for Socket {
    async fn try_peek(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            if let Some(start) = self.ahead.get(..buffer.len()) {
                buffer.copy_from_slice(start);
                return Ok(true);
            }
            self.ahead.reserve(LOOK_AHEAD);
            if self.io.read_buf(&mut self.ahead).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(self.io.get_mut()).poll_read(context, buffer);
        }
        let (wanted, rest) = self.ahead.split_at(self.ahead.len().min(buffer.remaining()));
        buffer.put_slice(wanted);
        self.ahead = rest.to_vec();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
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

impl GetSocketDigest for Socket {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.digest.clone())
    }
}

impl GetProxyDigest for Socket {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

/// Not measured: the access log has its own times.
impl GetTimingDigest for Socket {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl UniqueID for Socket {
    fn id(&self) -> UniqueIDType {
        self.io.get_ref().as_raw_fd()
    }
}

impl Ssl for Socket {}

#[async_trait]
impl Shutdown for Socket {
    async fn shutdown(&mut self) {
        if let Err(error) = self.io.shutdown().await {
            tracing::debug!(%error, "a connection was gone before the gateway closed it");
        }
    }
}

impl AsRawFd for Raw {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

impl AsyncRead for Raw {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Raw {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream as StdTcpStream};

    use super::*;

    fn pair() -> (StdTcpStream, Socket) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = StdTcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        (client, Socket::new(Accepted::Tcp(accepted, peer)).unwrap())
    }

    #[tokio::test]
    async fn peeked_bytes_are_read_afterwards() {
        let (mut client, mut socket) = pair();
        io::Write::write_all(&mut client, b"hello world").unwrap();
        let mut three = [0; 3];
        assert!(socket.try_peek(&mut three).await.unwrap());
        let mut five = [0; 5];
        assert!(socket.try_peek(&mut five).await.unwrap());
        assert_eq!((&three, &five), (b"hel", b"hello"));
        drop(client);
        let mut beyond = [0; 100];
        let error = socket.try_peek(&mut beyond).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let mut all = Vec::new();
        socket.read_exact(&mut five).await.unwrap();
        socket.read_to_end(&mut all).await.unwrap();
        assert_eq!((&five[..], &all[..]), (&b"hello"[..], &b" world"[..]));
    }

    #[tokio::test]
    async fn written_bytes_leave_when_the_connection_is_dropped() {
        let (mut client, mut socket) = pair();
        socket.write_all(b"good").await.unwrap();
        socket.flush().await.unwrap();
        socket.write_all(b"bye").await.unwrap();
        drop(socket);
        let mut said = String::new();
        io::Read::read_to_string(&mut client, &mut said).unwrap();
        assert_eq!(said, "goodbye");
    }

    #[tokio::test]
    async fn the_peer_is_the_connecting_address_until_it_is_overridden() {
        let (client, mut socket) = pair();
        let address = client.local_addr().unwrap();
        let peer = |socket: &Socket| socket.get_socket_digest().unwrap().peer_addr().cloned();
        assert_eq!(peer(&socket), Some(SocketAddr::Inet(address)));
        socket.set_peer(None);
        assert_eq!(peer(&socket), None);
        assert!(!format!("{socket:?}").is_empty());
    }
}
