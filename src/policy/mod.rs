//! The compiled rules: `gateway.toml` in the form requests need it.
//!
//! One file per table; `rules` puts them together. Nothing here changes after it has
//! been read.

mod header;
mod html_placeholder;
mod identity;
mod key_uses;
mod route;
mod rules;
mod session;
mod sign_in;
mod token;
mod upstream;
mod vendor_api;

pub use header::{HeaderTemplate, HeaderValueTemplate, PageToken};
pub use html_placeholder::Placeholder;
pub use identity::IdentityHeaders;
pub use route::{Route, SessionRule};
pub use rules::{Policy, Rule, rule_for};
pub use session::{SessionSource, sources_of};
pub use sign_in::SignIn;
pub use token::{AuditMode, TokenRoute, WebOrigin, named, read_presets, read_tokens};
pub use vendor_api::VendorApi;
