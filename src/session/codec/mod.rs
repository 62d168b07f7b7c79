//! Encodings, keys and envelopes that several kinds share.

pub(crate) mod algorithm;
pub(crate) mod base64;
pub(crate) mod bytes;
pub(crate) mod claims;
pub(crate) mod crypto;
pub(crate) mod erlang;
pub(crate) mod iron;
pub(crate) mod itsdangerous;
pub(crate) mod json;
pub(crate) mod jwe;
pub(crate) mod jws;
pub(crate) mod keygrip;
pub(crate) mod msgpack;
pub(crate) mod verifying_keys;
pub(crate) mod notation;
pub(crate) mod number;
pub(crate) mod php;
pub(crate) mod pickle;
pub(crate) mod signed_cookie;
pub(crate) mod time;
pub(crate) mod token_purpose;
pub(crate) mod token_text;
pub(crate) mod token_types;
pub(crate) mod zlib;
