//! An open WebSocket or stream ends with its session.
//!
//! A request is judged when it arrives, but a tunnel may stay open for days. So each
//! tunnel has a task that looks again every `TICK`, if anything was revoked meanwhile, and
//! ends it by shutting a connection down: the one to the app, where that is this request's
//! own, or else the client's. Where both sides share HTTP/2 connections with other
//! requests, the stream ends with its next piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora::ErrorType;
use pingora::http::ResponseHeader;
use pingora::prelude::{Error, Result, Session};
use tokio::task::AbortHandle;

use super::app_deadline::AppDeadline;
use super::connection::Connection;
use super::incoming::Incoming;
use super::who::Who;
use crate::config::EndStreams;
use crate::policy::Policy;
use crate::session::{Cookies, Identity, Judged, OwnedCookies, Verdict};
use crate::state::State;

/// Twice this is well below the five seconds that are promised.
const TICK: Duration = Duration::from_secs(1);

/// Media types of answers that stay open.
const STREAMS: [&str; 5] = [
    "application/grpc",
    "application/x-ndjson",
    "multipart/x-mixed-replace",
    "text/event-stream",
    "application/stream+json",
];

/// The watch over one open stream; ends when dropped.
pub(super) struct OpenStream {
    is_over: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The session is revoked or signed out.
struct Over;

/// How a stream is ended.
struct Ends {
    app: Option<Arc<AppDeadline>>,
    client: Option<Connection>,
}

/// Whether an answer is watched. Without its session, the app has answered an anonymous
/// user.
pub(super) fn is_watched(who: &Who, response: &ResponseHeader) -> bool {
    stays_open(response.status, &response.headers) && !who.came_with_over()
}

/// The app's answer begins: if it is watched, then from now on, to its end: afterwards its
/// connection may serve another request.
pub(super) async fn begin(
    incoming: &Incoming,
    app: Option<Arc<AppDeadline>>,
    session: &Session,
) -> Result<Option<OpenStream>> {
    let client = Connection::of(session.digest()).cloned();
    let ends = Ends { app, client };
    let cookies = incoming.view(session.req_header()).cookies();
    let watch = OpenStream::watch(incoming, cookies, ends).await;
    watch.map_err(|Over| closed())
}

/// A piece passes only while the session is not over.
pub(super) fn check(stream: Option<&OpenStream>) -> Result<()> {
    if stream.is_some_and(OpenStream::is_over) { Err(closed()) } else { Ok(()) }
}

fn closed() -> Box<Error> {
    Error::new_up(ErrorType::ConnectionClosed)
}

/// Whether an answer stays open.
fn stays_open(status: StatusCode, headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    status == StatusCode::SWITCHING_PROTOCOLS
        || media.is_some_and(|media| {
            let begins = |stream: &&str| {
                let start = media.get(..stream.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(stream.as_bytes()))
            };
            STREAMS.iter().any(begins)
        })
}

impl OpenStream {
    /// Watches a stream whose request came with these cookies; `None` where they are no
    /// session. An error is a session that has ended since the request came.
    async fn watch(
        incoming: &Incoming,
        cookies: Cookies<'_>,
        ends: Ends,
    ) -> std::result::Result<Option<Self>, Over> {
        let Incoming { state, policy, .. } = incoming;
        let is_sent = policy.sources.iter().any(|source| source.was_sent(cookies));
        if state.end_streams == EndStreams::Never || !is_sent {
            return Ok(None);
        }
        // Asked again, because a route may not look at sessions; it is remembered.
        let now = state.clock.now();
        let address = incoming.sender.client.address;
        let judged = state.identifier.identify(policy, cookies, address, now).await;
        if !judged.over.is_empty() {
            return Err(Over);
        }
        let Judged { verdict: Verdict::Known(identity, source), .. } = judged else {
            return Ok(None);
        };
        let watched = Watched {
            state: state.clone(),
            policy: policy.clone(),
            source,
            cookies: policy.copied(cookies),
            identity,
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(watched.until_over(is_over.clone(), ends));
        Ok(Some(Self { is_over, task: task.abort_handle() }))
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

/// The session behind an open stream.
struct Watched {
    state: Arc<State>,
    policy: Arc<Policy>,
    source: usize,
    cookies: OwnedCookies,
    identity: Arc<Identity>,
}

impl Watched {
    async fn until_over(self, is_over: Arc<AtomicBool>, ends: Ends) {
        let mut seen = None;
        loop {
            let version = self.state.identifier.revoked.version();
            if self.has_expired() || (seen != Some(version) && self.is_revoked()) {
                break;
            }
            seen = Some(version);
            tokio::time::sleep(TICK).await;
        }
        is_over.store(true, Ordering::Release);
        match (ends.app, ends.client) {
            (Some(app), _) => app.shut_down(),
            (None, Some(client)) => client.end_now(),
            (None, None) => {}
        }
    }

    fn has_expired(&self) -> bool {
        let ends = self.state.end_streams == EndStreams::Expired;
        ends && !self.identity.is_valid_at(self.state.clock.now().unix())
    }

    fn is_revoked(&self) -> bool {
        let Some(source) = self.policy.sources.get(self.source) else { return false };
        let (revoked, now) = (&self.state.identifier.revoked, self.state.clock.now());
        let cookies = self.cookies.as_sent();
        revoked.check_id(source, cookies, now).is_err()
            || revoked.check(source, cookies, &self.identity, now).is_err()
    }
}
