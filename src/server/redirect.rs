//! The listener for plain HTTP: redirects every request to the same page over HTTPS.
//!
//! Only for hosts that a certificate covers: otherwise whoever writes the `Host` header
//! would choose where users end up. Nothing is forwarded from here but the challenge of a
//! certificate authority for a host that has no certificate yet, and cookies are not
//! looked at.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Response, StatusCode, Version, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

use super::acme_challenge::Challenge;
use crate::gateway::connection::Connection;
use crate::observe::{Event, RequestEvent};
use crate::request::path::is_doubtful;
use crate::request::refusal::{Audience, PLAIN_TEXT, Refusal, Reply};
use crate::request::view::{self, Head};
use crate::state::State;

pub(super) struct Redirect {
    pub(super) state: Arc<State>,
    /// Where HTTPS listens, as clients see it.
    pub(super) port: u16,
}

#[async_trait]
impl ServeHttp for Redirect {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        if let Some(connection) = Connection::of(session.digest()) {
            connection.head_has_arrived();
        }
        // A redirected client does not come back here.
        session.set_keepalive(None);
        let reply = match self.plan(session) {
            Ok(Plan::Reply(reply)) => Ok(reply),
            Ok(Plan::Ask(challenge)) => challenge.answer(&self.state).await,
            Err(refusal) => Err(refusal),
        };
        let reply = reply.unwrap_or_else(|refusal| refusal.reply(Audience::Script));
        let is_head = session.req_header().method == http::Method::HEAD;
        let mut response = Response::new(Vec::new());
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response.headers_mut().insert(header::CONTENT_LENGTH, reply.body.len().into());
        if !is_head {
            *response.body_mut() = reply.body.to_vec();
        }
        let status = reply.status.as_u16();
        self.state.telemetry.emit(Event::Request(RequestEvent::Redirected { status }));
        response
    }
}

/// The answer to a request on the redirect listener.
enum Plan {
    Ask(Challenge),
    Reply(Reply),
}

impl Redirect {
    fn plan(&self, session: &ServerSession) -> Result<Plan, Refusal> {
        const NOT_OURS: Refusal = Refusal::BadRequest("no certificate covers this host");
        if Connection::of(session.digest()).is_some_and(Connection::has_odd_line) {
            return Err(view::NO_REQUEST_LINE);
        }
        let raw = (session.req_header().version != Version::HTTP_2).then(|| session.to_h1_raw());
        let head = session.req_header();
        let normalised = view::admit(&Head {
            parts: head,
            target: head.raw_path(),
            raw: raw.as_deref(),
            limits: self.state.policy().limits,
        })?;
        let host = head.headers.get(header::HOST).or(normalised.host.as_ref());
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !self.state.policy().hosts.admit(host) {
            return Err(Refusal::Misdirected);
        }
        let target = normalised.target.as_deref().unwrap_or_else(|| head.raw_path());
        let target = std::str::from_utf8(target).unwrap_or_default();
        if is_doubtful(target.split('?').next().unwrap_or_default()) {
            return Err(Refusal::BadRequest(
                "the path could be read as an address of another site",
            ));
        }
        let Some(location) = self.state.edge().https(host, self.port, target) else {
            let challenge = Challenge::of(&head.method, host, target);
            return challenge.map(Plan::Ask).ok_or(NOT_OURS);
        };
        let location = HeaderValue::try_from(location).map_err(|_| NOT_OURS)?;
        let mut reply = Reply::new(
            StatusCode::PERMANENT_REDIRECT,
            PLAIN_TEXT,
            "this site speaks HTTPS\n".into(),
        );
        reply.headers.insert(header::LOCATION, location);
        Ok(Plan::Reply(reply))
    }
}
