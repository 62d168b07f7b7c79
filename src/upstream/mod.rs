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
mod settings;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use endpoint::{Endpoint, EndpointState, InUse, ProbeResult, Target};
pub use host::Host;
pub use options::{Balance, Health, Timeouts, Tls, Verify};
pub use pool::{Pool, Pools, Unreachable};
pub use settings::{Upstream, Version};
