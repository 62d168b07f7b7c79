//! The shell: where a request meets the proxy framework.
//!
//! `request_filter` reads in the order a request is handled: one policy
//! snapshot, one reading of the clock, admit, plan, session, decide, act. What
//! decides lives elsewhere and knows nothing of this file.

mod context;
pub mod deadline;
mod dial;
mod failure;
mod peer;
mod send;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, Version, header};
use pingora::ErrorType;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, HttpPeer, ProxyHttp, Result, Session};
use pingora::proxy::FailToProxy;
use serde_json::{Map, Value};

use crate::client::{Client, Scheme};
use crate::decide::{self, Decision, Plan};
use crate::forward;
use crate::issue::{self, Asked, Fresh, Request};
use crate::live::Live;
use crate::policy::{HeaderTemplate, Route, TokenRoute};
use crate::request::{Head, RequestView, admit};
use crate::respond::{Audience, Refusal, Reply};
use crate::session::Identity;

use context::{Ctx, host_of};
use failure::refusal_for;
use send::{Body, push_limit, with_cors};

/// Octets of a token request's body that are read and passed over.
const MAX_TOKEN_BODY: usize = 64 * 1024;

/// The gateway as the framework sees it.
pub struct Gateway(pub Arc<Live>);

/// What becomes of a request once it is understood.
enum Outcome {
    Forward,
    Reply(Reply),
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        Ctx::begin(&self.0)
    }

    fn init_downstream_modules(&self, _: &mut pingora::modules::http::HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<()> {
        deadline::head_has_arrived();
        // Only where keep-alive is on already: setting it blindly would switch
        // it back on for HTTP/1.0 and while shutting down.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(ctx.idle_seconds));
        }
        session.set_write_timeout(Some(context::WRITE_TIMEOUT));
        if session.is_upgrade_req() {
            session.set_read_timeout(None);
        }
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        let outcome = match self.admit(session, ctx) {
            Ok(()) => self.handle(session, ctx).await?,
            Err(refusal) => Outcome::Reply(ctx.refuse(&refusal, Audience::Script)),
        };
        match outcome {
            Outcome::Forward => Ok(false),
            Outcome::Reply(reply) => {
                ctx.status = reply.status.as_u16();
                send::reply(session, reply).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        let upstream =
            ctx.upstream.as_ref().ok_or_else(|| Error::new(ErrorType::ConnectNoRoute))?;
        let target = upstream.next().ok_or_else(|| Error::new_up(ErrorType::ConnectNoRoute))?;
        peer::build(upstream, &target, session.is_upgrade_req()).map(Box::new)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        let original = session.req_header();
        let verified = ctx.verified_headers();
        let edits =
            forward::edit(&original.headers, &ctx.client, &ctx.host, &ctx.policy.managed, verified);
        for name in &edits.remove {
            request.remove_header(name);
        }
        for (name, value) in edits.set {
            request.insert_header(name, value)?;
        }
        let host = ctx.upstream.as_ref().and_then(|upstream| upstream.host.clone());
        if let Some(host) = host {
            request.insert_header(header::HOST, host)?;
        } else if !request.headers.contains_key(header::HOST) && !ctx.host.is_empty() {
            request.insert_header(header::HOST, &*ctx.host)?;
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        _: &mut Ctx,
    ) -> Result<()> {
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
        if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS
        {
            return Ok(());
        }
        ctx.status = response.status.as_u16();
        ctx.end_session(session.req_header()).await;
        // HTTP/1.0 knows no chunks: such a body ends with the connection.
        if session.req_header().version == Version::HTTP_10 {
            response.remove_header(&header::TRANSFER_ENCODING);
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        ctx: &mut Ctx,
        mut error: Box<Error>,
    ) -> Box<Error> {
        ctx.attempts += 1;
        let retries = ctx.upstream.as_ref().map_or(0, |upstream| upstream.retries);
        error.set_retry(ctx.attempts <= retries);
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Ctx,
    ) -> FailToProxy {
        let Some(refusal) = refusal_for(error) else {
            ctx.outcome = "aborted";
            ctx.reason = "client_gone";
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
        if session.response_written().is_none() && send::reply(session, reply).await.is_err() {
            ctx.reason = "client_gone";
        }
        FailToProxy { error_code: ctx.status, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut Ctx) {
        deadline::request_has_ended();
        ctx.finish(session.req_header());
    }

    fn request_summary(&self, _: &Session, ctx: &Ctx) -> String {
        format!("route {}", ctx.route_label())
    }
}

impl Gateway {
    /// Refuses what is ambiguous and tidies what is left.
    fn admit(&self, session: &mut Session, ctx: &mut Ctx) -> Result<(), Refusal> {
        let raw = (!session.is_http2()).then(|| session.to_h1_raw());
        let request = session.req_header();
        let tidy = admit(&Head {
            parts: request,
            target: request.raw_path(),
            raw: raw.as_deref(),
            max_header: ctx.policy.max_header,
        })?;
        let request = session.req_header_mut();
        let failed = |_| Refusal::BadRequest("the request cannot be forwarded as it is");
        if let Some(cookie) = tidy.cookie {
            request.insert_header(header::COOKIE, cookie).map_err(failed)?;
        }
        if let Some(host) = tidy.host {
            request.insert_header(header::HOST, host).map_err(failed)?;
        }
        if let Some(target) = tidy.target {
            request.set_raw_path(&target).map_err(failed)?;
        }
        let scheme = if session.digest().is_some_and(|d| d.ssl_digest.is_some()) {
            Scheme::Https
        } else {
            Scheme::Http
        };
        let peer = session.client_addr().and_then(|address| address.as_inet()).copied();
        let headers = &session.req_header().headers;
        ctx.client = Client::new(peer, scheme, headers, &ctx.policy.trusted);
        ctx.host = host_of(session.req_header(), &ctx.client);
        Ok(())
    }

    /// Plan, session, decide, act.
    async fn handle(&self, session: &mut Session, ctx: &mut Ctx) -> Result<Outcome> {
        let policy = ctx.policy.clone();
        let client = ctx.client.clone();
        let host = ctx.host.clone();
        let request = session.req_header();
        let view = RequestView {
            method: &request.method,
            path: request.uri.path(),
            query: request.uri.query(),
            headers: &request.headers,
            host: &host,
            client: &client,
        };
        ctx.audience = view.audience();
        let (plan, rule) = decide::plan(&policy, &view);
        ctx.rule = rule.map(|rule| rule.label().clone());
        if matches!(plan, Plan::Issue(_)) || rule.is_some_and(crate::policy::Rule::is_token) {
            ctx.audience = Audience::Script;
        }
        let verdict = ctx.verdict(&plan, &view).await;
        let cookie = policy.sources.first().map_or("", |source| source.cookie_name());
        let decision = decide::decide(plan, verdict, &view, cookie);
        let origin = view.header(&header::ORIGIN).and_then(|origin| rule?.origin(origin));
        let reply = match decision {
            Decision::Answer(reply, rejected) => {
                ctx.outcome = "answered";
                ctx.reason = rejected.reason.as_str();
                reply
            }
            Decision::Refuse(refusal, rejected) => ctx.refuse_session(&refusal, rejected.as_ref()),
            Decision::Forward { route, identity } => {
                return Ok(self.forward(ctx, route, identity).await);
            }
            Decision::Issue { token, identity } => {
                ctx.identity = Some(identity.clone());
                let asked = Asked::of(token, &view, cookie, ctx.now);
                let is_head = view.method == http::Method::HEAD;
                let reads_body = token.minter.inputs().reads_body();
                let use_of = if reads_body { Body::Kept } else { Body::Forgotten };
                match send::read_body(session, use_of, MAX_TOKEN_BODY).await? {
                    Ok(_) if is_head => self.head(ctx, token, &identity),
                    Ok(body) => match asked.request(&self.0, token, &identity, &body).await {
                        Ok(request) => self.issue(ctx, token, &request).await,
                        Err(refusal) => ctx.refuse(&refusal, Audience::Script),
                    },
                    Err(refusal) => ctx.refuse(&refusal, Audience::Script),
                }
            }
        };
        Ok(Outcome::Reply(with_cors(reply, origin)))
    }

    /// Limit, then token, then the reply the preset asks for.
    async fn issue(&self, ctx: &mut Ctx, route: &TokenRoute, request: &Request<'_>) -> Reply {
        let admitted = match issue::take(&self.0, route, request.identity, request.now) {
            Ok(admitted) => admitted,
            Err(refusal) => return ctx.refuse(&refusal, Audience::Script),
        };
        match issue::token(&self.0, route, request).await {
            Ok(issued) => {
                ctx.issued(issued.origin);
                let token = &issued.token;
                let mut reply =
                    Reply::new(StatusCode::OK, token.content_type.clone(), token.body.clone());
                if let Some(cookie) = &token.set_cookie {
                    reply.headers.insert(header::SET_COOKIE, cookie.clone());
                }
                push_limit(&mut reply, route, admitted.as_ref());
                reply
            }
            Err(refusal) => ctx.refuse(&refusal, Audience::Script),
        }
    }

    /// HEAD: as GET, without a body and without minting.
    fn head(&self, ctx: &mut Ctx, route: &TokenRoute, identity: &Identity) -> Reply {
        match issue::take(&self.0, route, identity, ctx.now) {
            Ok(admitted) => {
                ctx.outcome = "answered";
                let mut reply =
                    Reply::new(StatusCode::OK, route.minter.content_type(), Bytes::new());
                push_limit(&mut reply, route, admitted.as_ref());
                reply
            }
            Err(refusal) => ctx.refuse(&refusal, Audience::Script),
        }
    }

    /// Prepares what the app gets: upstream, limit, page tokens.
    async fn forward(
        &self,
        ctx: &mut Ctx,
        route: Option<&Arc<Route>>,
        identity: Option<Arc<Identity>>,
    ) -> Outcome {
        ctx.identity = identity;
        if let Some(limit) = route.and_then(|route| route.limit.as_ref()) {
            let subject = match &ctx.identity {
                Some(identity) => limit.bucket(identity.user_id()),
                None => limit.bucket(&ctx.client.limit_key()),
            };
            if let Err(exceeded) = self.0.limits.take(limit, subject, ctx.now) {
                self.0.metrics.limited(ctx.route_label());
                let refusal = Refusal::TooMany {
                    retry_after: exceeded.retry_after,
                    policy: limit.policy_header().clone(),
                    left: exceeded.header(limit),
                };
                return Outcome::Reply(ctx.refuse(&refusal, ctx.audience));
            }
        }
        if let Some(route) = route.filter(|route| !route.set_headers.is_empty()) {
            Box::pin(self.page_tokens(ctx, &route.set_headers)).await;
        }
        let upstream = route
            .and_then(|route| route.upstream.as_ref())
            .or_else(|| ctx.policy.default_upstream());
        ctx.upstream = upstream.cloned();
        ctx.route = route.cloned();
        ctx.outcome = "forwarded";
        Outcome::Forward
    }

    /// Tokens for the headers of a page. A page is not refused because a token
    /// cannot be had: its header is then missing, and the log says why.
    async fn page_tokens(&self, ctx: &mut Ctx, headers: &[HeaderTemplate]) {
        let Some(identity) = ctx.identity.clone() else { return };
        for token in headers.iter().flat_map(|header| header.value.tokens()) {
            if issue::take(&self.0, token, &identity, ctx.now).is_err() {
                ctx.reason = "page_token_limited";
                continue;
            }
            let request = Request {
                identity: &identity,
                inputs: Map::new(),
                grant: Value::Null,
                cookie: "",
                fresh: Fresh::Any,
                now: ctx.now,
            };
            match issue::token(&self.0, token, &request).await {
                Ok(issued) => ctx.page_tokens.push((token.name.clone(), issued.token)),
                Err(refusal) => ctx.reason = refusal.code(),
            }
        }
    }
}
