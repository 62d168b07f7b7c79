//! What every other module stands on: time, digests, text, units, secrets, URLs.
//!
//! Nothing here knows what a session, a token or a request is.

pub mod calendar;
pub mod clock;
pub mod crypto_provider;
pub mod digest;
pub mod hardening;
pub mod host;
pub mod json_path;
pub mod lock;
pub mod pem;
pub mod secret;
pub mod store_url;
pub mod text;
pub mod units;
pub mod url;
