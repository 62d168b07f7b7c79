//! Where the app listens: its servers, how they are doing, whose turn it is.
//!
//! A server is an address of the settings; an endpoint is a place to connect to. A
//! name that resolves to several addresses makes several endpoints. The proxy
//! framework is not known here.

mod address;
mod endpoint;
mod host;
mod options;
mod pool;
mod prefixes;
mod settings;
mod upgrades;
#[cfg(test)]
mod tests;

pub(crate) use address::Address;
pub(crate) use endpoint::{Endpoint, EndpointState, InUse, ProbeResult, Target};
pub(crate) use host::Host;
pub(crate) use options::{Health, Verify};
pub(crate) use pool::{Pools, Unreachable};
pub(crate) use prefixes::Prefixes;
pub(crate) use settings::{Upstream, Version};
