//! The paths of the admin listener, and their answers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use pingora::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;

use super::door::{self, AdminClient};
use super::events::{self, Watchers};
use super::{assets, level, revoke, status};
use crate::gateway::connection::Connection;
use crate::state::State;

/// Longest time from a request's head to the last byte of its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Longest silence of an idle connection, for clients; the listener's
/// deadline decides.
const KEEP_ALIVE: u64 = 60;

const NOT_FOUND: &str = "not found; this listener serves / (the dashboard), /events, /healthz, \
                         /log, /metrics, /readyz, /status and POST /revoke\n";
/// For every answer: a page of this listener loads nothing from elsewhere and runs nothing
/// that stands in its markup.
const SECURITY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; \
     style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const JSON: &str = "application/json";
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// Serves one client of the admin listener.
pub(super) struct Admin {
    state: Arc<State>,
    asker: AdminClient,
    /// Longest time for a request's body.
    body_timeout: Duration,
    watchers: Watchers,
}

struct AdminAnswer {
    status: StatusCode,
    content_type: &'static str,
    body: Cow<'static, str>,
}

impl AdminAnswer {
    fn new(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, content_type, body: body.into() }
    }

    fn text(status: StatusCode, body: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, "text/plain", body)
    }
}

#[async_trait]
impl HttpServerApp for Admin {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !matches!(session.read_request().await, Ok(true)) {
            return None;
        }
        let connection = Connection::of(session.digest()).cloned()?;
        connection.head_has_arrived();
        if self.watches(&session, &connection) {
            // Until the watcher goes: no deadline, and the connection ends with it.
            match self.watchers.enter() {
                Some(_place) => {
                    events::write(&self.state, &mut session, shutdown).await;
                    return None;
                }
                None => return refuse_watcher(session).await,
            }
        }
        let is_kept = !*shutdown.borrow() && session.is_body_empty();
        session.set_keepalive(is_kept.then_some(KEEP_ALIVE));
        let answered = tokio::time::timeout(ANSWER_WITHIN, self.serve(&mut session, &connection));
        answered.await.ok()??;
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok()??;
        connection.request_has_ended();
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

impl Admin {
    pub(super) fn new(
        state: &Arc<State>,
        asker: AdminClient,
        body_timeout: Duration,
        watchers: &Watchers,
    ) -> Self {
        Self { state: state.clone(), asker, body_timeout, watchers: watchers.clone() }
    }

    /// Whether a request wants events, and may have them.
    fn watches(&self, session: &ServerSession, connection: &Connection) -> bool {
        let request = session.req_header();
        request.method == Method::GET
            && request.uri.path() == "/events"
            && !connection.has_odd_line()
            && door::check_host(request, &self.asker).is_ok()
    }

    /// Answers one request; `None` if the client has gone.
    async fn serve(&self, session: &mut ServerSession, connection: &Connection) -> Option<()> {
        let is_head = session.req_header().method == Method::HEAD;
        let (parts, body) = self.answer(session, connection).await.response(is_head).into_parts();
        session.write_response_header(Box::new(parts.into())).await.ok()?;
        if !body.is_empty() {
            session.write_response_body(body.into(), true).await.ok()?;
        }
        Some(())
    }

    async fn answer(&self, session: &mut ServerSession, connection: &Connection) -> AdminAnswer {
        if connection.has_odd_line() {
            return AdminAnswer::text(StatusCode::BAD_REQUEST, "malformed request line\n");
        }
        let request = session.req_header();
        if let Err(denied) = door::check_host(request, &self.asker) {
            return AdminAnswer::text(denied.status, denied.detail + "\n");
        }
        let is_read = request.method == Method::GET || request.method == Method::HEAD;
        match (is_read, request.uri.path()) {
            (false, "/revoke") => {
                let Self { state, asker, body_timeout, watchers: _ } = self;
                let (status, body) = revoke::answer(state, asker, session, *body_timeout).await;
                AdminAnswer::new(status, JSON, body)
            }
            (false, "/log") => {
                let Self { state, asker, body_timeout, watchers: _ } = self;
                let (status, body) = level::change(state, asker, session, *body_timeout).await;
                AdminAnswer::new(status, JSON, body)
            }
            (false, _) => AdminAnswer::text(StatusCode::METHOD_NOT_ALLOWED, "read only\n"),
            (true, "/healthz") => AdminAnswer::text(StatusCode::OK, "alive\n"),
            (true, "/log") => AdminAnswer::new(StatusCode::OK, JSON, level::shown()),
            (true, "/metrics") => {
                let metrics = self.state.metrics();
                AdminAnswer::new(StatusCode::OK, "text/plain; version=0.0.4", metrics)
            }
            (true, "/readyz") => self.readiness().await,
            (true, "/status") => {
                AdminAnswer::new(StatusCode::OK, JSON, status::status(&self.state).await)
            }
            (true, "/status.schema.json") => {
                AdminAnswer::new(StatusCode::OK, "application/schema+json", status::SCHEMA)
            }
            (true, path) => match assets::find(path) {
                Some((content_type, body)) => AdminAnswer::new(StatusCode::OK, content_type, body),
                None => AdminAnswer::text(StatusCode::NOT_FOUND, NOT_FOUND),
            },
        }
    }

    async fn readiness(&self) -> AdminAnswer {
        if !self.state.is_ready() {
            return AdminAnswer::text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
        }
        let missing = self.state.unready().await;
        if missing.is_empty() {
            return AdminAnswer::text(StatusCode::OK, "ready\n");
        }
        let lines: String = missing.into_iter().map(|line| line + "\n").collect();
        AdminAnswer::text(StatusCode::SERVICE_UNAVAILABLE, lines)
    }
}

/// Every watcher's place is taken: a browser asks again without being told.
async fn refuse_watcher(mut session: ServerSession) -> Option<ReusedHttpStream> {
    session.set_keepalive(None);
    let answer =
        AdminAnswer::text(StatusCode::SERVICE_UNAVAILABLE, "too many watchers; try again later\n");
    let (parts, body) = answer.response(false).into_parts();
    session.write_response_header(Box::new(parts.into())).await.ok()?;
    session.write_response_body(body.into(), true).await.ok()?;
    session.finish().await.ok();
    None
}

impl AdminAnswer {
    fn response(self, is_head: bool) -> Response<Vec<u8>> {
        let mut response = Response::new(Vec::new());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::CONTENT_LENGTH, self.body.len().into());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CONTENT_SECURITY_POLICY, SECURITY);
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if !is_head {
            *response.body_mut() = self.body.into_owned().into_bytes();
        }
        response
    }
}
