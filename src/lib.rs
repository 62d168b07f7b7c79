//! Portcullis.
pub mod clock;
pub mod document;
pub mod mint;
pub mod secret;
pub mod session;
pub mod units;
