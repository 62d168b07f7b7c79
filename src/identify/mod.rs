//! The user behind a request: verifies sessions, asks stores and apps where the cookie alone does
//! not say, remembers the answers and knows what was revoked.

pub(crate) mod cache;
mod changes;
mod flood;
mod identifier;
pub(crate) mod jwks;
pub(crate) mod resolve;
pub(crate) mod revocation;
pub(crate) mod store;

pub(crate) use identifier::Identifier;
pub(crate) use jwks::CurrentPolicy;
