//! What the token path asks other servers: the app about grants, a vendor for
//! its token.
//!
//! The minter describes and reads; here the call is made, once. Only a server
//! that could not be connected to is tried again: it cannot have acted on
//! anything. No answer never becomes a token.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;

use super::refusal;
use crate::issue::circuit_breaker::Outcome;
use crate::mint::{self, GrantHook, MintError};
use crate::observe::{CallResult, Event, TokenEvent};
use crate::outbound::{Answer, Call, OutboundError, Url};
use crate::policy::TokenRoute;
use crate::request::refusal::Refusal;
use crate::state::Live;

/// Octets an issuer's or the app's answer may take.
const MAX_ANSWER: usize = 256 * 1024;

/// The headers of the browser's request that go along to the app.
pub(super) fn forwarded(hook: &GrantHook, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let of = |name: &HeaderName| Some((name.clone(), headers.get(name)?.clone()));
    hook.forward.iter().filter_map(of).collect()
}

/// Asks the app what this user may do. 401 and 403 are its refusal; anything
/// else but JSON is no answer.
pub(super) async fn grant(
    live: &Live,
    route: &TokenRoute,
    (hook, url): (&GrantHook, &str),
    mut headers: Vec<(HeaderName, HeaderValue)>,
    cookie: &str,
) -> Result<Value, Refusal> {
    headers.push((header::ACCEPT, HeaderValue::from_static("application/json")));
    let url = Url::parse(url).ok_or(Refusal::Unavailable)?;
    let call = Call {
        method: Method::GET,
        url,
        headers,
        body: Bytes::new(),
        timeout: hook.timeout,
        max_size: MAX_ANSWER,
    };
    let answer = send(live, route, &call).await.map_err(|_| Refusal::Unavailable)?;
    hook.answered(answer.status, &answer.body).map_err(|error| match error {
        MintError::IssuerFailed(_) => {
            tracing::warn!(token = route.name, cause = %error, "no grants");
            Refusal::Unavailable
        }
        error => refusal(&error, route, cookie),
    })
}

/// Makes the issuer's call, unless it has failed too often of late.
pub(super) async fn issuer(
    live: &Live,
    route: &TokenRoute,
    call: mint::Call,
) -> Result<(StatusCode, Bytes), Refusal> {
    let mint::Call { method, url, headers, body, timeout } = call;
    let url = Url::parse(&url).ok_or(Refusal::IssuerFailed)?;
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let call = Call { method, url, headers, body, timeout, max_size: MAX_ANSWER };
    let began = live.clock.now();
    let permit = live.circuits.enter(&route.name, began)?;
    let answer = send(live, route, &call).await.map_err(|error| match error {
        OutboundError::TimedOut => Refusal::Timeout,
        OutboundError::BadAnswer
        | OutboundError::BadCertificate
        | OutboundError::Refused
        | OutboundError::TooLarge
        | OutboundError::Unresolved => Refusal::IssuerFailed,
    });
    let outcome = judged(&answer);
    let result = match &outcome {
        Outcome::Answered => CallResult::Answered,
        Outcome::Failed(..) => CallResult::Failed,
    };
    let now = live.clock.now();
    let called = TokenEvent::Called { token: &route.name, result, took: now.since(began) };
    live.telemetry.emit(Event::Token(called));
    permit.ended(outcome, now);
    answer.map(|answer| (answer.status, answer.body))
}

/// Whether the issuer is in trouble, which is not to say that it gave a token: it
/// may have good reasons to refuse one user.
fn judged(answer: &Result<Answer, Refusal>) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(refusal) => return Outcome::Failed(refusal.clone(), None),
    };
    let refusal = match answer.status {
        StatusCode::TOO_MANY_REQUESTS => Refusal::Unavailable,
        status if status.is_server_error() => Refusal::IssuerFailed,
        _ => return Outcome::Answered,
    };
    let wish = answer.headers.get(header::RETRY_AFTER);
    let wish = wish.and_then(|wish| wish.to_str().ok()?.trim().parse().ok());
    Outcome::Failed(refusal, wish.map(Duration::from_secs))
}

async fn send(live: &Live, route: &TokenRoute, call: &Call) -> Result<Answer, OutboundError> {
    let outbound = &live.servers.outbound;
    let answer = match outbound.send(call).await {
        Err(OutboundError::Refused) => outbound.send(call).await,
        answer => answer,
    };
    if let Err(error) = &answer {
        tracing::warn!(token = route.name, cause = %error, "no answer");
    }
    answer
}
