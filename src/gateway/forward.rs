//! What a forwarded request needs before it goes: its route's limit, the tokens
//! of its page, its upstream.

use std::sync::Arc;

use http::request::Parts;
use pingora::http::RequestHeader;

use super::context::Ctx;
use crate::issue::Request;
use crate::observe::{Outcome, TokenPlace};
use crate::policy::{Route, TokenRoute};
use crate::request::code::Code;
use crate::request::refusal::{Refusal, Reply};
use crate::session::Identity;
use crate::state::State;

/// Forgets in which letters the client wrote the names of its fields, which mean the
/// same in any (RFC 9110 section 5.1). The framework would keep, copy and edit a
/// second map of them for every request.
pub(super) fn forget_spelling(request: &mut RequestHeader) {
    if request.has_case() {
        *request = take_parts(request).into();
    }
}

/// What the framework lets nobody change in place; to be put back. The target is a
/// path, or the request would not have been admitted, so nothing of it is lost.
pub(super) fn take_parts(request: &mut RequestHeader) -> Parts {
    let (nothing, ()) = http::Request::new(()).into_parts();
    std::mem::replace(request, nothing.into()).into()
}

/// Prepares what the app gets; a reply if it gets nothing.
pub(super) async fn prepare(
    live: &Arc<State>,
    ctx: &mut Ctx,
    route: Option<&Arc<Route>>,
    identity: Option<Arc<Identity>>,
) -> Result<(), Reply> {
    ctx.identity = identity;
    if let Some((route, limit)) = route.and_then(|route| Some((route, route.limit.as_ref()?))) {
        let whose = ctx.identity.as_ref().map_or_else(|| ctx.client.mark(), |who| who.mark());
        if let Err(exceeded) = live.issuer.admit(&route.label, limit, whose, ctx.now) {
            return Err(ctx.refuse(&Refusal::too_many(limit, &exceeded), ctx.audience));
        }
    }
    if let Some(route) = route.filter(|route| !route.set_headers.is_empty()) {
        let tokens = route.set_headers.iter().flat_map(|header| header.value.tokens());
        Box::pin(page_tokens(ctx, tokens)).await;
    }
    let upstream = route.and_then(|route| route.upstream.as_ref());
    ctx.upstream = upstream.or_else(|| ctx.policy.upstream_for(&ctx.host)).cloned();
    ctx.route = route.cloned();
    ctx.outcome = Outcome::Forwarded;
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
        let admitted = token
            .limit
            .as_ref()
            .map(|limit| live.issuer.admit(&token.label, limit, identity.mark(), ctx.now));
        if let Some(Err(_)) = admitted {
            ctx.reason = "page_token_limited";
            ctx.audit_refused(token, Code::TooManyRequests, TokenPlace::Page);
            continue;
        }
        match live.issuer.token(token, &Request::plain(&identity, ctx.now)).await {
            Ok(issued) => match ctx.audit_issued(token, &issued, TokenPlace::Page).await {
                Ok(()) => ctx.page_tokens.push((token.name.clone(), issued.token)),
                Err(error) => ctx.reason = Refusal::from(error).code().as_str(),
            },
            Err(error) => {
                let code = Refusal::from(error).code();
                ctx.reason = code.as_str();
                ctx.audit_refused(token, code, TokenPlace::Page);
            }
        }
    }
}
