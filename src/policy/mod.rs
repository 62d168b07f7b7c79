//! The compiled rules: `gateway.toml` in the form requests need it.
//!
//! One file per table; `rules` puts them together. Nothing here changes after it has
//! been read.

mod form;
mod front;
mod header;
mod html_placeholder;
mod identity;
mod key_uses;
mod limit;
mod public_origins;
mod route;
mod route_set;
mod rules;
mod session;
mod sign_in;
mod token;
mod upstream;
mod vendor_api;

pub(crate) use form::Form;
pub(crate) use front::Front;
pub(crate) use header::HeaderTemplate;
pub(crate) use html_placeholder::HtmlPlaceholder;
pub(crate) use public_origins::PublicOrigins;
pub(crate) use route::SessionRule;
pub(crate) use route_set::{Intent, RouteSet};
pub use rules::Policy;
pub(crate) use rules::{RequestSettings, Rule};
pub(crate) use session::{SessionSource, sources_of};
pub(crate) use token::{AnsweredBy, AuditMode, TokenRoute, WebOrigin, read_presets, read_tokens};
pub(crate) use vendor_api::VendorApi;
