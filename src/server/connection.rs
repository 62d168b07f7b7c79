//! Bounds on a connection before it has sent a request.
//!
//! The framework bounds each read of a request's head but not the head as a
//! whole, and not the number of connections. `LimitedApp` wraps the app that is served: a
//! connection over a limit is closed at once, one that is not opened properly or
//! in time ends, and so does one whose head does not arrive (slow loris).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::apps::http_app::HttpServer;
use pingora::protocols::{ALPN, Stream};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;

use super::handshake;
use super::io::http1::Http1Io;
use super::io::http2::{Http2Io, PREFACE};
use super::keep_alive;
use super::redirect::Redirect;
use crate::config::ServerSettings;
use crate::edge::{AddressPermit, ConnectionPermit, Edge};
use crate::gateway::Gateway;
use crate::gateway::connection::{Connection, DeadlinePassed};
use crate::observe::{ConnectionEvent, ConnectionRefusal, Event, LatePart};
use crate::state::State;

/// Longest wait for an idle keep-alive connection while draining.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// The traffic a listener serves, and the peers it trusts.
pub(super) enum ListenerKind {
    Plain(Proxies),
    /// Plain HTTP, sent to the TLS listener.
    Redirect(Arc<HttpServer<Redirect>>),
    Tls(Proxies),
}

/// The gateway as the framework runs it. HTTP/2 has an instance of its own,
/// because its streams run in tasks the deadline does not know.
#[derive(Clone)]
pub(super) struct Proxies {
    pub(super) http1: Arc<HttpProxy<Gateway>>,
    pub(super) http2: Option<Arc<HttpProxy<Gateway>>>,
}

/// A listener behind the limits of the edge and a deadline for request heads.
pub(super) struct LimitedApp {
    state: Arc<State>,
    serves: ListenerKind,
    header_timeout: Duration,
    idle_timeout: Duration,
}

impl LimitedApp {
    pub(super) fn new(state: &Arc<State>, serves: ListenerKind, server: &ServerSettings) -> Self {
        Self {
            state: state.clone(),
            serves,
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
        }
    }

    /// Checks before any request is read: a place among all connections, the
    /// header of those who send one, a place among those of the same address, and
    /// the handshake.
    async fn open(&self, stream: Stream) -> Option<(Stream, OpenPermits)> {
        let (state, edge) = (&self.state, self.state.edge());
        let Some(open) = state.connections.enter(edge.max_connections) else {
            self.emit(ConnectionEvent::Refused(ConnectionRefusal::Full));
            return None;
        };
        let stream = self.take_proxy_header(&edge, stream).await?;
        let place =
            match peer(&stream).and_then(|address| Some((address, edge.places_for(address)?))) {
                Some((address, limit)) => {
                    let place = state.connections.admit(address, limit);
                    if place.is_none() {
                        self.emit(ConnectionEvent::Refused(ConnectionRefusal::AddressFull));
                        return None;
                    }
                    place
                }
                None => None,
            };
        let admitted = OpenPermits { _open: open, _place: place };
        let ListenerKind::Tls(_) = self.serves else { return Some((stream, admitted)) };
        let tls = edge.tls.as_ref()?;
        let secured = handshake::secure(stream, tls, self.header_timeout).await;
        let result = secured.as_ref().map_or_else(|error| error.as_str(), |_| "done");
        self.emit(ConnectionEvent::Handshake { result });
        secured.ok().map(|stream| (stream, admitted))
    }

    async fn take_proxy_header(&self, edge: &Edge, stream: Stream) -> Option<Stream> {
        if !edge.senders.trusts_peer(peer(&stream)) {
            return Some(stream);
        }
        let taken = handshake::take_proxy_header(stream, self.header_timeout).await;
        if taken.is_err() {
            self.emit(ConnectionEvent::Refused(ConnectionRefusal::ProxyHeader));
        }
        taken.ok()
    }

