//! The gateway's own HTTP requests to other servers: published keys, the app's own
//! session check, token issuers.

mod client;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use crate::base::url::Url;
pub(crate) use client::{Answer, Call, Outbound, OutboundError};
