//! One request and its answer as values: what arrived, from whom, what may pass on,
//! and how a refusal looks. Pure.

pub mod client;
pub mod code;
pub mod headers;
pub mod hosts;
pub mod html_placeholder;
pub mod path;
pub mod refusal;
pub mod trace;
mod untrusted;
pub mod view;