    async fn handle(&self, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        // Made first: the time of the first head starts before anything is looked at.
        let connection = Connection::new(self.header_timeout, self.idle_timeout);
        let proxies = match &self.serves {
            ListenerKind::Plain(proxies) => {
                if let Some(http2) = &proxies.http2 {
                    let start = starts_as_http2(&mut stream);
                    let start = tokio::time::timeout(self.header_timeout, start).await.ok();
                    if self.in_time(start).flatten()? {
                        let io = Http2Io::new(stream, &self.state);
                        return http2.process_new(Box::new(io), shutdown).await;
                    }
                }
                proxies
            }
            ListenerKind::Redirect(app) => {
                let connection = Connection::new(self.header_timeout, self.header_timeout);
                let io = Http1Io::new(stream, connection.clone(), &self.state);
                let served = app.process_new(Box::new(io), shutdown);
                self.serve(connection, served).await;
                return None;
            }
            ListenerKind::Tls(proxies) => {
                if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
                    let mut io = Http2Io::new(stream, &self.state);
                    let http2 = proxies.http2.as_ref()?;
                    if !self.in_time(io.has_preface(self.header_timeout).await)? {
                        return None;
                    }
                    return http2.process_new(Box::new(io), shutdown).await;
                }
                proxies
            }
        };
        let io = Http1Io::new(stream, connection.clone(), &self.state);
        let served = keep_alive::serve(&proxies.http1, Box::new(io), shutdown);
        // Apart, so that a connection that speaks HTTP/2 holds no room for it.
        Box::pin(self.serve(connection, served)).await;
        None
    }

    /// HTTP/1.1, as long as heads come in time and requests without long pauses.
    async fn serve<T>(&self, connection: Connection, serving: impl Future<Output = T>) {
        if let Err(DeadlinePassed::Head) = connection.serve(serving).await {
            self.in_time(None::<()>);
        }
    }

    /// Counts a `None` that means too late.
    fn in_time<T>(&self, done: Option<T>) -> Option<T> {
        if done.is_none() {
            self.emit(ConnectionEvent::Late(LatePart::Head));
        }
        done
    }

    fn emit(&self, event: ConnectionEvent) {
        self.state.telemetry.emit(Event::Connection(event));
    }
}

/// The permits that a connection holds while it is open.
struct OpenPermits {
    _open: ConnectionPermit,
    _place: Option<AddressPermit>,
}

/// Where a connection comes from; `None` is a unix socket.
fn peer(stream: &Stream) -> Option<std::net::IpAddr> {
    let digest = stream.get_socket_digest()?;
    digest.peer_addr()?.as_inet().map(|address| address.ip().to_canonical())
}

/// Whether the connection begins with the preface of HTTP/2 (RFC 9113 section
/// 3.4). No method of HTTP/1.1 starts like it, so three bytes decide for most; the
/// rest is waited for here, because the framework would wait without end. `None` if
/// the client went away.
async fn starts_as_http2(stream: &mut Stream) -> Option<bool> {
    let mut start = [0; 3];
    stream.try_peek(&mut start).await.ok()?;
    if !PREFACE.starts_with(&start) {
        return Some(false);
    }
    let mut whole = [0; PREFACE.len()];
    stream.try_peek(&mut whole).await.ok()?;
    Some(&whole == PREFACE)
}

#[async_trait]
impl ServerApp for LimitedApp {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let (stream, admitted) = self.open(stream).await?;
        let reused = self.handle(stream, shutdown).await;
        drop(admitted);
        reused
    }

    /// No connection is accepted any more. Clients that keep a connection learn with their
    /// next answer that it is the last one; a client that still sends a head when the time is
    /// over is cut off. Idle connections last until the process ends.
    async fn cleanup(&self) {
        const STEP: Duration = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while self.state.connections.open() > 0 && waited < LINGER {
            tokio::time::sleep(STEP).await;
            waited += STEP;
        }
        match &self.serves {
            ListenerKind::Plain(proxies) | ListenerKind::Tls(proxies) => {
                proxies.http1.cleanup().await;
            }
            ListenerKind::Redirect(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never called: only its type counts.
    fn any<T>() -> T {
        unreachable!()
    }

    #[test]
    fn an_idle_connection_holds_no_room_for_its_handshake() {
        fn size_of<F>(_: impl FnOnce() -> F) -> usize {
            std::mem::size_of::<F>()
        }
        let opening = size_of(|| any::<&LimitedApp>().open(any()));
        let handling = size_of(|| any::<&LimitedApp>().handle(any(), any()));
        assert!(opening < 1024 && handling < 1024, "{opening} and {handling} octets");
    }
}
