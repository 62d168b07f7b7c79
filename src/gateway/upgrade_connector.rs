//! The dialer for HTTP/1 connections to an app, which gives each its `AppDeadline`.
//!
//! Pingora 0.9.1 loses about one upgrade (WebSocket) in a hundred when the app
//! answers 101 so fast that it is read before the request's empty body has been noted
//! (pingora #946). A socket whose first read after a write is pending once gives
//! the framework that turn. To be removed when the fix (#947) is released; the
//! test `no_upgrade_is_lost` shows it.

use std::fmt::Debug;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::prelude::{Error, Result};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::{ErrorType, OkOrErr as _, OrErr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::app_deadline::AppDeadline;
use super::purpose::Purpose;

#[derive(Debug)]
pub(super) struct Dial {
    /// The framework's own connect timeout does not apply to custom dialers.
    pub(super) connect: Duration,
    /// The shortest time that an app is given for a head, or a connection between requests.
    pub(super) shortest: Duration,
    pub(super) purpose: Purpose,
}

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        match address {
            SocketAddr::Inet(address) => {
                let socket = self.in_time(TcpStream::connect(address)).await?;
                socket.set_nodelay(true).or_err(ErrorType::ConnectError, "socket option")?;
                Ok(self.stream(socket))
            }
            SocketAddr::Unix(address) => {
                let path = address.as_pathname();
                let path = path.or_err(ErrorType::ConnectError, "a unix socket without a path")?;
                Ok(self.stream(self.in_time(UnixStream::connect(path)).await?))
            }
        }
    }
}

impl Dial {
    async fn in_time<S>(&self, connecting: impl Future<Output = io::Result<S>>) -> Result<S> {
        let connected = tokio::time::timeout(self.connect, connecting).await;
        connected
            .or_err(ErrorType::ConnectTimedout, "dialling the app")?
            .map_err(|error| Error::because(kind(&error), "dialling the app", error))
    }

    fn stream<S: Socket>(&self, socket: S) -> Stream {
        let number = socket.as_raw_fd();
        let mut stream = match self.purpose {
            Purpose::Request => socket.into(),
            Purpose::Upgrade => {
                let socket = YieldAfterWrite { socket, wrote: false };
                VirtualSocketStream::new(Box::new(socket)).into()
            }
        };
        AppDeadline::attach(&mut stream, number, self.shortest);
        stream
    }
}

/// As the framework's own dialer calls it.
fn kind(error: &io::Error) -> ErrorType {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ErrorType::ConnectNoRoute
        }
        _ => ErrorType::ConnectError,
    }
}

/// The operations of both kinds of sockets.
trait Socket:
    AsyncRead + AsyncWrite + AsRawFd + Into<Stream> + Unpin + Send + Sync + Debug + 'static
{
    fn set_nodelay(&self) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn set_nodelay(&self) -> io::Result<()> {
        Self::set_nodelay(self, true)
    }
}

impl Socket for UnixStream {
    fn set_nodelay(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct YieldAfterWrite<S> {
    socket: S,
    wrote: bool,
}

impl<S: Socket> VirtualSocket for YieldAfterWrite<S> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.socket.set_nodelay(),
            // The framework adds options; none matters for a tunnel.
            _ => Ok(()),
        }
    }
}

impl<S: Socket> AsyncRead for YieldAfterWrite<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.wrote) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: Socket> AsyncWrite for YieldAfterWrite<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wrote = true;
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
