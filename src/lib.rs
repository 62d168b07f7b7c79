//! Portcullis: a reverse-proxy authentication gateway.
//!
//! It stands in front of an existing web app, answers the app's token requests
//! itself and forwards everything else. The API keys live here and nowhere else.
//!
//! # One request
//!
//! ```text
//! listener ─ server: bound sockets, connection guard, TLS
//!    │
//! gateway::request_filter             the only file where a request meets the framework
//!    ├─ request::admit                refuse what can be read in two ways
//!    ├─ decide::plan                  which rule; method; where from     (pure)
//!    ├─ memo → session                whose cookie is it                 (pure, remembered)
//!    │    └─ ask → store, outbound    where the cookie alone does not say
//!    ├─ decide::decide                forward, issue, answer or refuse   (pure)
//!    ├─ issue: limit → cache → mint   the token path
//!    ├─ forward::edit                 what may pass to the app           (pure)
//!    └─ respond                       the only place that picks a status
//! ```
//!
//! The modules, from the command line down to the ground. A module uses what stands
//! below it in this list, never what stands above (`tests/house_rules.rs` holds that).

// The shared reader of test vectors names the crate as an integration test does.
#[cfg(test)]
extern crate self as portcullis;

pub mod cli;
pub mod demo;
pub mod server;
pub mod gateway;
pub mod reload;
pub mod state;
pub mod decide;
pub mod identify;
pub mod issue;
pub mod observe;
pub mod config;
pub mod policy;
pub mod mint;
pub mod request;
pub mod session;
pub mod limit;
pub mod upstream;
pub mod outbound;
pub mod edge;
pub mod document;
pub mod base;
