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
//! A module may use what stands below it in this list, never what stands above.

pub mod ask;
pub mod assertion;
pub mod audit;
pub mod cache;
pub mod circuit;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod decide;
pub mod demo;
pub mod digits;
pub mod discovery;
pub mod document;
pub mod edge;
pub mod forward;
pub mod gateway;
pub mod issue;
pub mod keys;
pub mod limit;
pub mod live;
pub mod mark;
pub mod memo;
pub mod mint;
pub mod observe;
pub mod outbound;
pub mod placeholder;
pub mod policy;
pub mod process;
pub mod reload;
pub mod request;
pub mod respond;
pub mod revoke;
pub mod route;
pub mod secret;
pub mod server;
pub mod session;
pub mod store;
pub mod tls_provider;
pub mod trace;
pub mod units;
pub mod upstream;
