//! One admitted request, from its plan to its outcome: plan, session, decide, act.
//!
//! Nothing here knows the framework: the shell reads the body between the two steps,
//! where a token's inputs need it.

use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, header};

use super::forward;
use super::forwarding::Forwarding;
use super::incoming::Incoming;
use super::record::Record;
use super::reply::{push_limit, with_cors};
use super::token_limit::admit_token;
use super::who::Who;
use crate::decide::{self, Decision, Plan};
use crate::issue::TokenQuestion;
use crate::observe::{Outcome, StepKind, TokenPlace};
use crate::policy::{Policy, Rule, TokenRoute, WebOrigin};
use crate::request::refusal::{Refusal, Reply};
use crate::request::view::RequestView;
use crate::session::Identity;

/// A decision, with what carrying it out needs of the request.
pub(super) struct Decided<'p> {
    decision: Decision<'p>,
    rule: Option<&'p Rule>,
    /// An origin that may read the answer.
    origin: Option<&'p WebOrigin>,
    /// For a token: the request's statements about it.
    query: Option<TokenQuestion>,
    is_head: bool,
}

/// The outcome of handling a request.
pub(super) enum Handled {
    Forward(Forwarding),
    Reply(Reply),
}

/// Plan, session, decide.
pub(super) async fn decide<'p>(
    incoming: &Incoming,
    policy: &'p Policy,
    who: &mut Who,
    record: &mut Record,
    view: &RequestView<'_>,
) -> Decided<'p> {
    let planned = decide::plan(policy, view);
    decide_planned(incoming, policy, who, record, view, planned).await
}

/// Session, decide, where the plan is made.
pub(super) async fn decide_planned<'p>(
    incoming: &Incoming,
    policy: &'p Policy,
    who: &mut Who,
    record: &mut Record,
    view: &RequestView<'_>,
    (plan, rule): (Plan<'p>, Option<&'p Rule>),
) -> Decided<'p> {
    let step = incoming.begin_step();
    let verdict = who.verdict(incoming, record, &plan, view).await;
    if let Some(verdict) = &verdict {
        let source = who.source_label(policy);
        incoming.end_step(step, StepKind::Session { source, result: verdict.result() });
    }
    let decision = decide::decide(plan, verdict, who.credential, view);
    let query = match &decision {
        Decision::Issue { token, identity } => {
            who.identity = Some(identity.clone());
            Some(TokenQuestion::new(token, view, incoming.now).recorded(incoming.recorded))
        }
        Decision::Answer(..)
        | Decision::Forward { .. }
        | Decision::Publish(_)
        | Decision::Refuse(..) => None,
    };
    Decided {
        decision,
        rule,
        origin: decide::reader(policy, rule, view),
        query,
        is_head: view.method == http::Method::HEAD,
    }
}

impl Decided<'_> {
    pub(super) fn rule(&self) -> Option<Arc<str>> {
        self.rule.map(|rule| rule.label().clone())
    }

    /// The token whose request body must be read before `act`.
    pub(super) fn token(&self) -> Option<&TokenRoute> {
        match &self.decision {
            Decision::Issue { token, .. } => Some(token),
            Decision::Answer(..)
            | Decision::Forward { .. }
            | Decision::Publish(_)
            | Decision::Refuse(..) => None,
        }
    }

    /// Carries the decision out. `body` is empty where `token` is none.
    pub(super) async fn act(
        self,
        incoming: &Incoming,
        who: &mut Who,
        record: &mut Record,
        body: Result<Vec<u8>, Refusal>,
    ) -> Handled {
        let Self { decision, rule, origin, query, is_head } = self;
        let mut why = None;
        let done = match decision {
            Decision::Answer(reply, rejected) => {
                record.end(Outcome::Answered, rejected.reason.as_str());
                Ok(reply)
            }
            Decision::Publish(what) => {
                record.outcome = Outcome::Answered;
                let Incoming { state, policy, now, sender, .. } = incoming;
                let host = policy.public_origins.host_for(&sender.host);
                Ok(policy.discovery.reply(what, &state.retired, host, *now))
            }
            Decision::Refuse(refusal, rejected) => {
                why = rejected;
                Err(refusal)
            }
            Decision::Forward { routes, identity } => {
                who.identity = identity;
                match forward::prepare(incoming, who, record, routes).await {
                    Ok(forwarding) => return Handled::Forward(forwarding),
                    Err(refusal) => Err(refusal),
                }
            }
            Decision::Issue { token, identity } => match (body, query) {
                (Err(refusal), _) => Err(refusal),
                (Ok(_), _) if is_head => head(incoming, record, token, &identity).await,
                (Ok(_), None) => Err(Refusal::Unavailable),
                (Ok(body), Some(query)) => {
                    issue(incoming, who, record, (token, &identity), query, &body).await
                }
            },
        };
        let token = match rule {
            Some(Rule::Token(token, _)) => Some(&**token),
            Some(Rule::Published(..) | Rule::Route(_)) | None => None,
        };
        let reply = done.unwrap_or_else(|refusal| {
            if let Some(token) = token {
                incoming.audit_refused(who, token, refusal.code(), TokenPlace::Endpoint);
            }
            let mut reply = incoming.refuse(record, &refusal, token);
            let paused = token.filter(|_| matches!(refusal, Refusal::Unavailable));
            if let Some(pause) = paused.and_then(|it| incoming.state.issuer.pause(&it.name)) {
                reply.push_retry_after(pause);
            }
            if let Some(rejected) = why {
                record.explain(rejected.reason.as_str());
                let reason = record.reason;
                tracing::debug!(reason, detail = %rejected.detail, "session refused");
            }
            reply
        });
        Handled::Reply(with_cors(reply, origin))
    }
}

/// The token, then the reply the preset asks for.
async fn issue(
    incoming: &Incoming,
    who: &Who,
    record: &mut Record,
    (route, identity): (&TokenRoute, &Identity),
    query: TokenQuestion,
    body: &[u8],
) -> Result<Reply, Refusal> {
    let state = &incoming.state;
    let admit = admit_token(incoming, route, identity);
    let (issued, admitted) = state.issuer.issue(route, (query, body), identity, admit).await?;
    incoming.audit_issued(who, route, &issued, TokenPlace::Endpoint).await?;
    record.end(Outcome::Issued, issued.origin.as_str());
    let token = &issued.token;
    let mut reply =
        Reply::new(StatusCode::OK, token.content_type(), Bytes::copy_from_slice(&token.body));
    for cookie in token.set_cookies() {
        reply.headers.append(header::SET_COOKIE, cookie.clone());
    }
    push_limit(&mut reply, route, admitted.as_ref());
    Ok(reply)
}

/// HEAD: as GET, without a body and without minting.
async fn head(
    incoming: &Incoming,
    record: &mut Record,
    route: &TokenRoute,
    identity: &Identity,
) -> Result<Reply, Refusal> {
    let admitted = admit_token(incoming, route, identity).await?;
    record.outcome = Outcome::Answered;
    let mut reply = Reply::new(StatusCode::OK, route.minter.content_type(), Bytes::new());
    push_limit(&mut reply, route, admitted.as_ref());
    Ok(reply)
}

#[cfg(test)]
mod tests;
