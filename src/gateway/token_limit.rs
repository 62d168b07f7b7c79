//! The user's allowance of a token, or of all tokens of a page.

use std::sync::Arc;

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

/// Takes one from the user's allowance of each token that has a limit and something left;
/// answers in their order. One question, if replicas count together.
pub(super) async fn admit_tokens(
    incoming: &Incoming,
    tokens: &[Arc<TokenRoute>],
    identity: &Identity,
) -> Vec<Result<(), Refusal>> {
    let limits = tokens.iter().map(|token| Some((&*token.label, token.limit.as_ref()?)));
    let limits: Vec<_> = limits.collect();
    let limited: Vec<_> = limits.iter().copied().flatten().collect();
    let steps: Vec<_> = limited.iter().map(|_| incoming.begin_step()).collect();
    let issuer = &incoming.state.issuer;
    let taken = issuer.admit_each(&limited, identity.mark(), incoming.now).await;
    for ((step, (route, _)), taken) in steps.into_iter().zip(&limited).zip(&taken) {
        incoming.end_step(step, StepKind::Limit { route, admitted: taken.is_ok() });
    }
    let mut taken = taken.into_iter();
    let result = |limit: &Option<_>| match limit {
        Some(_) => taken.next().unwrap_or(Err(Refusal::Unavailable)),
        None => Ok(()),
    };
    limits.iter().map(result).collect()
}
