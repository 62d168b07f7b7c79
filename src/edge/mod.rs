//! The edge, before the first request of a connection: settings of the listeners, the
//! parser of the PROXY protocol, and the count of open connections.
//!
//! Decided here without a socket at hand; `server` acts on it. A reload replaces the
//! settings for connections that come from then on.

mod certificate;
mod connection_limits;
pub(crate) mod proxy_header;
mod settings;
mod tls;
mod trusted;

pub(crate) use certificate::Certificate;
pub(crate) use connection_limits::{AddressPermit, ConnectionCounts, ConnectionPermit};
pub(crate) use settings::{Edge, PerAddress};
pub(crate) use tls::{Alpn, ListenerTls};
pub(crate) use trusted::Trusted;
