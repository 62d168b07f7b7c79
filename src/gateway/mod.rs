//! The shell: where a request meets the proxy framework.
//!
//! `hooks` is called by the framework, in the order of its methods. `request` says
//! what happens to a request before it is forwarded, `forward` what the app then
//! gets. The decisions are made elsewhere and know nothing of this folder.

mod app_answer;
mod app_deadline;
mod app_wait;
mod audit;
mod attempt;
mod auth;
mod auth_grpc;
mod body_framing;
mod chunks;
pub(crate) mod connection;
mod context;
mod deadline;
mod forward;
mod forwarding;
mod handle;
mod health;
mod hooks;
mod html;
mod incoming;
mod nonce;
mod open_stream;
pub(crate) mod pace;
mod peer;
mod purpose;
mod record;
mod reply;
mod request;
pub(crate) mod request_line;
mod shadow;
mod token_limit;
mod transport_errors;
pub(crate) mod unreadable;
mod upgrade_connector;
mod vendor_api;
mod who;

pub(crate) use health::Probes;
pub(crate) use hooks::Gateway;
pub(crate) use purpose::Asks;
