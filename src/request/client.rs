//! The client's address and scheme, through proxies.
//!
//! Nothing that a client says about itself is believed. Forwarding headers count only
//! when the connection comes from `trusted_proxies`, and then they are read from
//! the right, hop by hop, up to the first address that is not trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::base::digest::{Kind, Mark};
use crate::edge::Trusted;
use crate::request::forwarded::{self, Element, ForwardedHost};
use http::header::HeaderMap;

/// The client as far as it could be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Absent on a unix socket without a trusted forwarding header.
    pub address: Option<IpAddr>,
    pub scheme: Scheme,
    /// The trusted hops behind the client, outermost first, for
    /// `X-Forwarded-For`.
    pub hops: Vec<IpAddr>,
    /// Whether the connection came from a trusted proxy.
    pub via_trusted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The scheme that a proxy reports. For a WebSocket some report `ws` or `wss`, which are
    /// HTTP until the handshake is over (RFC 6455 section 1.7).
    pub(super) fn reported(name: &str) -> Option<Self> {
        let is_any = |names: [&str; 2]| names.iter().any(|it| name.eq_ignore_ascii_case(it));
        if is_any(["https", "wss"]) {
            return Some(Self::Https);
        }
        is_any(["http", "ws"]).then_some(Self::Http)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Client {
    /// Reads the connection and, if its peer is trusted, the forwarding headers.
    pub fn new(
        peer: Option<SocketAddr>,
        scheme: Scheme,
        headers: &HeaderMap,
        trusted: &Trusted,
    ) -> Self {
        Self::told(peer, scheme, headers, trusted).0
    }

    /// As `new`, with the host that the outermost trusted proxy was asked for.
    pub(crate) fn told<'h>(
        peer: Option<SocketAddr>,
        scheme: Scheme,
        headers: &'h HeaderMap,
        trusted: &Trusted,
    ) -> (Self, ForwardedHost<'h>) {
        let peer = address_of(peer);
        let via_trusted = trusted.trusts_peer(peer);
        let mut client = Self { address: peer, scheme, hops: Vec::new(), via_trusted };
        if !via_trusted {
            return (client, ForwardedHost::default());
        }
        let seen = match forwarded::elements(headers) {
            Some(elements) => {
                let addresses = elements.iter().rev().map(Element::address);
                let depth = client.walk(addresses, trusted);
                forwarded::said(elements, depth)
            }
            None => {
                let depth = client.walk(forwarded::listed_addresses(headers), trusted);
                forwarded::listed(headers, depth)
            }
        };
        client.scheme = seen.proto.as_deref().and_then(Scheme::reported).unwrap_or(scheme);
        (client, seen.host)
    }

    /// The client of a request that a proxy asks about, as that proxy names it: it may
    /// ask, and passes on the client's statements. Its word on who is signed in counts
    /// only if it is one of the trusted `proxies` itself.
    pub(crate) fn asked_about(
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
        proxies: &Trusted,
    ) -> Self {
        let address = address_of(peer);
        let via_trusted = proxies.trusts_peer(address);
        let mut client = Self { address, scheme: Scheme::Http, hops: Vec::new(), via_trusted };
        let depth = client.walk(forwarded::listed_addresses(headers), proxies);
        let proto = forwarded::listed(headers, depth).proto;
        client.scheme = proto.as_deref().and_then(Scheme::reported).unwrap_or(client.scheme);
        client
    }

    /// Follows the addresses, nearest first, up to the first that is not trusted; returns
    /// how many trusted proxies the request has passed.
    fn walk<'a>(&mut self, addresses: impl Iterator<Item = &'a [u8]>, trusted: &Trusted) -> usize {
        let mut depth = 0;
        for entry in addresses {
            // Stop at a hop that is not an address.
            let Some(address) = parse_hop(entry) else { break };
            if let Some(hop) = self.address.replace(address) {
                self.hops.insert(0, hop);
            }
            depth += 1;
            if !trusted.trusts(address) {
                break;
            }
        }
        depth.max(1)
    }

    /// The key of anonymous limits: the address, IPv6 by its /64, because one subscriber
    /// holds at least that many.
    pub fn mark(&self) -> Mark {
        let name = match self.address {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => {
                let network = u128::from(address) & (u128::MAX << 64);
                format!("{}/64", Ipv6Addr::from(network))
            }
            None => "unix".to_owned(),
        };
        Mark::new(Kind::Address, &name)
    }
}

