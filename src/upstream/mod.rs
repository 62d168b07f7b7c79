//! Where the app listens: its servers, how they are doing, whose turn it is.
//!
//! A server is an address of the settings; an endpoint is a place to connect to.
//! A name that resolves to several addresses makes several endpoints. Names are
//! resolved in the background, never on the request path, and the last good
//! answer is kept when the resolver fails. The proxy framework is not known here.

mod address;
mod endpoint;
mod settings;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use http::HeaderValue;

use crate::base::clock::Now;
use crate::document::{At, FromNode, Table};

pub use address::Address;
pub use endpoint::{Endpoint, InUse, Outcome, State, Target};
pub use settings::{Balance, Health, Timeouts, Tls, Verify};

/// One `[upstream]` table.
pub struct Upstream {
    pub name: String,
    /// Hosts that are served by it; others go to the default upstream.
    pub hosts: Vec<Host>,
    servers: Vec<Arc<Address>>,
    /// Replaced as a whole when names resolve to something new.
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    turn: AtomicUsize,
    balance: Balance,
    limit: Limit,
    pub timeouts: Timeouts,
    /// Sent as `Host` instead of the client's, if set.
    pub host: Option<HeaderValue>,
    /// Connection attempts after the first, each to the next server.
    pub retries: usize,
    pub health: Option<Health>,
    pub tls: Tls,
    pub version: Version,
    /// What the shell has made of these settings, kept with them.
    pub derived: OnceLock<Arc<dyn Any + Send + Sync>>,
}

/// What is spoken with the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

/// Requests an endpoint may answer at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(usize);

/// A host name to be compared with: lower case, without port and final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

/// Why a request cannot be sent anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Every server that is well has as many requests as it may have.
    Full,
    /// No name has been resolved.
    Unresolved,
}

impl Upstream {
    pub fn read(name: &str, table: &mut Table<'_>) -> Option<Self> {
        let hint = r#"servers = ["http://127.0.0.1:3000"]"#;
        let servers = table.need::<Vec<Address>>("servers", hint);
        if servers.as_ref().is_some_and(Vec::is_empty) {
            table.at().problem(format!("`servers` is empty; write {hint}"));
        }
        let hosts = table.take("hosts");
        if let (true, Some(at)) = (name.is_empty(), &hosts) {
            at.problem("the only upstream serves every host; `hosts` needs [upstream.NAME] tables");
        }
        let tls = table.take("tls");
        if let (Some(servers), Some(at)) = (&servers, &tls)
            && !servers.iter().any(Address::is_tls)
        {
            at.problem("`tls` is about https:// servers, but there are none");
        }
        let limit = table.take("max_connections").and_then(|at| {
            let limit = usize::read(&at)?;
            if limit == 0 {
                at.wrong("1 or more");
            }
            Some(Limit(limit))
        });
        let http2 = table.get::<bool>("http2").unwrap_or(false);
        let upstream = Self {
            name: name.to_owned(),
            hosts: hosts.and_then(|at| at.read()).unwrap_or_default(),
            servers: servers.unwrap_or_default().into_iter().map(Arc::new).collect(),
            endpoints: ArcSwap::default(),
            turn: AtomicUsize::new(0),
            balance: table.get("balance").unwrap_or(Balance::RoundRobin),
            limit: limit.unwrap_or(Limit(usize::MAX)),
            timeouts: Timeouts::read(table),
            host: table.take("host").and_then(|at| read_host(&at)),
            retries: table.get("retries").unwrap_or(1),
            health: table.get("health"),
            tls: tls.and_then(|at| at.read()).unwrap_or_default(),
            version: if http2 { Version::Http2 } else { Version::Http1 },
            derived: OnceLock::new(),
        };
        upstream.arrange(&[], |_| Vec::new());
        (!upstream.servers.is_empty()).then_some(upstream)
    }

    /// A place at the endpoint whose turn it is. Endpoints that are out are
    /// passed over; if all are, all take part, because a wrong probe or a short
    /// outage must not take the whole site down.
    pub fn acquire(&self, now: Now) -> Result<InUse, Unreachable> {
        let endpoints = self.endpoints.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let is_up = |endpoint: &&Arc<Endpoint>| endpoint.state(now) == State::Up;
        let in_turn = || {
            let (before, after) = endpoints.split_at(turn % endpoints.len().max(1));
            after.iter().chain(before)
        };
        if endpoints.is_empty() {
            return Err(Unreachable::Unresolved);
        }
        if self.balance == Balance::LeastConnections
            && let Some(idlest) = in_turn().filter(is_up).min_by_key(|endpoint| endpoint.in_use())
            && let Some(place) = idlest.enter(self.limit, now)
        {
            return Ok(place);
        }
        if let Some(place) = in_turn().filter(is_up).find_map(|e| e.enter(self.limit, now)) {
            return Ok(place);
        }
        // Looked at again: whoever tries an endpoint takes it out for the others.
        if in_turn().any(|endpoint| is_up(&endpoint)) {
            return Err(Unreachable::Full);
        }
        in_turn().find_map(|e| e.enter_anyway(self.limit)).ok_or(Unreachable::Full)
    }

