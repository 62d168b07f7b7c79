//! One request, from its head to what becomes of it: admit, plan, session,
//! decide, act, with one policy snapshot and one reading of the clock.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use pingora::prelude::{Result, Session};

use super::connection::Connection;
use super::context::{Ctx, host_of};
use super::forward;
use super::reply::{self, Body, push_limit, with_cors};
use crate::base::clock::Now;
use crate::decide::{self, Decision};
use crate::issue::{Query, Request};
use crate::limit::Admitted;
use crate::observe::{ConnectionEvent, Event, LatePart, Outcome as RequestOutcome, TokenPlace};
use crate::policy::{Rule, TokenRoute};
use crate::request::client::{Client, Scheme};
use crate::request::refusal::{Audience, Refusal, Reply};
use crate::request::view::{self, Head, RequestView};
use crate::session::Identity;
use crate::state::State;

/// What becomes of a request once it is understood.
pub(super) enum Outcome {
    Forward,
    Reply(Reply),
}

/// Refuses what is ambiguous and tidies what is left.
pub(super) fn admit(session: &mut Session, ctx: &mut Ctx) -> Result<(), Refusal> {
    let raw = (!session.is_http2()).then(|| session.to_h1_raw());
    if Connection::of(session.digest()).is_some_and(Connection::has_odd_line) {
        return Err(view::NO_REQUEST_LINE);
    }
    let head = session.req_header();
    let tidy = view::admit(&Head {
        parts: head,
        target: head.raw_path(),
        raw: raw.as_deref(),
        limits: ctx.policy.limits,
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
    ctx.trace.adopt(headers, ctx.client.via_trusted);
    ctx.host = host_of(session.req_header(), &ctx.client);
    Ok(())
}

/// Plan, session, decide, act.
pub(super) async fn handle(
    live: &Arc<State>,
    session: &mut Session,
    ctx: &mut Ctx,
) -> Result<Outcome> {
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
    if let Some(Rule::Token(token, _)) = rule {
        ctx.token = Some(token.clone());
        ctx.audience = Audience::Script;
    }
    let verdict = ctx.verdict(&plan, &view).await;
    let decision = decide::decide(plan, verdict, &view);
    let origin = view.origin().and_then(|origin| rule?.origin(origin));
    let reply = match decision {
        Decision::Answer(reply, rejected) => {
            ctx.outcome = RequestOutcome::Answered;
            ctx.reason = rejected.reason.as_str();
            reply
        }
        Decision::Publish(what) => {
            ctx.outcome = RequestOutcome::Answered;
            policy.discovery.reply(what, &live.retired, &host, ctx.now)
        }
        Decision::Refuse(refusal, rejected) => ctx.refuse_session(&refusal, rejected.as_ref()),
        Decision::Forward { route, identity } => {
            let prepared = forward::prepare(live, ctx, route, identity).await;
            return Ok(prepared.map_or_else(Outcome::Reply, |()| Outcome::Forward));
        }
        Decision::Issue { token, identity } => {
            ctx.identity = Some(identity.clone());
            let query = Query::new(token, &view, ctx.now);
            let is_head = view.method == http::Method::HEAD;
            let reads_body = token.minter.inputs().reads_body();
            let use_of = if reads_body { Body::Kept } else { Body::Forgotten };
            match reply::read_body(session, use_of, &policy.limits).await? {
                Ok(_) if is_head => head(live, ctx, token, &identity),
                Ok(body) => match live.issuer.read(token, query, &identity, &body).await {
                    Ok(request) => issue_token(live, ctx, token, &request).await,
                    Err(error) => ctx.refuse(&error.into(), Audience::Script),
                },
                Err(refusal) => {
                    if let Refusal::BadRequest(_) = refusal {
                        let late = ConnectionEvent::Late(LatePart::Body);
                        live.telemetry.emit(Event::Connection(late));
                    }
                    ctx.refuse(&refusal, Audience::Script)
                }
            }
        }
    };
    if let (Some(token), Some(code)) = (&ctx.token, ctx.code) {
        ctx.audit_refused(token, code, TokenPlace::Endpoint);
    }
    Ok(Outcome::Reply(with_cors(reply, origin)))
}

/// Limit, then token, then the reply the preset asks for.
async fn issue_token(
    live: &Arc<State>,
    ctx: &mut Ctx,
    route: &TokenRoute,
    request: &Request<'_>,
) -> Reply {
    let admitted = match admit_token(live, route, request.identity, request.now) {
        Ok(admitted) => admitted,
        Err(refusal) => return ctx.refuse(&refusal, Audience::Script),
    };
    match live.issuer.token(route, request).await {
        Ok(issued) => {
            if let Err(error) = ctx.audit_issued(route, &issued, TokenPlace::Endpoint).await {
                return ctx.refuse(&error.into(), Audience::Script);
            }
            ctx.issued(issued.origin);
            let token = &issued.token;
            let mut reply =
                Reply::new(StatusCode::OK, token.content_type.clone(), token.body.clone());
            if let Some(cookie) = &token.set_cookie {
                reply.headers.insert(header::SET_COOKIE, HeaderValue::clone(cookie));
            }
            push_limit(&mut reply, route, admitted.as_ref());
            reply
        }
        Err(error) => ctx.refuse(&error.into(), Audience::Script),
    }
}

/// Takes one from the user's allowance, if the token has a limit.
fn admit_token(
    live: &State,
    route: &TokenRoute,
    identity: &Identity,
    now: Now,
) -> Result<Option<Admitted>, Refusal> {
    let Some(limit) = &route.limit else { return Ok(None) };
    let admitted = live.issuer.admit(&route.label, limit, identity.mark(), now);
    admitted.map(Some).map_err(|exceeded| Refusal::too_many(limit, &exceeded))
}

/// HEAD: as GET, without a body and without minting.
fn head(live: &State, ctx: &mut Ctx, route: &TokenRoute, identity: &Identity) -> Reply {
    match admit_token(live, route, identity, ctx.now) {
        Ok(admitted) => {
            ctx.outcome = RequestOutcome::Answered;
            let mut reply = Reply::new(StatusCode::OK, route.minter.content_type(), Bytes::new());
            push_limit(&mut reply, route, admitted.as_ref());
            reply
        }
        Err(refusal) => ctx.refuse(&refusal, Audience::Script),
    }
}