/// The other end of a connection; `None` is a Unix socket.
pub(crate) fn address_of(peer: Option<SocketAddr>) -> Option<IpAddr> {
    peer.map(|peer| canonical(peer.ip()))
}

/// `::ffff:10.0.0.1` is 10.0.0.1.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

pub(super) fn parse_hop(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| {
            text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        })?;
    Some(canonical(address))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(peer: &str, trusted: &[&str], forwarded: &[&str]) -> Client {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
        }
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        let trusted =
            Trusted::new(trusted.iter().map(|network| network.parse().unwrap()).collect());
        Client::new(
            Some(SocketAddr::new(peer.parse().unwrap(), 1)),
            Scheme::Http,
            &headers,
            &trusted,
        )
    }

    fn address(peer: &str, trusted: &[&str], forwarded: &[&str]) -> String {
        client(peer, trusted, forwarded).address.unwrap().to_string()
    }

    #[test]
    fn an_untrusted_peer_says_nothing_about_itself() {
        let client = client("203.0.113.9", &["10.0.0.0/8"], &["1.2.3.4"]);
        assert_eq!(client.address.unwrap().to_string(), "203.0.113.9");
        assert_eq!(client.scheme, Scheme::Http);
        assert!(client.hops.is_empty());
    }

    #[test]
    fn trusted_hops_are_walked_from_the_right() {
        let ten = ["10.0.0.0/8"];
        assert_eq!(address("10.0.0.1", &ten, &["6.6.6.6, 1.2.3.4, 10.0.0.2"]), "1.2.3.4");
        assert_eq!(address("10.0.0.1", &ten, &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
        assert_eq!(address("10.0.0.1", &ten, &["10.0.0.3"]), "10.0.0.3");
        assert_eq!(address("10.0.0.1", &ten, &[]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &ten, &["1.2.3.4, junk"]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &ten, &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &ten, &["1.2.3.4"]).scheme, Scheme::Https);
    }

    #[test]
    fn a_websocket_has_the_scheme_of_its_handshake_however_the_proxy_reports_it() {
        let trusted = Trusted::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let peer = Some(SocketAddr::new("10.0.0.1".parse().unwrap(), 1));
        for (name, expected) in [
            ("https", Some(Scheme::Https)),
            ("HTTPS", Some(Scheme::Https)),
            ("wss", Some(Scheme::Https)),
            ("Wss", Some(Scheme::Https)),
            ("http", Some(Scheme::Http)),
            ("ws", Some(Scheme::Http)),
            ("wsss", None),
            ("ftp", None),
            ("", None),
        ] {
            let fields = [
                ("x-forwarded-proto", name.to_owned()),
                ("forwarded", format!("for=1.2.3.4;proto=\"{name}\"")),
            ];
            for (field, value) in fields {
                let mut headers = HeaderMap::new();
                headers.insert(field, HeaderValue::from_str(&value).unwrap());
                for own in [Scheme::Http, Scheme::Https] {
                    let client = Client::new(peer, own, &headers, &trusted);
                    assert_eq!(client.scheme, expected.unwrap_or(own), "{field}: {value}");
                }
                if field == "x-forwarded-proto" {
                    let client = Client::asked_about(peer, &headers, &trusted);
                    assert_eq!(client.scheme, expected.unwrap_or(Scheme::Http), "{value}");
                }
            }
        }
    }

    #[test]
    fn mapped_addresses_are_the_addresses_they_map() {
        assert_eq!(address("::ffff:10.0.0.1", &["10.0.0.0/8"], &["::ffff:1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn anonymous_limits_count_ipv6_by_network() {
        let key = |peer| client(peer, &[], &[]).mark();
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
