//! Which path of the admin listener answers what.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora::apps::http_app::{HttpServer, ServeHttp};
use pingora::protocols::http::ServerSession;

use super::revoke;
use crate::edge::Certificate;
use crate::observe::Gauges;
use crate::server::accept::Accept;
use crate::server::listen::Bound;
use crate::state::Live;

pub(in crate::server) struct Admin(Arc<Live>);

/// On a thread of its own, which answers when the others are busy.
pub(in crate::server) fn service(live: &Arc<Live>, socket: Bound) -> Accept<HttpServer<Admin>> {
    Accept::new("admin", HttpServer::new_app(Admin(live.clone())), vec![socket])
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let (method, path) = (request.method.clone(), request.uri.path().to_owned());
        let is_read = method == Method::GET || method == Method::HEAD;
        let (status, content_type, body) = match (is_read, path.as_str()) {
            (false, "/revoke") => {
                let (status, body) = revoke::answer(&self.0, session).await;
                (status, "application/json", body)
            }
            (false, _) => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "read only\n".to_owned()),
            (true, "/healthz") => (StatusCode::OK, "text/plain", "alive\n".to_owned()),
            (true, "/metrics") => (StatusCode::OK, "text/plain; version=0.0.4", self.metrics()),
            (true, "/readyz") => self.readiness().await,
            (true, _) => (
                StatusCode::NOT_FOUND,
                "text/plain",
                "not found; this listener serves /healthz, /readyz, /metrics and POST /revoke\n"
                    .to_owned(),
            ),
        };
        answer(status, content_type, body.into_bytes(), method == Method::HEAD)
    }
}

impl Admin {
    async fn readiness(&self) -> (StatusCode, &'static str, String) {
        if !self.0.is_ready() {
            return (StatusCode::SERVICE_UNAVAILABLE, "text/plain", "shutting down\n".to_owned());
        }
        let missing = self.0.missing().await;
        if missing.is_empty() {
            return (StatusCode::OK, "text/plain", "ready\n".to_owned());
        }
        let lines = missing.into_iter().map(|line| line + "\n").collect();
        (StatusCode::SERVICE_UNAVAILABLE, "text/plain", lines)
    }

    fn metrics(&self) -> String {
        let policy = self.0.policy();
        let remote = policy.tokens.iter().filter(|token| token.minter.is_remote());
        let circuits =
            remote.map(|token| (token.name.clone(), self.0.circuits.state(&token.name))).collect();
        let upstreams =
            policy.upstreams.iter().map(|upstream| (&**upstream, self.0.pools.of(upstream)));
        self.0.metrics.upstream.survey(upstreams, self.0.clock.now());
        let (edge, now) = (self.0.edge(), self.0.clock.now().unix());
        let certificates = edge.tls.iter().flat_map(|tls| &tls.certificates);
        let left = |certificate: &Certificate| {
            let seconds = certificate.expires_at.saturating_sub(now);
            (certificate.label().to_owned(), seconds as f64)
        };
        self.0.metrics.render(&Gauges {
            connections: self.0.connections.open(),
            certificates: certificates.map(left).collect(),
            circuits,
            in_flight: self.0.in_flight(),
            buckets: self.0.limits.buckets(),
            cached: self.0.tokens.held(),
            audit_failures: self.0.audit.failed(),
            session_errors: self.0.servers.failures(),
        })
    }
}

fn answer(
    status: StatusCode,
    content_type: &str,
    body: Vec<u8>,
    is_head: bool,
) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    let fields = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::CONTENT_LENGTH, body.len().to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    for (name, value) in fields {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    if !is_head {
        *response.body_mut() = body;
    }
    response
}
