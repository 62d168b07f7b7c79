//! The base of every other module: time, digests, text, units, secrets, URLs.
//!
//! Nothing here knows what a session, a token or a request is.

pub(crate) mod aside;
pub(crate) mod build;
pub(crate) mod calendar;
pub(crate) mod clock;
pub(crate) mod crypto_provider;
pub(crate) mod digest;
pub(crate) mod env_file;
pub(crate) mod hardening;
pub(crate) mod host;
pub(crate) mod json_path;
pub(crate) mod lock;
pub(crate) mod names;
pub(crate) mod packed_json;
pub(crate) mod pem;
pub(crate) mod redis_url;
pub(crate) mod replaced;
pub(crate) mod scatter;
pub(crate) mod secret;
pub(crate) mod secret_like;
pub(crate) mod span;
pub(crate) mod store_url;
pub(crate) mod text;
pub(crate) mod units;
pub(crate) mod url;
