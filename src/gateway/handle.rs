//! From the hook to the decision and back, with a token request's body read in between:
//! the steps of handling that need the framework.

use pingora::prelude::{Result, Session};

use super::auth;
use super::auth_grpc;
use super::context::Ctx;
use super::forward;
use super::purpose::{Asks, Purpose};
use super::reply::{self, Body};
use super::request::{self, Handled};
use super::shadow::Shadow;
use crate::observe::{ConnectionEvent, Event, LatePart};
use crate::policy::Policy;
use crate::request::refusal::Refusal;

/// The purpose of a connection, until its upstream is known.
pub(super) fn purpose_of(asks: Asks, session: &mut Session, policy: &Policy) -> Purpose {
    match asks {
        Asks::Client => forward::purpose_of(session, policy),
        Asks::Front => auth::purpose_of(session),
    }
}

/// Handles a request, or another proxy's question; `None` if it has been answered.
pub(super) async fn receive(
    asks: Asks,
    session: &mut Session,
    ctx: &mut Ctx,
) -> Result<Option<Handled>> {
    match asks {
        Asks::Client => admit(session, ctx).await.map(Some),
        Asks::Front if auth_grpc::serve(session, ctx).await? => Ok(None),
        Asks::Front => Ok(Some(Handled::Reply(auth::answer(session, ctx).await))),
    }
}

/// Admits a client's request and handles it.
async fn admit(session: &mut Session, ctx: &mut Ctx) -> Result<Handled> {
    match ctx.incoming.admit(session) {
        Ok(()) if reply::announces_nothing(session) => {
            match reply::read_nothing(session, &ctx.incoming.policy.limits).await? {
                Ok(()) => handle(session, ctx).await,
                Err(refusal) => Ok(Handled::Reply(ctx.refuse(&refusal))),
            }
        }
        Ok(()) => handle(session, ctx).await,
        Err(refusal) => Ok(Handled::Reply(ctx.refuse(&refusal))),
    }
}

/// Plan, session, decide; the body, if a token needs it; act.
async fn handle(session: &mut Session, ctx: &mut Ctx) -> Result<Handled> {
    let Ctx { incoming, rule, who, record, .. } = ctx;
    let policy = incoming.policy.clone();
    let view = incoming.view(session.req_header());
    let decided = request::decide(incoming, &policy, who, record, &view).await;
    *rule = decided.rule();
    let shadowed = policy.shadowed(view.path);
    let body = match decided.token() {
        Some(token) => {
            let reads_body = token.minter.inputs().reads_body();
            let use_of = if reads_body { Body::Kept } else { Body::Forgotten };
            reply::read_body(session, use_of, &policy.limits).await?
        }
        None => Ok(Vec::new()),
    };
    let is_late = matches!(&body, Err(Refusal::BadRequest(_)));
    let mut handled = decided.act(incoming, who, record, body).await;
    if let (Handled::Forward(forwarding), Some(token)) = (&mut handled, shadowed) {
        forwarding.shadow = Some(Shadow::begin(token, session.req_header()));
    }
    if is_late {
        emit_late_body(ctx);
    }
    Ok(handled)
}

pub(super) fn emit_late_body(ctx: &Ctx) {
    let late = ConnectionEvent::Late(LatePart::Body);
    ctx.incoming.state.telemetry.emit(Event::Connection(late));
}
