//! Portcullis.
pub mod client;
pub mod clock;
pub mod demo;
pub mod document;
pub mod limit;
pub mod request;
pub mod respond;
pub mod route;
pub mod secret;
pub mod session;
pub mod units;
