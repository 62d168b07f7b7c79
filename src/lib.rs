//! Portcullis: a reverse-proxy authentication gateway.
//!
//! It stands in front of an existing web app, answers the app's token requests
//! itself and forwards everything else. The API keys live here and nowhere else.
//!
//! # One request
//!
//! ```text
//! server/accept, connection         sockets, limits of connections, TLS
//!    │
//! gateway/hooks                     where the framework calls in
//!    ├─ request/view: admit         refuse what is malformed                  (pure)
//!    ├─ gateway/auth                another proxy asks about a request: the same steps, answered
//!    ├─ gateway/request: handle     the steps below, with one policy and one clock reading
//!    │    ├─ decide: plan           which rule, method, where from            (pure)
//!    │    ├─ identify/identifier    whose session: remembered, or verified
//!    │    │    ├─ session           reads and judges the cookie               (pure)
//!    │    │    └─ identify/resolve  asks the store, the app or the key server
//!    │    ├─ decide: decide         forward, issue, answer or refuse          (pure)
//!    │    └─ issue/issuer           limit, cache, mint or fetch the token
//!    ├─ request/headers             what may pass on to the app               (pure)
//!    ├─ upstream, gateway/peer      which server of the app
//!    └─ request/refusal             status, code and text of every refusal    (pure)
//! ```
//!
//! Every step reports itself once, as an `observe::Event`; metrics, access log, audit
//! log and traces are its sinks.
//!
//! The modules, from the command line down to the ground. A module uses only modules below
//! it in this list, never one above (`tests/house_rules` holds that).

// The shared reader of test vectors names the crate as an integration test does.
#[cfg(test)]
extern crate self as portcullis;

mod cli;
mod demo;
mod server;
mod gateway;
mod reload;
mod state;
mod decide;
mod identify;
mod issue;
mod observe;
mod config;
mod policy;
mod mint;
mod request;
mod session;
mod limit;
mod upstream;
mod outbound;
mod edge;
mod document;
mod base;

#[doc(hidden)]
pub mod testing;

pub use cli::main;
