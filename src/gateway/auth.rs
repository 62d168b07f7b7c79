//! Answers the proxy in front that asks about each request: nginx, Caddy, Traefik, Envoy,
//! HAProxy.
//!
//! `request/question` reads the request that is asked about. It then takes the same steps
//! as any other request: plan, session, rules, limits, tokens for its page. Where it would
//! be forwarded, the proxy gets a yes with every header that the app may believe: where
//! one were missing, the app would take the client's. The answer never has a `Set-Cookie`
//! field, and no body is read.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora::http::RequestHeader;
use pingora::prelude::Session;

use super::context::Ctx;
use super::forwarding::Forwarding;
use super::incoming::Incoming;
use super::purpose::Purpose;
use super::request::{self, Handled};
use super::who::Who;
use crate::decide;
use crate::observe::Outcome;
use crate::policy::Intent;
use crate::request::question::Allowed;
use crate::request::refusal::{PLAIN_TEXT, Refusal, Reply};
use bytes::Bytes;

/// Time that an app may take to sign its user in or out, where its answer is not seen.
const APP_ACTS_WITHIN: Duration = Duration::from_secs(5);

/// A question is never an upgrade, although the request may be one.
pub(super) fn purpose_of(session: &mut Session) -> Purpose {
    session.req_header_mut().remove_header(&header::UPGRADE);
    Purpose::Request
}

pub(super) async fn answer(session: &mut Session, ctx: &mut Ctx) -> Reply {
    let (asked, allowed) = match ctx.incoming.admit_question(session) {
        Ok(read) => read,
        Err(refusal) => return ctx.refuse(&refusal),
    };
    match (answer_about(ctx, asked).await, allowed) {
        (AuthAnswer::No(reply), _) => reply,
        (AuthAnswer::Yes(_), Allowed::TryAgain) => ctx.refuse(&Refusal::Reconsidered),
        (AuthAnswer::Yes(told), Allowed::Passes) => {
            let mut reply = Reply::new(StatusCode::OK, PLAIN_TEXT, Bytes::new());
            for (name, value) in &told {
                reply.headers.insert(name, value.clone());
            }
            reply
        }
    }
}

/// The answer to the proxy.
pub(super) enum AuthAnswer {
    /// Every header that the gateway sets; one without a value is empty.
    Yes(HeaderMap),
    No(Reply),
}

/// The answer to an admitted question.
pub(super) async fn answer_about(ctx: &mut Ctx, asked: RequestHeader) -> AuthAnswer {
    let Ctx { incoming, asked: kept, rule, who, record, .. } = &mut *ctx;
    let asked: &RequestHeader = kept.insert(Box::new(asked));
    let policy = incoming.policy.clone();
    let view = incoming.view(asked);
    let planned = decide::plan_question(&policy, &view);
    let is_elsewhere = decide::is_from_elsewhere(&policy, &view, &[]);
    let decided = request::decide_planned(incoming, &policy, who, record, &view, planned).await;
    *rule = decided.rule();
    let forwarding = match decided.act(incoming, who, record, Ok(Vec::new())).await {
        Handled::Reply(reply) => return AuthAnswer::No(reply),
        Handled::Forward(forwarding) => forwarding,
    };
    // Cookies are returned as they may pass; other headers cannot be removed from here.
    if who.withholds_headers() {
        return AuthAnswer::No(ctx.refuse(&Refusal::NotSignedIn));
    }
    Who::distrust_session(incoming, asked, StatusCode::OK, APP_ACTS_WITHIN).await;
    // The app's answer does not pass here, so a sign-out counts once it may pass; not one
    // that another site asks for, which the app will refuse.
    if !is_elsewhere {
        who.leave(incoming, asked).await;
    }
    record.end(Outcome::Answered, record.reason);
    record.status = StatusCode::OK.as_u16();
    AuthAnswer::Yes(told(incoming, who, &forwarding, asked))
}

fn told(
    incoming: &Incoming,
    who: &Who,
    forwarding: &Forwarding,
    asked: &RequestHeader,
) -> HeaderMap {
    const NOTHING: HeaderValue = HeaderValue::from_static("");
    let mut told = HeaderMap::with_capacity(incoming.policy.told.len() + 1);
    for name in &incoming.policy.told {
        told.insert(name, NOTHING);
    }
    // A vendor's key goes to the vendor, from here.
    if forwarding.vendor().is_none() {
        for (name, value) in forwarding.verified_headers(incoming, who) {
            told.insert(name, value);
        }
    }
    let cookie = match forwarding.routes.intent {
        Intent::Preflight => None,
        Intent::Answer | Intent::Prefetch => passing_cookie(who, asked),
    };
    told.insert(header::COOKIE, cookie.unwrap_or(NOTHING));
    told
}

/// The cookies that the app may have: of its session, only the one that was judged.
fn passing_cookie(who: &Who, asked: &RequestHeader) -> Option<HeaderValue> {
    let came = asked.headers.get(header::COOKIE)?;
    let mut headers = HeaderMap::from_iter([(header::COOKIE, came.clone())]);
    who.pass_session(&mut headers);
    headers.remove(header::COOKIE)
}
