//! `GET /events`: what happens now, as server-sent events.
//!
//! Few may watch at once, each for a limited time, and one that does not read is dropped:
//! a watcher can hold neither a request nor memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::observe::Followed;
use crate::state::State;

/// Most watchers at once, so that probes and scrapers keep their places.
const MOST: usize = 8;
/// Longest time to write one event.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);
/// A comment this often finds out that a watcher has gone.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// Longest connection; the page connects again by itself.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The places of watchers.
#[derive(Clone)]
pub(super) struct Watchers(Arc<Semaphore>);

impl Default for Watchers {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Watchers {
    /// A place, if one is free.
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().ok()
    }
}

/// Writes events until the watcher goes, falls behind or the process ends.
pub(super) async fn write(state: &State, session: &mut ServerSession, shutdown: &ShutdownWatch) {
    let Some(mut follow) = state.telemetry.recent().follow() else { return };
    session.set_keepalive(None);
    if begin(session).await.is_none() {
        return;
    }
    let mut shutdown = shutdown.clone();
    let over = tokio::time::sleep(LONGEST);
    tokio::pin!(over);
    loop {
        let event = tokio::select! {
            _ = shutdown.changed() => return,
            () = &mut over => return,
            followed = follow.next() => match followed {
                Followed::Line(line) => format!("data: {line}\n\n"),
                Followed::Ended => return,
            },
            () = tokio::time::sleep(COMMENT_EVERY) => ":\n\n".to_owned(),
        };
        let written = session.write_response_body(Bytes::from(event), false);
        if !matches!(tokio::time::timeout(WRITTEN_WITHIN, written).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn begin(session: &mut ServerSession) -> Option<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let (parts, ()) = response.into_parts();
    session.write_response_header(Box::new(parts.into())).await.ok()?;
    let opened = Bytes::from_static(b"retry: 3000\n\n");
    session.write_response_body(opened, false).await.ok()
}
