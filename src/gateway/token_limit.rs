//! The user's allowance of a token.

use super::incoming::Incoming;
use crate::limit::Admitted;
use crate::observe::StepKind;
use crate::policy::TokenRoute;
use crate::request::refusal::Refusal;
use crate::session::Identity;

/// Takes one from the user's allowance, if the token has a limit.
pub(super) async fn admit_token(
    incoming: &Incoming,
    route: &TokenRoute,
    identity: &Identity,
) -> Result<Option<Admitted>, Refusal> {
    let Some(limit) = &route.limit else { return Ok(None) };
    let (issuer, step) = (&incoming.state.issuer, incoming.begin_step());
    let taken = issuer.admit(&route.label, limit, identity.mark(), incoming.now).await;
    incoming.end_step(step, StepKind::Limit { route: &route.label, admitted: taken.is_ok() });
    taken.map(Some)
}
