//! The settings of the listeners that may change while they listen, and what they
//! decide about a connection.

use std::net::IpAddr;

use super::tls::ListenerTls;
use super::trusted::Trusted;
use crate::base::secret::Secret;

/// The settings of the listeners that may change while they listen.
#[derive(Clone, Debug)]
pub struct Edge {
    pub tls: Option<ListenerTls>,
    /// Peers that must begin connections with a PROXY protocol header; no others may.
    pub senders: Trusted,
    /// `trusted_proxies`: many clients come over each of them.
    pub proxies: Trusted,
    /// `auth.trusted`: the proxies that ask about requests, over many connections.
    pub fronts: Trusted,
    pub max_connections: usize,
    pub per_address: PerAddress,
    /// Changes over the admin listener need one of them, except over a Unix socket.
    pub admin_tokens: Vec<Secret>,
}

/// Most connections one address may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerAddress {
    /// `DEFAULT_PER_ADDRESS`; unlimited for the machine itself, where a proxy may run
    /// that the settings do not name.
    Default,
    Written(usize),
}

const DEFAULT_PER_ADDRESS: usize = 1024;

impl Default for Edge {
    fn default() -> Self {
        Self {
            tls: None,
            senders: Trusted::default(),
            proxies: Trusted::default(),
            fronts: Trusted::default(),
            max_connections: 16_384,
            per_address: PerAddress::Default,
            admin_tokens: Vec::new(),
        }
    }
}

impl Edge {
    /// Most connections this address may hold; `None` is unlimited.
    pub fn places_for(&self, address: IpAddr) -> Option<usize> {
        if [&self.proxies, &self.fronts].iter().any(|known| known.trusts_peer(Some(address))) {
            return None;
        }
        match self.per_address {
            PerAddress::Default => {
                (!address.to_canonical().is_loopback()).then_some(DEFAULT_PER_ADDRESS)
            }
            PerAddress::Written(limit) => Some(limit),
        }
    }

    /// The HTTPS address of a request over plain HTTP; `None` if no certificate covers
    /// the host, because the author of that header would then decide where people end
    /// up.
    pub fn https(&self, host: &str, port: u16, target: &str) -> Option<String> {
        let name = host.split(':').next().unwrap_or_default();
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if !self.tls.as_ref()?.names(&name) || !target.starts_with('/') {
            return None;
        }
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        Some(format!("https://{name}{port}{target}"))
    }
}
