//! The settings of the listeners that may change while they listen, and what they
//! decide about a connection.

use std::net::IpAddr;

use super::tls::Tls;
use super::trusted::Trusted;

/// The settings of the listeners that may change while they listen.
#[derive(Clone, Debug)]
pub struct Edge {
    pub tls: Option<Tls>,
    /// Who must begin connections with a PROXY protocol header. Nobody else may.
    pub senders: Trusted,
    /// `trusted_proxies`: many clients come over each of them.
    pub proxies: Trusted,
    pub max_connections: usize,
    pub per_address: PerAddress,
}

/// How many connections one address may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerAddress {
    /// `DEFAULT_PER_ADDRESS`, and none for the machine itself, where a proxy may
    /// run that nobody has told us about.
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
            max_connections: 16_384,
            per_address: PerAddress::Default,
        }
    }
}

impl Edge {
    /// How many connections this address may hold; `None` is any number.
    pub fn places_for(&self, address: IpAddr) -> Option<usize> {
        if self.proxies.trusts_peer(Some(address)) {
            return None;
        }
        match self.per_address {
            PerAddress::Default => {
                (!address.to_canonical().is_loopback()).then_some(DEFAULT_PER_ADDRESS)
            }
            PerAddress::Written(limit) => Some(limit),
        }
    }

    /// Where a request over plain HTTP is sent instead; `None` if the host is none
    /// of those the certificates are for, because whoever writes that header would
    /// then decide where people end up.
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
