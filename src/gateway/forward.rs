//! Prepares a forwarded request: its route's limit, the tokens of
//! its page, its upstream.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Session;

use super::app_wait::Upload;
use super::forwarding::Forwarding;
use super::incoming::Incoming;
use super::purpose::Purpose;
use super::record::Record;
use super::token_limit::admit_tokens;
use super::who::Who;
use crate::issue::TokenRequest;
use crate::mint::identity_assertion::Assertion;
use crate::observe::{Outcome, StepKind, TokenPlace};
use crate::policy::{Intent, Policy, RouteSet, TokenRoute};
use crate::request::refusal::Refusal;
use crate::request::view;
use crate::upstream::Upstream;

/// Drops the spelling of the field names, which mean the same in any case (RFC 9110
/// section 5.1). The framework would keep, copy and edit a second map of them for
/// every request.
pub(super) fn lowercase_names(request: &mut RequestHeader) {
    if request.has_case() {
        *request = take_parts(request).into();
    }
}

/// The body that the app will be sent.
pub(super) fn upload_of(session: &mut Session) -> Upload {
    match (session.is_body_empty(), session.is_http2()) {
        (true, _) => Upload::Nothing,
        (false, false) => Upload::OverHttp1,
        (false, true) => Upload::OverHttp2,
    }
}

/// Whether a request is an upgrade that any upstream allows. If not, its `Upgrade` field is
/// removed: to the framework any such field makes it one.
pub(super) fn purpose_of(session: &mut Session, policy: &Policy) -> Purpose {
    let head = session.req_header();
    if !head.headers.contains_key(header::UPGRADE) {
        return Purpose::Request;
    }
    let asked = view::upgrade(&head.method, head.version, &head.headers);
    let allows = |upstream: &Arc<Upstream>| {
        asked.is_some_and(|protocol| upstream.upgrades.allow(protocol.as_bytes()))
    };
    if policy.upstreams.iter().any(allows) {
        return Purpose::Upgrade;
    }
    session.req_header_mut().remove_header(&header::UPGRADE);
    Purpose::Request
}

/// An upgrade that only another upstream allows is an ordinary request to this one.
pub(super) fn check_purpose(
    session: &mut Session,
    purpose: &mut Purpose,
    upstream: Option<&Arc<Upstream>>,
) {
    if *purpose == Purpose::Request {
        return;
    }
    let protocol = session.req_header().headers.get(header::UPGRADE);
    let is_allowed = upstream
        .zip(protocol)
        .is_some_and(|(upstream, protocol)| upstream.upgrades.allow(protocol.as_bytes()));
    if !is_allowed {
        *purpose = Purpose::Request;
        session.req_header_mut().remove_header(&header::UPGRADE);
        session.as_downstream_mut().set_pipelining_enabled(true);
    }
}

