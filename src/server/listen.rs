//! Listening sockets, bound before the framework starts and handed over to it.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use async_trait::async_trait;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::listening::Service;
use pingora::services::{ServiceReadyNotifier, ServiceWithDependents};

use crate::config::Listen;

/// Idle connections hold this much; the framework's own 64 KiB fragment the heap
/// under many connections.
const READ_BUFFER: usize = 8 * 1024;

/// A bound socket and the label it is handed over under.
pub struct Bound {
    label: String,
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
        let address = match &self.listen {
            Listen::Tcp(address) | Listen::Tls(address) => address.to_string(),
            Listen::Unix(path) => format!("unix:{}", path.display()),
        };
        let hint = match self.source.kind() {
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
    pub(super) fn new(listen: &Listen) -> Result<Self, BindError> {
        let failed = |source| BindError { listen: listen.clone(), source };
        let bound = match listen {
            Listen::Tcp(address) | Listen::Tls(address) => {
                let socket = TcpListener::bind(address).map_err(failed)?;
                let label = socket.local_addr().map_err(failed)?.to_string();
                Self { label, listen: listen.clone(), socket: Socket::Tcp(socket) }
            }
            Listen::Unix(path) => {
                let socket = bind_unix(path).map_err(failed)?;
                let label = path.display().to_string();
                Self { label, listen: listen.clone(), socket: Socket::Unix(socket) }
            }
        };
        bound.set_nonblocking().map_err(failed)?;
        Ok(bound)
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(socket) => socket.set_nonblocking(true),
            Socket::Unix(socket) => socket.set_nonblocking(true),
        }
    }

    pub(super) fn address(&self) -> String {
        self.label.clone()
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

    fn config(&self) -> ListenerConfig {
        let config = match &self.socket {
            Socket::Tcp(_) => ListenerConfig::tcp(self.label.clone()),
            Socket::Unix(_) => ListenerConfig::uds(self.label.clone()),
        };
        config.l4_buffer(L4BufferSettings::default().read(READ_BUFFER))
    }

    fn into_raw_fd(self) -> i32 {
        match self.socket {
            Socket::Tcp(socket) => socket.into_raw_fd(),
            Socket::Unix(socket) => socket.into_raw_fd(),
        }
    }
}

/// Binds a unix socket for owner and group. A socket file nobody listens on any
/// more is replaced; one that answers is in use.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let bind = || -> io::Result<UnixListener> {
        let socket = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(socket)
    };
    match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            bind()
        }
        bound => bound,
    }
}

/// A service whose sockets are bound already: puts them where the framework
/// looks for inherited ones.
pub(super) struct PreBound<S> {
    service: S,
    sockets: Vec<Bound>,
}

impl<A> PreBound<Service<A>> {
    pub(super) fn new(mut service: Service<A>, sockets: Vec<Bound>) -> Self {
        for socket in &sockets {
            service.add_listener(socket.config());
        }
        Self { service, sockets }
    }
}

#[async_trait]
impl<S: ServiceWithDependents> ServiceWithDependents for PreBound<S> {
    async fn start_service(
        &mut self,
        fds: Option<ListenFds>,
        shutdown: ShutdownWatch,
        listeners_per_fd: usize,
        ready: ServiceReadyNotifier,
    ) {
        if let Some(table) = &fds {
            let mut table = table.lock();
            for socket in self.sockets.drain(..) {
                if table.get(&socket.label).is_none() {
                    table.add(socket.label.clone(), socket.into_raw_fd());
                }
            }
        }
        self.service.start_service(fds, shutdown, listeners_per_fd, ready).await;
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.service.listen_addresses()
    }
}
