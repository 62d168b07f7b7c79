//! The gateway's own HTTP requests to other servers: published keys, the app's own
//! session check, token issuers. `redis` connects to Redis.

mod client;
mod http2;
pub(crate) mod redis;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use crate::base::url::Url;
pub(crate) use client::{Answer, Call, LongBody, Outbound, OutboundError};
pub(crate) use http2::send_http2;
