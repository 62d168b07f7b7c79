//! What a forwarded request needs before it goes: its route's limit, the tokens
//! of its page, its upstream.

use std::sync::Arc;

use http::header;
use http::request::Parts;
use pingora::http::RequestHeader;
use pingora::prelude::Session;
use serde_json::{Map, Value};

use super::audit::Place;
use super::context::Ctx;
use super::peer::Purpose;
use crate::issue::{self, Fresh, Request};
use crate::policy::{Route, TokenRoute};
use crate::request::refusal::{Refusal, Reply};
use crate::request::view;
use crate::session::Identity;
use crate::state::Live;

/// Forgets in which letters the client wrote the names of its fields, which mean the
/// same in any (RFC 9110 section 5.1). The framework would keep, copy and edit a
/// second map of them for every request.
pub(super) fn forget_spelling(request: &mut RequestHeader) {
    if request.has_case() {
        *request = take_parts(request).into();
    }
}

/// Whether a request is an upgrade. If not, its `Upgrade` field goes: to the framework
/// any such field makes it one.
pub(super) fn purpose_of(session: &mut Session) -> Purpose {
    let head = session.req_header();
    if !head.headers.contains_key(header::UPGRADE) {
        return Purpose::Request;
    }
    if view::is_upgrade(&head.method, head.version, &head.headers) {
        return Purpose::Upgrade;
    }
    session.req_header_mut().remove_header(&header::UPGRADE);
    Purpose::Request
}

/// What the framework lets nobody change in place; to be put back. The target is a
/// path, or the request would not have been admitted, so nothing of it is lost.
pub(super) fn take_parts(request: &mut RequestHeader) -> Parts {
    let (nothing, ()) = http::Request::new(()).into_parts();
    std::mem::replace(request, nothing.into()).into()
}

/// Prepares what the app gets; a reply if it gets nothing.
pub(super) async fn prepare(
    live: &Arc<Live>,
    ctx: &mut Ctx,
    route: Option<&Arc<Route>>,
    identity: Option<Arc<Identity>>,
) -> Result<(), Reply> {
    ctx.identity = identity;
    if let Some(limit) = route.and_then(|route| route.limit.as_ref()) {
        let subject = match &ctx.identity {
            Some(identity) => limit.bucket(identity.mark()),
            None => limit.bucket(ctx.client.mark()),
        };
        if let Err(exceeded) = live.limits.take(limit, subject, ctx.now) {
            live.metrics.limited(ctx.route_label());
            let refusal = Refusal::TooMany {
                retry_after: exceeded.retry_after,
                policy: limit.policy_header().clone(),
                left: exceeded.header(limit),
            };
            return Err(ctx.refuse(&refusal, ctx.audience));
        }
    }
    if let Some(route) = route.filter(|route| !route.set_headers.is_empty()) {
        let tokens = route.set_headers.iter().flat_map(|header| header.value.tokens());
        Box::pin(page_tokens(ctx, tokens)).await;
    }
    let upstream = route.and_then(|route| route.upstream.as_ref());
    ctx.upstream = upstream.or_else(|| ctx.policy.upstream_for(&ctx.host)).cloned();
    ctx.route = route.cloned();
    ctx.outcome = "forwarded";
    Ok(())
}

/// Tokens for the placeholders of the page that has come.
pub(super) async fn placeholder_tokens(ctx: &mut Ctx) {
    let Some(route) = ctx.route.clone() else { return };
    let tokens = route.placeholders.iter().map(|placeholder| &placeholder.token);
    page_tokens(ctx, tokens).await;
}

/// Tokens for a page. A page is not refused because a token cannot be had: it
/// comes without, and the log says why.
async fn page_tokens(ctx: &mut Ctx, tokens: impl Iterator<Item = &Arc<TokenRoute>>) {
    let Some(identity) = ctx.identity.clone() else { return };
    for token in tokens {
        let is_there = ctx.page_tokens.iter().any(|(name, _)| *name == token.name);
        if is_there {
            continue;
        }
        let live = ctx.live.clone();
        if issue::take(&live, token, &identity, ctx.now).is_err() {
            ctx.reason = "page_token_limited";
            ctx.note_refused(token, "too_many_requests", Place::Page);
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
        match issue::token(&live, token, &request).await {
            Ok(issued) => match ctx.note_issued(token, &issued, Place::Page).await {
                Ok(()) => ctx.page_tokens.push((token.name.clone(), issued.token)),
                Err(refusal) => ctx.reason = refusal.code(),
            },
            Err(refusal) => {
                ctx.reason = refusal.code();
                ctx.note_refused(token, refusal.code(), Place::Page);
            }
        }
    }
}
