//! Trusted peers: networks, and `"unix"` for unix-socket peers.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::document::{At, FromNode};

/// `trusted_proxies` and `proxy_protocol`: networks, and `"unix"` for unix-socket
/// peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    networks: Vec<IpNet>,
    unix: bool,
}

impl Trusted {
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, unix: false }
    }

    /// Every process on this machine: its loopback addresses and its Unix sockets.
    pub(crate) fn this_machine() -> Self {
        let loopback = [([127, 0, 0, 0], 8)].map(|(net, bits)| IpNet::new(IpAddr::from(net), bits));
        let v6 = IpNet::new(IpAddr::from(std::net::Ipv6Addr::LOCALHOST), 128);
        Self { networks: loopback.into_iter().chain([v6]).flatten().collect(), unix: true }
    }

    /// Whether no peer is trusted.
    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether the other end of a connection is one of these; `None` is a unix
    /// socket.
    pub fn trusts_peer(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |address| self.trusts(address.to_canonical()))
    }
}

impl FromNode for Trusted {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"an address, a network such as "10.0.0.0/8", or "unix""#;
        let mut trusted = Self::default();
        let mut sound = true;
        for item in at.items() {
            match item.text(EXPECTED) {
                Some("unix") => trusted.unix = true,
                Some(text) => {
                    let network = text.parse::<IpNet>().ok();
                    match network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)) {
                        Some(network) => trusted.networks.push(network),
                        None => {
                            item.wrong(EXPECTED);
                            sound = false;
                        }
                    }
                }
                None => sound = false,
            }
        }
        sound.then_some(trusted)
    }
}
