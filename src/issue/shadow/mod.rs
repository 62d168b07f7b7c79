//! Shadow mode: the app answers a token request as before, and the gateway compares that
//! answer with the one it would have given.
//!
//! Pure but for `ledger`, which keeps what was found: two answers in, differences out. A
//! difference names members, types, lengths and durations, never a value of either answer.

mod answer;
mod compare;
mod difference;
mod jwt;
mod ledger;
mod members;
mod text;
mod time;

pub(crate) use answer::{AppAnswer, GatewayAnswer, Minted};
pub(crate) use compare::compare;
pub(crate) use difference::Skipped;
pub(crate) use ledger::{KnownDifference, Shadows, Tally};