/// Asks the app for the tunnel that the client has asked for. The framework has removed
/// the fields of every protocol but WebSocket.
pub(super) fn ask_for_tunnel(client: &HeaderMap, purpose: Purpose, headers: &mut HeaderMap) {
    if purpose == Purpose::Upgrade
        && let Some(protocol) = client.get(header::UPGRADE)
        && !headers.contains_key(header::UPGRADE)
    {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
}

/// Names the host that the app is asked for: the upstream's own, or else the client's.
pub(super) fn name_host(headers: &mut HeaderMap, upstream: Option<&Upstream>, asked: &str) {
    if let Some(host) = upstream.and_then(|upstream| upstream.host.clone()) {
        headers.insert(header::HOST, host);
    } else if !headers.contains_key(header::HOST)
        && let Ok(host) = HeaderValue::from_str(asked)
        && !host.is_empty()
    {
        headers.insert(header::HOST, host);
    }
}

/// Whether a switch of protocols is the one that was asked for. Apps that leave the name out
/// mean that one.
pub(super) fn is_tunnel(
    request: &RequestHeader,
    purpose: Purpose,
    response: &ResponseHeader,
) -> bool {
    let Some(asked) = request.headers.get(header::UPGRADE) else { return false };
    let mut named = response.headers.get_all(header::UPGRADE).iter();
    purpose == Purpose::Upgrade
        && named.all(|name| {
            name.as_bytes().trim_ascii().eq_ignore_ascii_case(asked.as_bytes().trim_ascii())
        })
}

/// The parts of a head, which the framework does not let anyone change in place; to
/// be put back. The target is a path, or the request would not have been admitted, so
/// nothing of it is lost.
pub(super) fn take_parts(request: &mut RequestHeader) -> Parts {
    let (empty, ()) = http::Request::new(()).into_parts();
    std::mem::replace(request, empty.into()).into()
}

/// Prepares the request for the app, within the limits of its routes.
pub(super) async fn prepare(
    incoming: &Incoming,
    who: &Who,
    record: &mut Record,
    routes: RouteSet,
) -> Result<Forwarding, Refusal> {
    let Incoming { policy, sender, .. } = incoming;
    take_from_limits(incoming, who, &routes).await?;
    let upstream = routes.upstream();
    let upstream = upstream.or_else(|| policy.upstream_for(&sender.host)).cloned();
    let mut forwarding = Forwarding::new(routes);
    forwarding.upstream = upstream;
    if forwarding.routes.setting_headers().any(|route| !route.set_headers.is_empty()) {
        let headers = forwarding.routes.setting_headers().flat_map(|route| &route.set_headers);
        let tokens = headers.flat_map(|header| header.value.tokens()).cloned().collect();
        Box::pin(page_tokens(incoming, who, record, &mut forwarding, tokens)).await;
    }
    if policy.identity.assertion.as_ref().is_some_and(Assertion::is_slow) {
        forwarding.assertion = Box::pin(signed_aside(incoming, who)).await.map(Box::new);
    }
    record.outcome = Outcome::Forwarded;
    Ok(forwarding)
}

/// The user's assertion under a key that signs slowly.
async fn signed_aside(incoming: &Incoming, who: &Who) -> Option<(HeaderName, HeaderValue)> {
    let Incoming { state, policy, now, .. } = incoming;
    let identity = who.identity.as_ref()?;
    let assertion = policy.identity.assertion.as_ref()?;
    if let Some(kept) = state.assertions.kept(assertion, identity, *now) {
        return Some(kept);
    }
    let (state, policy) = (state.clone(), policy.clone());
    let (signing, identity, now) = (state.clone(), identity.clone(), *now);
    let sign = move || {
        let assertion = policy.identity.assertion.as_ref()?;
        state.assertions.header_for(assertion, &identity, now)
    };
    signing.issuer.signing.run(sign).await.ok().flatten()
}

/// Takes one from the limit of every route, or nothing from any.
async fn take_from_limits(
    incoming: &Incoming,
    who: &Who,
    routes: &RouteSet,
) -> Result<(), Refusal> {
    let Incoming { state, now, sender, .. } = incoming;
    // A preflight is part of the request that it asks about.
    let counted = routes.all().filter(|_| routes.intent != Intent::Preflight);
    let mut limits = counted.filter_map(|route| Some((&*route.label, route.limit.as_ref()?)));
    let Some(first) = limits.next() else { return Ok(()) };
    let (route, step) = (first.0, incoming.begin_step());
    let identity = who.identity.as_ref();
    let whose = identity.map_or_else(|| sender.client.mark(), |identity| identity.mark());
    let taken = match limits.next() {
        None => state.issuer.admit_all(&[first], whose, *now).await,
        Some(second) => {
            let all: Vec<_> = [first, second].into_iter().chain(limits).collect();
            state.issuer.admit_all(&all, whose, *now).await
        }
    };
    incoming.end_step(step, StepKind::Limit { route, admitted: taken.is_ok() });
    taken
}

/// Tokens for the placeholders of the page that the app has answered with.
pub(super) async fn placeholder_tokens(
    incoming: &Incoming,
    who: &Who,
    record: &mut Record,
    forwarding: &mut Forwarding,
) {
    let placeholders = forwarding.routes.placeholders();
    let tokens = placeholders.map(|placeholder| placeholder.token.clone()).collect();
    page_tokens(incoming, who, record, forwarding, tokens).await;
}

/// Tokens for a page; a prefetch mints none. A page is not refused because a token is
/// missing: it is sent without, and the log says why. Limits of all its tokens are asked
/// together, and each is judged on its own.
async fn page_tokens(
    incoming: &Incoming,
    who: &Who,
    record: &mut Record,
    forwarding: &mut Forwarding,
    tokens: Vec<Arc<TokenRoute>>,
) {
    let Some(identity) = &who.identity else { return };
    if forwarding.routes.intent == Intent::Prefetch {
        return;
    }
    let mut wanted: Vec<Arc<TokenRoute>> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let mut others = wanted.iter().map(|other| &other.name);
        let is_there = forwarding.page_tokens.iter().any(|(name, _)| *name == token.name);
        if !is_there && !others.any(|name| *name == token.name) {
            wanted.push(token);
        }
    }
    let admitted = admit_tokens(incoming, &wanted, identity).await;
    for (token, admitted) in wanted.iter().zip(admitted) {
        if let Err(refusal) = admitted {
            record.explain("page_token_limited");
            incoming.audit_refused(who, token, refusal.code(), TokenPlace::Page);
            continue;
        }
        let request = TokenRequest::plain(identity, incoming.now).recorded(incoming.recorded);
        match incoming.state.issuer.token(token, &request).await {
            Ok(issued) => {
                match incoming.audit_issued(who, token, &issued, TokenPlace::Page).await {
                    Ok(()) => forwarding.page_tokens.push((token.name.clone(), issued.token)),
                    Err(error) => record.explain(Refusal::from(error).code().as_str()),
                }
            }
            Err(error) => {
                let code = Refusal::from(error).code();
                record.explain(code.as_str());
                incoming.audit_refused(who, token, code, TokenPlace::Page);
            }
        }
    }
}
