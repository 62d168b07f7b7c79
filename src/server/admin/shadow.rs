//! The findings of shadow mode, for `/status`.

use serde_json::{Value, json};

use crate::issue::shadow::{KnownDifference, Skipped, Tally};
use crate::observe::DifferenceKind;
use crate::policy::{AnsweredBy, Policy, TokenRoute};
use crate::state::State;

/// The findings of a token in shadow mode; null for any other.
pub(super) fn found(state: &State, token: &TokenRoute) -> Value {
    match token.answered_by {
        AnsweredBy::Gateway => Value::Null,
        AnsweredBy::App => document(state.shadows.of(&token.name)),
    }
}

fn document(tally: Tally) -> Value {
    let Tally { same, different, skipped, last_skipped, known } = tally;
    let row = |((kind, at), known): ((DifferenceKind, String), KnownDifference)| {
        json!({
            "kind": kind.as_str(),
            "at": at,
            "app": known.app,
            "gateway": known.gateway,
            "count": known.count,
            "last_at": known.last_at,
        })
    };
    json!({
        "same": same,
        "different": different,
        "skipped": skipped,
        "last_skipped": last_skipped.map(Skipped::as_str),
        "differences": known.into_iter().map(row).collect::<Vec<_>>(),
    })
}

/// A sentence for each token whose answers differ.
pub(super) fn attention(state: &State, policy: &Policy) -> Vec<String> {
    let shadowed = policy.tokens.iter().filter(|token| token.answered_by == AnsweredBy::App);
    let sentence = |name: &String| {
        let Tally { different, known, .. } = state.shadows.of(name);
        (different > 0).then(|| {
            format!(
                "token {name} is in shadow mode: the app's answers differ in {} ways",
                known.len()
            )
        })
    };
    shadowed.filter_map(|token| sentence(&token.name)).collect()
}
