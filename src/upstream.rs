//! Where the app listens: server addresses, how to reach them, whose turn it is.
//!
//! Names are resolved in the background (`resolve`), never on the request path;
//! the last good answer is kept when the resolver fails. The proxy framework is
//! not known here: `gateway.rs` turns a `Target` into a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::document::{At, FromNode, Table};

/// One `[upstream]` table.
pub struct Upstream {
    pub name: String,
    servers: Vec<Server>,
    next: AtomicUsize,
    pub timeouts: Timeouts,
    /// Sent as `Host` instead of the client's, if set.
    pub host: Option<HeaderValue>,
    /// Connection attempts after the first, each to the next server.
    pub retries: usize,
    pub verify: Verify,
}

/// Whether the app's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    Certificate,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub read: Duration,
    /// How long an idle connection is kept; shorter than the app keeps it, or a
    /// request may meet a connection being closed.
    pub idle: Duration,
}

struct Server {
    address: Address,
    resolved: ArcSwap<Vec<SocketAddr>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

/// Where to connect now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// With TLS, `server_name` is what the certificate must be for.
    Tcp {
        address: SocketAddr,
        server_name: Option<String>,
    },
    Unix(PathBuf),
}

impl Upstream {
    pub fn read(name: &str, table: &mut Table<'_>) -> Option<Self> {
        let hint = r#"servers = ["http://127.0.0.1:3000"]"#;
        let servers = table.need::<Vec<Address>>("servers", hint);
        if servers.as_ref().is_some_and(Vec::is_empty) {
            table.at().problem(format!("`servers` is empty; write {hint}"));
        }
        let timeouts = Timeouts {
            connect: table.get("connect_timeout").unwrap_or(Duration::from_secs(2)),
            read: table.get("read_timeout").unwrap_or(Duration::from_secs(60)),
            idle: table.get("idle_timeout").unwrap_or(Duration::from_secs(4)),
        };
        let host = table.take("host").and_then(|at| read_host(&at));
        let retries = table.get::<usize>("retries").unwrap_or(1);
        if let Some(balance) = table.take("balance")
            && balance.text(r#""round_robin""#).is_some_and(|text| text != "round_robin")
        {
            balance.wrong(r#""round_robin""#);
        }
        let verify = table.take("tls").and_then(|at| at.table()).map(|mut tls| {
            let verify = tls.get::<bool>("verify").unwrap_or(true);
            tls.finish();
            if verify { Verify::Certificate } else { Verify::Nothing }
        });
        Some(Self {
            name: name.to_owned(),
            servers: servers?.into_iter().map(Server::new).collect(),
            next: AtomicUsize::new(0),
            timeouts,
            host,
            retries,
            verify: verify.unwrap_or(Verify::Certificate),
        })
    }

    /// The next server in turn, and its next address; `None` while no name has
    /// been resolved.
    pub fn next(&self) -> Option<Target> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.servers.len();
        (0..count).find_map(|step| self.servers.get((turn + step) % count)?.target(turn / count))
    }

    /// Resolves every name; blocking, for a thread that may block. Returns the
    /// hosts that could not be resolved.
    pub fn resolve(&self) -> Vec<String> {
        self.servers.iter().filter_map(Server::resolve).collect()
    }

    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.servers.iter().map(|server| &server.address)
    }

    /// Whether any server is a name, which needs resolving from time to time.
    pub fn has_names(&self) -> bool {
        self.servers.iter().any(|server| match &server.address {
            Address::Tcp { host, .. } => host.parse::<IpAddr>().is_err(),
            Address::Unix(_) => false,
        })
    }
}

impl Server {
    fn new(address: Address) -> Self {
        let resolved = match &address {
            Address::Tcp { host, port, .. } => {
                host.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, *port)).into_iter().collect()
            }
            Address::Unix(_) => Vec::new(),
        };
        Self { address, resolved: ArcSwap::new(Arc::new(resolved)) }
    }

    fn target(&self, turn: usize) -> Option<Target> {
        match &self.address {
            Address::Tcp { host, tls, .. } => {
                let resolved = self.resolved.load();
                let address = *resolved.get(turn % resolved.len().max(1))?;
                Some(Target::Tcp { address, server_name: tls.then(|| host.clone()) })
            }
            Address::Unix(path) => Some(Target::Unix(path.clone())),
        }
    }

    fn resolve(&self) -> Option<String> {
        use std::net::ToSocketAddrs as _;
        let Address::Tcp { host, port, .. } = &self.address else { return None };
        if host.parse::<IpAddr>().is_ok() {
            return None;
        }
        match (host.as_str(), *port).to_socket_addrs() {
            Ok(addresses) => {
                let addresses: Vec<_> = addresses.collect();
                if addresses.is_empty() {
                    return Some(host.clone());
                }
                self.resolved.store(Arc::new(addresses));
                None
            }
            Err(_) => Some(host.clone()),
        }
    }
}

fn read_host(at: &At<'_>) -> Option<HeaderValue> {
    const EXPECTED: &str = r#""preserve" or a host name"#;
    match at.text(EXPECTED)? {
        "preserve" => None,
        host if crate::client::is_host(host.as_bytes()) => HeaderValue::from_str(host).ok(),
        _ => {
            at.wrong(EXPECTED);
            None
        }
    }
}

/// As it is written in the settings.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "https" } else { "http" };
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                write!(f, "{scheme}://{host}:{port}")
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromNode for Address {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"an address such as "http://127.0.0.1:3000", "https://app.internal" or "unix:/run/app.sock""#;
        let text = at.text(EXPECTED)?;
        let address = parse(text);
        if address.is_none() {
            at.wrong(EXPECTED);
        }
        address
    }
}

fn parse(text: &str) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        return path.starts_with('/').then(|| Address::Unix(PathBuf::from(path)));
    }
    let (tls, rest) = match text.split_once("://")? {
        ("http", rest) => (false, rest),
        ("https", rest) => (true, rest),
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if !crate::client::is_host(authority.as_bytes()) {
        return None;
    }
    let authority: http::uri::Authority = authority.parse().ok()?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Some(Address::Tcp { host, port, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, tls: bool) -> Option<Address> {
        Some(Address::Tcp { host: host.to_owned(), port, tls })
    }

    #[test]
    fn addresses_are_urls_without_a_path_or_unix_sockets() {
        assert_eq!(parse("http://127.0.0.1:3000"), tcp("127.0.0.1", 3000, false));
        assert_eq!(parse("https://app.internal/"), tcp("app.internal", 443, true));
        assert_eq!(parse("http://[::1]:8080"), tcp("::1", 8080, false));
        assert_eq!(parse("unix:/run/app.sock"), Some(Address::Unix("/run/app.sock".into())));
        for text in [
            "127.0.0.1:3000",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://u@a",
            "unix:rel",
            "http://a:x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn servers_take_turns() {
        let servers = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
            .map(|text| Server::new(parse(text).unwrap()));
        let upstream = Upstream {
            name: "app".into(),
            servers: servers.into(),
            next: AtomicUsize::new(0),
            timeouts: Timeouts {
                connect: Duration::ZERO,
                read: Duration::ZERO,
                idle: Duration::ZERO,
            },
            host: None,
            retries: 1,
            verify: Verify::Certificate,
        };
        let port = || match upstream.next() {
            Some(Target::Tcp { address, .. }) => address.port(),
            other => panic!("{other:?}"),
        };
        assert_eq!([port(), port(), port(), port()], [1, 2, 1, 2]);
    }
}
