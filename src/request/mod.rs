//! One request and its answer as values: what arrived, from whom, what may pass on,
//! and how a refusal looks. Pure.

pub(crate) mod address_text;
pub(crate) mod client;
pub(crate) mod code;
pub(crate) mod ext_authz;
pub(crate) mod forwarded;
pub(crate) mod headers;
pub(crate) mod hosts;
pub(crate) mod html_placeholder;
pub(crate) mod min_rate;
pub(crate) mod path;
pub(crate) mod question;
pub(crate) mod readings;
pub(crate) mod recorded;
pub(crate) mod refusal;
mod rule_index;
pub(crate) mod rules;
pub(crate) mod trace;
mod untrusted;
pub(crate) mod view;
