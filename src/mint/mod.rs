//! Making tokens: from a verified session to what a vendor's client expects.
//!
//! Pure: session, request inputs, grants and the time in; a token, a refusal, or the
//! description of one HTTP call out. Vendors are data (`presets/`); only the
//! mechanisms are code.

mod body;
mod build;
mod built_in;
mod cache_key;
mod charset;
mod error;
mod grant;
pub(crate) mod identity_assertion;
mod inputs;
mod json;
mod key;
mod known_members;
mod layered_table;
mod lifetime;
mod mechanism;
mod minter;
mod preset;
mod remote_url;
mod request_pattern;
mod response;
mod separation;
mod statuses;
mod subject;
mod template;
#[cfg(test)]
mod tests;
mod token;
mod user_ids;
pub(crate) mod well_known;

pub(crate) use template::Filter;

pub(crate) use cache_key::CachePolicy;
pub(crate) use error::MintError;
pub(crate) use grant::GrantHook;
pub(crate) use mechanism::FirstAnswer;
pub use minter::Minter;
pub use preset::Presets;
pub use subject::Subject;
pub use token::Minting;
pub(crate) use token::{Call, Token, TokenParts};
