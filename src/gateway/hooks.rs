//! The framework's hooks, in the order it calls them.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, HttpPeer, ProxyHttp, Result, Session};
use pingora::protocols::Digest;
use pingora::proxy::FailToProxy;
use pingora::{ErrorSource, ErrorType};

use super::app_answer;
use super::app_deadline::AppDeadline;
use super::connection::Connection;
use super::context::Ctx;
use super::forward;
use super::handle::{self, emit_late_body};
use super::html::Page;
use super::incoming::MALFORMED_BODY;
use super::open_stream;
use super::pace;
use super::purpose::{Asks, Purpose, is_conversation};
use super::reply;
use super::request::Handled;
use super::shadow::Ended;
use super::transport_errors::{hung_up, is_unhandled, refusal_for};
use crate::observe::Outcome;
use crate::request::headers::{self, PassedHeaders};
use crate::request::refusal::Refusal;
use crate::request::trace::X_REQUEST_ID;
use crate::state::State;

/// A tunnel is closed if its client takes nothing for this long.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(60);

/// The gateway as the framework sees it.
pub(crate) struct Gateway {
    state: Arc<State>,
    asks: Asks,
}

impl Gateway {
    pub(crate) fn new(state: &Arc<State>, asks: Asks) -> Self {
        Self { state: state.clone(), asks }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    /// Boxed: the framework moves it three times, with a future that has room for each.
    type CTX = Box<Ctx>;

    fn new_ctx(&self) -> Box<Ctx> {
        Box::new(Ctx::begin(&self.state))
    }

    fn init_downstream_modules(&self, _: &mut pingora::modules::http::HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Box<Ctx>) -> Result<()> {
        if let Some(connection) = Connection::of(session.digest()) {
            connection.head_has_arrived();
        }
        ctx.incoming.purpose = handle::purpose_of(self.asks, session, &ctx.incoming.policy);
        let body_timeout = ctx.incoming.policy.limits.body_timeout;
        session.set_write_timeout(Some(body_timeout));
        session.set_read_timeout(Some(body_timeout));
        // Otherwise a client's early bytes count as an error of the current request.
        let pipelines = ctx.incoming.purpose == Purpose::Request;
        session.as_downstream_mut().set_pipelining_enabled(pipelines);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<Ctx>) -> Result<bool> {
        let Some(handled) = handle::receive(self.asks, session, ctx).await? else {
            return Ok(true);
        };
        match handled {
            Handled::Forward(forwarding) => {
                let upstream = forwarding.upstream.as_ref();
                forward::check_purpose(session, &mut ctx.incoming.purpose, upstream);
                ctx.forwarding = Some(forwarding);
                forward::lowercase_names(session.req_header_mut());
                Ok(false)
            }
            Handled::Reply(reply) => {
                ctx.record.status = reply.status.as_u16();
                reply::reply(session, reply, &ctx.incoming.trace).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Box<Ctx>,
    ) -> Result<Box<HttpPeer>> {
        let forwarding = ctx.forwarding.as_mut();
        let forwarding = forwarding.ok_or_else(|| Error::new(ErrorType::ConnectNoRoute))?;
        let upload = forward::upload_of(session);
        let peer = forwarding.next_peer(&ctx.incoming, upload)?;
        forwarding.begin_attempt(&ctx.incoming, &session.req_header().method);
        Ok(Box::new(peer))
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _: bool,
        _: &HttpPeer,
        _: RawFd,
        digest: Option<&Digest>,
        ctx: &mut Box<Ctx>,
    ) -> Result<()> {
        let Some(forwarding) = &mut ctx.forwarding else { return Ok(()) };
        forwarding.expect_head(AppDeadline::of(digest))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Box<Ctx>,
    ) -> Result<()> {
        let Ctx { incoming, who, forwarding: Some(forwarding), .. } = &mut **ctx else {
            return Ok(());
        };
        let mut parts = forward::take_parts(request);
        let headers = &mut parts.headers;
        who.pass_session(headers);
        forwarding.strip_preflight(headers);
        let upstream = forwarding.upstream.as_ref();
        let passed = upstream.map_or(&[][..], |upstream| &upstream.pass_headers);
        let passed = PassedHeaders { named: passed, verified: who.kept_headers() };
        headers::strip_untrusted(headers, &incoming.trace, &incoming.policy.managed, passed);
        forward::ask_for_tunnel(&session.req_header().headers, incoming.purpose, headers);
        let (client, host) = (&incoming.sender.client, &incoming.sender.host);
        if let Some(vendor) = forwarding.vendor() {
            forwarding.leave_for_vendor(vendor, who, incoming.purpose, headers);
        } else {
            let verified = forwarding.verified_headers(incoming, who);
            headers::set_forwarding_headers(headers, client, host, &incoming.trace, verified);
        }
        forwarding.recorded_attempts.name_to(headers);
        forwarding.ask_for_page(&parts.method, headers);
        forward::name_host(headers, forwarding.upstream.as_deref(), host);
        *request = parts.into();
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Box<Ctx>,
    ) -> Result<()> {
        if let Some(forwarding) = &mut ctx.forwarding {
            open_stream::check(forwarding.open_stream.as_ref())?;
            forwarding.wait.uploaded(end_of_stream);
            forwarding.shadow_request(body.as_ref(), ctx.incoming.policy.limits.token_body);
            let is_body = !end_of_stream && ctx.incoming.purpose == Purpose::Request;
            if let (true, Some(piece)) = (is_body, &body)
                && let Some(least) = ctx.incoming.policy.limits.min_body_rate
                && forwarding.piece_came(piece.len(), least).is_err()
                && !is_conversation(session.req_header())
            {
                return Err(Error::new_down(ErrorType::ReadTimedout));
            }
        }
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
        ctx: &mut Box<Ctx>,
    ) -> Result<()> {
        let Ctx { incoming, who, forwarding: Some(forwarding), record, .. } = &mut **ctx else {
            return Ok(());
        };
        forwarding.clean_after_vendor(response)?;
        app_answer::keep_for_the_client(response, session.req_header().version)?;
        let switches = response.status == StatusCode::SWITCHING_PROTOCOLS;
        if switches && !forward::is_tunnel(session.req_header(), incoming.purpose, response) {
            // If it were passed on, the next bytes of either side would belong to no request.
            return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
        }
        let downstream = session.as_downstream_mut();
        app_answer::keep_connection(downstream, response.status);
        if response.status.is_informational() && !switches {
            forwarding.wait.expect_next_head();
            return Ok(());
        }
        record.status = response.status.as_u16();
        forwarding.recorded_attempts.answered(record.status);
        forwarding.shadow_head(response, incoming);
        forwarding.wait.answer_begins(response.status);
        if let Some(place) = &forwarding.place {
            place.answered();
        }
        if forwarding.wait.is_late() {
            return Err(Error::new_up(ErrorType::ReadTimedout));
        }
        if switches {
            session.set_read_timeout(None);
            session.set_write_timeout(Some(TUNNEL_TIMEOUT));
        }
        who.follow_session(incoming, session.req_header(), response).await;
        if open_stream::is_watched(who, response) {
            let stream = open_stream::begin(incoming, forwarding.wait.connection(), session);
            forwarding.open_stream = Box::pin(stream).await?;
        }
        // An app that answers with its own id has logged that one.
        if !response.headers.contains_key(X_REQUEST_ID) {
            let (_, id) = incoming.trace.request_id_field();
            response.insert_header("x-request-id", id)?;
        }
        forwarding.hide_body(response)?;
        let is_readable_page = forwarding.begin_page(session.req_header(), response)?;
        if is_readable_page == Page::Filled {
            let tokens = forward::placeholder_tokens(incoming, who, record, forwarding);
            Box::pin(tokens).await;
            forwarding.page = Some(Box::new(forwarding.replacer()));
        }
        // HTTP/1.0 knows no chunks: such a body ends with the connection.
        if session.req_header().version == Version::HTTP_10 {
            response.remove_header(&header::TRANSFER_ENCODING);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Box<Ctx>,
    ) -> Result<Option<Duration>> {
        if let Some(forwarding) = &mut ctx.forwarding {
            pace::give_time(session, body.as_ref(), &ctx.incoming.policy.limits);
            open_stream::check(forwarding.open_stream.as_ref())?;
            forwarding.wait.goes_on(end_of_stream);
            forwarding.shadow_answer(body.as_ref());
            forwarding.page_piece(body, end_of_stream);
            if forwarding.routes.hides_body() {
                *body = None;
            }
            forwarding.open_stream.take_if(|_| end_of_stream);
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        ctx: &mut Box<Ctx>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        if let Some(forwarding) = &mut ctx.forwarding {
            forwarding.attempts += 1;
            forwarding.recorded_attempts.failed(&error);
            forwarding.server_failed(&ctx.incoming);
            let retries = forwarding.upstream.as_ref().map_or(0, |upstream| upstream.retries);
            error.set_retry(forwarding.attempts <= retries);
        }
        error
    }

    /// Retried only if the app cannot have acted on it: it was not sent or not handled, or
    /// the connection was an old one the app had closed, the method may be repeated, and no
    /// body was sent.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Box<Ctx>,
        reused: bool,
    ) -> Box<Error> {
        if let Some(forwarding) = &mut ctx.forwarding
            && forwarding.attempt_failed(&error, reused)
            && hung_up(&error)
        {
            forwarding.server_failed(&ctx.incoming);
        }
        let repeatable = session.req_header().method.is_idempotent() && session.is_body_empty();
        if is_unhandled(&error) && !session.as_ref().retry_buffer_truncated() {
            ctx.begin_again();
            return error;
        }
        if repeatable && !ctx.app_is_late() {
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
        ctx: &mut Box<Ctx>,
    ) -> FailToProxy {
        if ctx.ended_with_session() {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        let unreachable = ctx.forwarding.as_ref().and_then(|forwarding| forwarding.unreachable);
        let is_late = ctx.app_is_late() && *error.esource() == ErrorSource::Upstream;
        let is_broken = Connection::of(session.digest()).is_some_and(Connection::has_broken_body);
        let refusal = match (is_broken, is_late) {
            (true, _) => Some(MALFORMED_BODY),
            (false, true) => Some(Refusal::Timeout),
            (false, false) => refusal_for(error, unreachable),
        };
        let Some(refusal) = refusal else {
            ctx.record.end(Outcome::Aborted, "client_gone");
            if let (ErrorSource::Downstream, ErrorType::ReadTimedout | ErrorType::WriteTimedout) =
                (error.esource(), error.etype())
            {
                ctx.record.explain("slow_client");
                emit_late_body(ctx);
            }
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        tracing::warn!(
            route = ctx.route_label(),
            reason = refusal.code().as_str(),
            cause = error.etype().as_str(),
            "request failed"
        );
        let reply = ctx.refuse(&refusal);
        ctx.record.status = reply.status.as_u16();
        session.set_keepalive(None);
        // Early hints of the app are not an answer yet.
        let has_answered =
            session.response_written().is_some_and(|head| !head.status.is_informational());
        if !has_answered && reply::reply(session, reply, &ctx.incoming.trace).await.is_err() {
            ctx.record.explain("client_gone");
        }
        FailToProxy { error_code: ctx.record.status, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Box<Ctx>) {
        if let Some(connection) = Connection::of(session.digest()) {
            connection.request_has_ended();
        }
        ctx.finish(session);
        ctx.distrust_session(session.req_header()).await;
        ctx.end_shadow(error.map_or(Ended::Whole, |_| Ended::CutOff));
        // A request that came too early is not served: its request line has not been
        // checked. The connection ends, and the client asks again (RFC 9112 section
        // 9.3.2).
        session.as_downstream_mut().set_pipelining_enabled(false);
    }

    /// The framework would print the start of a head that it cannot read, which is the
    /// app's answer to some user, with cookies and names. And clients that hang up are not
    /// an error; the access log has them.
    fn suppress_error_log(&self, _: &Session, _: &Box<Ctx>, error: &Error) -> bool {
        *error.etype() == ErrorType::InvalidHTTPHeader
            || *error.esource() == ErrorSource::Downstream
    }

    fn request_summary(&self, _: &Session, ctx: &Box<Ctx>) -> String {
        format!("route {}", ctx.route_label())
    }
}
