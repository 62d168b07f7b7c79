//! The admin listener's own limits. It shares the process's descriptors with the public
//! ports, so it may hold only a few of them, and none for long.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::{GetSocketDigest as _, Stream};
use pingora::server::ShutdownWatch;

use super::door::AdminClient;
use super::events::Watchers;
use super::router::Admin;
use crate::base::hardening;
use crate::config::ServerSettings;
use crate::edge::ConnectionCounts;
use crate::gateway::connection::{Connection, DeadlinePassed};
use crate::observe::{ConnectionEvent, ConnectionRefusal, Event, LatePart};
use crate::server::accept::Accept;
use crate::server::handshake;
use crate::server::io::http1::Http1Io;
use crate::server::io::socket::Socket;
use crate::server::listen::Bound;
use crate::state::State;

/// Most connections: scrapers, probes and people are few.
const MOST: usize = 64;
/// Most of them from one address, so that one client leaves room for another.
const MOST_OF_ONE: usize = MOST / 2;
/// The share of the process's descriptors that may be used here at all.
const SHARE: usize = 8;

/// The admin paths behind the limits of their listener.
pub(in crate::server) struct AdminListener {
    state: Arc<State>,
    connections: Arc<ConnectionCounts>,
    most: usize,
    header_timeout: Duration,
    idle_timeout: Duration,
    watchers: Watchers,
}

/// On its own thread, which answers when the others are busy.
pub(in crate::server) fn service(
    state: &Arc<State>,
    server: &ServerSettings,
    socket: Bound,
) -> Accept<AdminListener> {
    let listener = AdminListener {
        state: state.clone(),
        connections: Arc::default(),
        most: most(hardening::most_open_files()),
        header_timeout: server.header_timeout,
        idle_timeout: server.idle_timeout,
        watchers: Watchers::default(),
    };
    Accept::new("admin", listener, vec![socket])
}

/// Most connections where the process may open so many files.
fn most(files: usize) -> usize {
    (files / SHARE).clamp(2, MOST)
}

impl AdminListener {
    fn emit(&self, event: ConnectionEvent) {
        self.state.telemetry.emit(Event::Connection(event));
    }
}

#[async_trait]
impl ServerApp for AdminListener {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let socket = handshake::socket(stream)?;
        let asker = asker(&socket)?;
        // Unix sockets count as one address.
        let address = asker.address().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let permits = (
            self.connections.enter(self.most),
            self.connections.admit(address, MOST_OF_ONE.min(self.most)),
        );
        let (Some(_open), Some(_place)) = permits else {
            self.emit(ConnectionEvent::Refused(ConnectionRefusal::AdminFull));
            return None;
        };
        let connection = Connection::new(self.header_timeout, self.idle_timeout);
        let io = Http1Io::new(socket, connection.clone(), &self.state);
        let app = Arc::new(Admin::new(&self.state, asker, self.header_timeout, &self.watchers));
        let served = connection.serve(app.process_new(Box::new(io), shutdown)).await;
        if let Err(DeadlinePassed::Head) = served {
            self.emit(ConnectionEvent::Late(LatePart::Head));
        }
        None
    }
}

/// The process that connected, as the system tells it.
fn asker(socket: &Socket) -> Option<AdminClient> {
    let digest = socket.get_socket_digest()?;
    let inet = |address: Option<&SocketAddr>| address.and_then(SocketAddr::as_inet).copied();
    match (inet(digest.peer_addr()), inet(digest.local_addr())) {
        (Some(peer), Some(local)) => {
            Some(AdminClient::Tcp { peer: peer.ip().to_canonical(), local })
        }
        (Some(_), None) => None,
        (None, _) => Some(AdminClient::Unix { uid: socket.peer_uid() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_listener_leaves_most_descriptors_to_the_public_ports() {
        assert_eq!(most(usize::MAX), MOST);
        assert_eq!(most(1024), 64);
        assert_eq!(most(200), 25);
        assert_eq!(most(0), 2, "a probe and a person");
    }
}
