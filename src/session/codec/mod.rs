//! What several formats share: encodings, keys, envelopes.

#![expect(dead_code, reason = "the kinds that use the rest follow")]

pub(crate) mod base64;
pub(crate) mod claims;
pub(crate) mod crypto;
pub(crate) mod jwe;
pub(crate) mod jws;
pub(crate) mod keys;
