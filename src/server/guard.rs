//! What a connection may cost before it has sent a request.
//!
//! The framework bounds each read of a request's head but not the head as a
//! whole, and not the number of connections. `Guarded` wraps the proxy: a
//! connection over the limit is closed at once, and a head that has not arrived
//! in time ends its connection (slow loris).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;

use crate::config::Server;
use crate::gateway::{Gateway, deadline};
use crate::live::Live;

/// The proxy behind a connection limit and a deadline for request heads.
pub struct Guarded {
    live: Arc<Live>,
    plain: Arc<HttpProxy<Gateway>>,
    /// HTTP/2 with prior knowledge has an instance of its own, because its
    /// streams run in tasks the deadline does not know.
    prior_knowledge: Option<Arc<HttpProxy<Gateway>>>,
    open: AtomicUsize,
    max_connections: usize,
    header_timeout: Duration,
    idle_timeout: Duration,
}

impl Guarded {
    pub(super) fn new(
        live: &Arc<Live>,
        plain: HttpProxy<Gateway>,
        prior_knowledge: Option<HttpProxy<Gateway>>,
        server: &Server,
    ) -> Self {
        Self {
            live: live.clone(),
            plain: Arc::new(plain),
            prior_knowledge: prior_knowledge.map(Arc::new),
            open: AtomicUsize::new(0),
            max_connections: server.max_connections,
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
        }
    }

    async fn handle(&self, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        if let Some(http2) = &self.prior_knowledge {
            let preface = tokio::time::timeout(self.header_timeout, starts_as_http2(&mut stream));
            if preface.await.ok().flatten()? {
                return http2.process_new(stream, shutdown).await;
            }
        }
        let next_head = self.idle_timeout + self.header_timeout;
        let serving = self.plain.process_new(stream, shutdown);
        deadline::watch(self.header_timeout, next_head, serving).await.flatten()
    }
}

/// Whether the connection begins with the preface of HTTP/2 (RFC 9113 section
/// 3.4). No method of HTTP/1.1 starts like it, so three bytes decide for most; the
/// rest is waited for here, because the framework would wait for ever. `None` if
/// the client went away.
async fn starts_as_http2(stream: &mut Stream) -> Option<bool> {
    const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
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
impl ServerApp for Guarded {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let open = Open::one_more(self)?;
        let reused = self.handle(stream, shutdown).await;
        drop(open);
        reused
    }

    async fn cleanup(&self) {
        self.plain.cleanup().await;
    }
}

/// Counts a connection as open until dropped.
struct Open<'g>(&'g Guarded);

impl<'g> Open<'g> {
    fn one_more(guarded: &'g Guarded) -> Option<Self> {
        let before = guarded.open.fetch_add(1, Ordering::AcqRel);
        guarded.live.metrics.connections.inc();
        let open = Self(guarded);
        if before >= guarded.max_connections {
            guarded.live.metrics.connections_refused.inc();
            return None;
        }
        Some(open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.live.metrics.connections.dec();
    }
}
