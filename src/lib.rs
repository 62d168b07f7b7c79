//! Portcullis.
pub mod clock;
pub mod demo;
pub mod document;
pub mod secret;
pub mod session;
pub mod units;
