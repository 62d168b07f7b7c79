//! The token path: the limit, the app's grants, the cache, then a mint, in that order.
//!
//! The limit counts answers, cached or not. A client may ask for a token that was
//! not handed out before (`Freshness::New`); that counts too. `shared_tokens` keeps tokens
//! where all replicas find them.

mod admission;
mod beside;
mod cache;
mod circuit_breaker;
mod error;
mod first_answers;
mod issuer;
mod mint_here;
mod remote;
mod request;
mod sealed;
pub(crate) mod shadow;
mod shared_tokens;
#[cfg(test)]
mod tests;
mod two_calls;

pub(crate) use error::IssueError;
pub(crate) use issuer::{Issued, Issuer};
pub(crate) use request::{TokenQuestion, TokenRequest};
pub(crate) use shared_tokens::SharedTokens;
