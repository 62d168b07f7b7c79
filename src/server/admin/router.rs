//! Which path of the admin listener answers what.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora::apps::http_app::{HttpServer, ServeHttp};
use pingora::protocols::http::ServerSession;

use super::revoke;
use crate::server::accept::Accept;
use crate::server::listen::Bound;
use crate::state::State;

pub(in crate::server) struct Admin(Arc<State>);

/// On a thread of its own, which answers when the others are busy.
pub(in crate::server) fn service(live: &Arc<State>, socket: Bound) -> Accept<HttpServer<Admin>> {
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
            (true, "/metrics") => (StatusCode::OK, "text/plain; version=0.0.4", self.0.metrics()),
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
        let missing = self.0.unready().await;
        if missing.is_empty() {
            return (StatusCode::OK, "text/plain", "ready\n".to_owned());
        }
        let lines = missing.into_iter().map(|line| line + "\n").collect();
        (StatusCode::SERVICE_UNAVAILABLE, "text/plain", lines)
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
