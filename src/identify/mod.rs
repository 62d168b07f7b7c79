//! Who is asking: verifies sessions, asks stores and apps where the cookie alone does
//! not say, remembers the answers and knows what was revoked.

pub mod cache;
mod identifier;
pub mod jwks;
pub mod resolve;
pub mod revocation;
pub mod store;

pub use identifier::Identifier;
pub use jwks::CurrentPolicy;