    /// Every place there is now.
    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// What keeps every request from being answered, if anything does.
    pub fn problem(&self, now: Now) -> Option<&'static str> {
        let endpoints = self.endpoints.load();
        if endpoints.is_empty() {
            return Some("has no address");
        }
        endpoints.iter().all(|e| e.state(now) != State::Up).then_some("has no healthy server")
    }

    /// Resolves every name; blocking, for a thread that may block. Returns the
    /// hosts that could not be resolved.
    pub fn resolve(&self) -> Vec<String> {
        let mut failed = Vec::new();
        let known = self.endpoints();
        self.arrange(&known, |name| {
            let found: Vec<_> = name.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
            if found.is_empty() {
                failed.push(name.0.to_owned());
            }
            found
        });
        failed
    }

    /// Takes over what was known about endpoints that stay, and the addresses of
    /// names that are not resolved yet.
    pub fn inherit(&self, before: &Self) {
        let known = before.endpoints();
        let now_known = self.endpoints();
        self.arrange(&known, |name| {
            let of_name = now_known.iter().filter(|endpoint| endpoint.server.name() == Some(name));
            of_name.filter_map(|endpoint| endpoint.address()).collect()
        });
        if self.health.is_none() {
            self.endpoints().iter().for_each(|endpoint| endpoint.forget_probes());
        }
    }

    /// Lists the endpoints of all servers, keeping those that are `known`. A name
    /// for which nothing is found keeps what was known of it.
    fn arrange(
        &self,
        known: &[Arc<Endpoint>],
        mut find: impl FnMut((&str, u16)) -> Vec<SocketAddr>,
    ) {
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
        for server in &self.servers {
            let of_server = |endpoint: &&Arc<Endpoint>| endpoint.server == *server;
            let mut targets = match server.name() {
                Some(name) => self.targets(server, find(name)),
                None => self.fixed_target(server).into_iter().collect(),
            };
            if targets.is_empty() {
                let before = known.iter().filter(of_server);
                let before = before.filter_map(|endpoint| endpoint.address()).collect();
                targets = self.targets(server, before);
            }
            endpoints.extend(targets.into_iter().map(|target| {
                let before = known.iter().filter(of_server).find(|e| e.target == target);
                let new = || Arc::new(Endpoint::new(server.clone(), target.clone()));
                before.cloned().unwrap_or_else(new)
            }));
        }
        self.endpoints.store(Arc::new(endpoints));
    }

    fn fixed_target(&self, server: &Address) -> Option<Target> {
        match server {
            Address::Tcp { host, port, .. } => {
                let address = SocketAddr::new(host.parse::<IpAddr>().ok()?, *port);
                self.targets(server, vec![address]).pop()
            }
            Address::Unix(path) => Some(Target::Unix(path.clone())),
        }
    }

    /// Sorted, because resolvers shuffle their answers.
    fn targets(&self, server: &Address, mut addresses: Vec<SocketAddr>) -> Vec<Target> {
        let Address::Tcp { host, tls, .. } = server else { return Vec::new() };
        addresses.sort();
        addresses.dedup();
        let server_name = tls.then(|| self.tls.sni.clone().unwrap_or_else(|| host.clone()));
        let target = |address| Target::Tcp { address, server_name: server_name.clone() };
        addresses.into_iter().map(target).collect()
    }

    pub fn servers(&self) -> &[Arc<Address>] {
        &self.servers
    }

    /// As tables are called in messages.
    pub fn label(&self) -> String {
        match self.name.as_str() {
            "" => "upstream".to_owned(),
            name => format!("upstream.{name}"),
        }
    }
}

impl Endpoint {
    fn address(&self) -> Option<SocketAddr> {
        match &self.target {
            Target::Tcp { address, .. } => Some(*address),
            Target::Unix(_) => None,
        }
    }
}

impl Host {
    /// Whether a request's `Host` means this one: whatever its case, with or
    /// without a port or the final dot of a full name.
    pub fn is(&self, host: &str) -> bool {
        bare(host).eq_ignore_ascii_case(&self.0)
    }
}

impl FromNode for Host {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a host name without a port, such as "app.example.com""#;
        let text = at.text(EXPECTED)?;
        let name = bare(text);
        let fits = crate::base::host::is_host(text.as_bytes()) && !name.is_empty();
        if !fits || text.len() - name.len() > 1 {
            at.wrong(EXPECTED);
            return None;
        }
        Some(Self(name.to_ascii_lowercase()))
    }
}

/// A host without its port and without the dot that ends a full name.
fn bare(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

fn read_host(at: &At<'_>) -> Option<HeaderValue> {
    const EXPECTED: &str = r#""preserve" or a host name"#;
    match at.text(EXPECTED)? {
        "preserve" => None,
        host if crate::base::host::is_host(host.as_bytes()) => HeaderValue::from_str(host).ok(),
        _ => {
            at.wrong(EXPECTED);
            None
        }
    }
}
