//! The shell: where a request meets the proxy framework.
//!
//! The framework's hooks in the order it calls them. What happens to a request
//! before it is forwarded is in `handle.rs`, what the app is then given in
//! `pass.rs`. What decides lives elsewhere and knows nothing of this folder.

mod app_deadline;
mod audit;
pub mod connection;
mod context;
mod deadline;
mod forward;
mod health;
mod html;
mod peer;
mod reply;
mod request;
pub mod request_line;
mod transport_errors;
mod upgrade_connector;
mod vendor_api;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, HttpPeer, ProxyHttp, Result, Session};
use pingora::protocols::Digest;
use pingora::proxy::FailToProxy;
use pingora::{ErrorSource, ErrorType};

use crate::observe::Slow;
use crate::request::headers;
use crate::request::refusal::{Audience, Refusal};
use crate::state::Live;

use app_deadline::AppDeadline;
use connection::Connection;
use context::Ctx;
use peer::Purpose;
use request::Outcome;
use transport_errors::{hung_up, refusal_for};

pub use health::Probes;

/// The client of a tunnel that takes nothing for this long is given up.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(60);

/// The gateway as the framework sees it.
pub struct Gateway(pub Arc<Live>);

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        Ctx::begin(&self.0)
    }

    fn init_downstream_modules(&self, _: &mut pingora::modules::http::HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<()> {
        if let Some(connection) = Connection::of(session.digest()) {
            connection.head_has_arrived();
        }
        // Only where keep-alive is on already: setting it blindly would switch
        // it back on for HTTP/1.0 and while shutting down.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(ctx.idle_seconds));
        }
        ctx.purpose = forward::purpose_of(session);
        let body_timeout = ctx.policy.limits.body_timeout;
        session.set_write_timeout(Some(body_timeout));
        session.set_read_timeout(Some(body_timeout));
        // Otherwise what a client sends too early is an error of the request that is
        // being answered.
        session.as_downstream_mut().set_pipelining_enabled(ctx.purpose == Purpose::Request);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        let outcome = match request::admit(session, ctx) {
            Ok(()) => request::handle(&self.0, session, ctx).await?,
            Err(refusal) => Outcome::Reply(ctx.refuse(&refusal, Audience::Script)),
        };
        match outcome {
            Outcome::Forward => {
                forward::forget_spelling(session.req_header_mut());
                Ok(false)
            }
            Outcome::Reply(reply) => {
                ctx.status = reply.status.as_u16();
                reply::reply(session, reply, &ctx.trace).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        let upstream =
            ctx.upstream.as_ref().ok_or_else(|| Error::new(ErrorType::ConnectNoRoute))?;
        // A place of an earlier attempt is given back first.
        ctx.place = None;
        ctx.unreachable = None;
        let place = ctx.live.pools.of(upstream).acquire(ctx.live.clock.now()).map_err(|why| {
            ctx.unreachable = Some(why);
            Error::new_up(ErrorType::ConnectNoRoute)
        })?;
        let peer = peer::build(upstream, &place.endpoint.target, ctx.purpose);
        ctx.place = Some(place);
        peer.map(Box::new)
    }

    async fn connected_to_upstream(
        &self,
        session: &mut Session,
        _: bool,
        _: &HttpPeer,
        _: RawFd,
        digest: Option<&Digest>,
        ctx: &mut Ctx,
    ) -> Result<()> {
        ctx.expect_head(AppDeadline::of(digest), !session.is_body_empty());
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        let mut parts = forward::take_parts(request);
        let headers = &mut parts.headers;
        ctx.pass_cookies(headers);
        headers::clean(headers, &ctx.trace, &ctx.policy.managed);
        if ctx.vendor().is_some() {
            ctx.leave_for_vendor(headers);
        } else {
            headers::tell(headers, &ctx.client, &ctx.host, &ctx.trace, ctx.verified_headers());
        }
        ctx.ask_for_page(&parts.method, headers);
        let upstream = ctx.upstream.as_ref();
        if let Some(host) = upstream.and_then(|upstream| upstream.host.clone()) {
            headers.insert(header::HOST, host);
        } else if !headers.contains_key(header::HOST)
            && let Ok(host) = HeaderValue::from_str(&ctx.host)
            && !host.is_empty()
        {
            headers.insert(header::HOST, host);
        }
        *request = parts.into();
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Ctx,
    ) -> Result<()> {
        ctx.uploaded(end_of_stream);
        // An empty last DATA frame of an HTTP/2 upload would be written as a
        // second chunk terminator and poison the connection (pingora #935).
        if end_of_stream && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        ctx.clean_after_vendor(response)?;
        let switches = response.status == StatusCode::SWITCHING_PROTOCOLS;
        if switches && ctx.purpose != Purpose::Upgrade {
            // The framework would pass it on: what the client sends next, and what
            // it is sent, would be nobody's requests and answers.
            return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
        }
        if response.status.is_informational() && !switches {
            ctx.expect_next_head();
            return Ok(());
        }
        ctx.app_answers(response.status);
        if ctx.app_is_late() {
            return Err(Error::new_up(ErrorType::ReadTimedout));
        }
        if switches {
            session.set_read_timeout(None);
            session.set_write_timeout(Some(TUNNEL_TIMEOUT));
        }
        ctx.follow_session(session.req_header(), response).await;
        let (name, id) = ctx.trace.request_id_field();
        response.insert_header(name, id)?;
        ctx.begin_page(session.req_header(), response).await?;
        // HTTP/1.0 knows no chunks: such a body ends with the connection.
        if session.req_header().version == Version::HTTP_10 {
            response.remove_header(&header::TRANSFER_ENCODING);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Ctx,
    ) -> Result<Option<Duration>> {
        ctx.app_goes_on(end_of_stream);
        ctx.page_piece(body, end_of_stream);
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        ctx: &mut Ctx,
        mut error: Box<Error>,
    ) -> Box<Error> {
        ctx.attempts += 1;
        ctx.server_failed();
        let retries = ctx.upstream.as_ref().map_or(0, |upstream| upstream.retries);
        error.set_retry(ctx.attempts <= retries);
        error
    }

    /// Retried only if the app cannot have acted on it: the connection was an old
    /// one the app had closed, the method may be repeated, and no body was sent.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Ctx,
        reused: bool,
    ) -> Box<Error> {
        let is_late = ctx.app_is_late();
        if !reused && !ctx.app_spoke && !is_late && hung_up(&error) {
            ctx.server_failed();
        }
        let repeatable = session.req_header().method.is_idempotent() && session.is_body_empty();
        if repeatable && !is_late {
            error.retry.decide_reuse(reused);
        } else {
            error.set_retry(false);
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Ctx,
    ) -> FailToProxy {
        let is_late = ctx.app_is_late() && *error.esource() == ErrorSource::Upstream;
        let refusal =
            if is_late { Some(Refusal::Timeout) } else { refusal_for(error, ctx.unreachable) };
        let Some(refusal) = refusal else {
            ctx.outcome = "aborted";
            ctx.reason = "client_gone";
            if let (ErrorSource::Downstream, ErrorType::ReadTimedout | ErrorType::WriteTimedout) =
                (error.esource(), error.etype())
            {
                ctx.reason = "slow_client";
                ctx.live.metrics.slow_client(Slow::Body);
            }
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        tracing::warn!(
            route = ctx.route_label(),
            reason = refusal.code(),
            cause = error.etype().as_str(),
            "request failed"
        );
        let reply = ctx.refuse(&refusal, ctx.audience);
        ctx.status = reply.status.as_u16();
        session.set_keepalive(None);
        // Early hints of the app are no answer yet.
        let has_answered =
            session.response_written().is_some_and(|head| !head.status.is_informational());
        if !has_answered && reply::reply(session, reply, &ctx.trace).await.is_err() {
            ctx.reason = "client_gone";
        }
        FailToProxy { error_code: ctx.status, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut Ctx) {
        if let Some(connection) = Connection::of(session.digest()) {
            connection.request_has_ended();
        }
        ctx.finish(session.req_header());
        // What came too early is not served: nobody has looked at its request line.
        // The connection ends, and its client asks again (RFC 9112 section 9.3.2).
        session.as_downstream_mut().set_pipelining_enabled(false);
    }

    /// Of a head it cannot read the framework would print the start, which is the
    /// app's answer to somebody: their cookies, their names. And clients that hang up
    /// are nobody's error; the access log has them.
    fn suppress_error_log(&self, _: &Session, _: &Ctx, error: &Error) -> bool {
        *error.etype() == ErrorType::InvalidHTTPHeader
            || *error.esource() == ErrorSource::Downstream
    }

    fn request_summary(&self, _: &Session, ctx: &Ctx) -> String {
        format!("route {}", ctx.route_label())
    }
}
