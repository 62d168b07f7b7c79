//! One listening socket: binding it, taking it over, accepting from it.

use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use socket2::{SockFilter, SockRef};

use super::io::socket::Accepted;
use crate::config::Listen;

/// Most connections that wait to be accepted; the system caps it at
/// `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;

/// A bound socket and its address.
pub(crate) struct Bound {
    address: String,
    listen: Listen,
    socket: Socket,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    listen: Listen,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.listen;
        let hint = match self.source.kind() {
            io::ErrorKind::AlreadyExists => {
                "a file that is not a socket is there; remove it or change the path"
            }
            io::ErrorKind::AddrInUse => "another process listens there; stop it or change `listen`",
            io::ErrorKind::PermissionDenied => {
                "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE"
            }
            io::ErrorKind::AddrNotAvailable => "this machine has no such address",
            _ => return write!(f, "cannot listen on {address}: {}", self.source),
        };
        write!(f, "cannot listen on {address}: {hint}")
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Bound {
    /// Binds an address, or keeps a socket that is already bound to it.
    pub(super) fn new(listen: &Listen, inherited: Option<OwnedFd>) -> Result<Self, BindError> {
        let failed = |source| BindError { listen: listen.clone(), source };
        let bound = match listen {
            Listen::Tcp(address) | Listen::Tls(address) => {
                let socket = match inherited {
                    Some(socket) => TcpListener::from(socket),
                    None => TcpListener::bind(address).map_err(failed)?,
                };
                let address = socket.local_addr().map_err(failed)?.to_string();
                Self { address, listen: listen.clone(), socket: Socket::Tcp(socket) }
            }
            Listen::Unix(path) => {
                let socket = match inherited {
                    Some(socket) => UnixListener::from(socket),
                    None => bind_unix(path).map_err(failed)?,
                };
                let address = path.display().to_string();
                Self { address, listen: listen.clone(), socket: Socket::Unix(socket) }
            }
        };
        bound.prepare().map_err(failed)?;
        Ok(bound)
    }

    fn prepare(&self) -> io::Result<()> {
        let socket = match &self.socket {
            Socket::Tcp(socket) => SockRef::from(socket),
            Socket::Unix(socket) => SockRef::from(socket),
        };
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)
    }

    pub(super) fn address(&self) -> String {
        self.address.clone()
    }

    /// The socket once more, under the address it is written under.
    pub(super) fn handle(&self) -> io::Result<(String, OwnedFd)> {
        let socket = match &self.socket {
            Socket::Tcp(socket) => OwnedFd::from(socket.try_clone()?),
            Socket::Unix(socket) => OwnedFd::from(socket.try_clone()?),
        };
        Ok((self.listen.to_string(), socket))
    }

    pub(super) fn is_tls(&self) -> bool {
        self.listen.is_tls()
    }

    /// The port that is listened on, where there is one.
    pub(super) fn port(&self) -> Option<u16> {
        match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().ok().map(|address| address.port()),
            Socket::Unix(_) => None,
        }
    }

    /// Registers the socket with the runtime of this thread.
    pub(super) fn listen(self) -> io::Result<Listener> {
        Ok(match self.socket {
            Socket::Tcp(socket) => Listener::Tcp(tokio::net::TcpListener::from_std(socket)?),
            Socket::Unix(socket) => Listener::Unix(tokio::net::UnixListener::from_std(socket)?),
        })
    }
}

/// A socket that is listened on.
pub(super) enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listener {
    /// The next connection, not yet bound to a runtime.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted::Tcp(stream.into_std()?, peer))
            }
            Self::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0.into_std()?)),
        }
    }
}

/// Binds a unix socket for owner and group. A socket file without a listener is
/// replaced; one that answers is in use, and any other file stays as it is.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let bind = || -> io::Result<UnixListener> {
        let socket = UnixListener::bind(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o660))?;
        Ok(socket)
    };
    match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // Not through a link: its target belongs to another program.
            if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            bind()
        }
        bound => bound,
    }
}

/// Refuses new connections; those that have begun can still be accepted. Closing a listening socket resets every connection that waits in its queue,
/// and with it requests their clients have sent already.
pub(super) fn refuse_new_connections(socket: &impl AsFd) -> io::Result<()> {
    const LOAD_OCTET: u16 = 0x30;
    const JUMP_IF_ANY: u16 = 0x45;
    const RETURN: u16 = 0x06;
    /// The flags in a TCP header (RFC 9293 section 3.1), and the one of packets
    /// that open a connection.
    const FLAGS: u32 = 13;
    const SYN: u32 = 2;
    SockRef::from(socket).attach_filter(&[
        SockFilter::new(LOAD_OCTET, 0, 0, FLAGS),
        SockFilter::new(JUMP_IF_ANY, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_a_socket_without_a_listener_is_replaced() {
        let folder = std::env::temp_dir().join(format!("portcullis-listen-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, link, socket) = (folder.join("a"), folder.join("b"), folder.join("c"));
        std::fs::write(&file, "precious").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link, &folder] {
            let error = Bound::new(&Listen::Unix(path.clone()), None).err().unwrap().to_string();
            assert!(
                error.ends_with("not a socket is there; remove it or change the path"),
                "{error}"
            );
        }
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "precious");
        drop(UnixListener::bind(&socket).unwrap());
        let _bound = Bound::new(&Listen::Unix(socket.clone()), None).unwrap();
        let error = Bound::new(&Listen::Unix(socket), None).err().unwrap().to_string();
        assert!(error.contains("another process listens there"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn connections_made_before_are_accepted_and_no_others() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let address = listener.local_addr().unwrap();
            let mut first = TcpStream::connect(address).unwrap();
            refuse_new_connections(&listener).unwrap();
            assert!(TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err());
            first.write_all(b"hello").unwrap();
            let (mut accepted, _) = listener.accept().unwrap();
            let mut said = [0; 5];
            accepted.read_exact(&mut said).unwrap();
            accepted.write_all(b"hello").unwrap();
            first.read_exact(&mut said).unwrap();
            assert_eq!(&said, b"hello");
            listener.set_nonblocking(true).unwrap();
            assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }
}
