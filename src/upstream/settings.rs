//! One `[upstream]` table: the app's servers, and how to treat them.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::address::Address;
use super::host::{Host, read_host};
use super::options::{Balance, Health, RequestsAtOnce, Timeouts, UpstreamTls};
use super::prefixes::Prefixes;
use super::upgrades::Upgrades;
use crate::base::digest::{Digest, Digester};
use crate::document::{FromNode as _, OneOrMany, Table};

/// One `[upstream]` table. What its servers are doing is in its `Pool`.
pub struct Upstream {
    pub name: String,
    /// Hosts that are served by it; others go to the default upstream.
    pub hosts: Vec<Host>,
    pub(super) servers: Vec<Arc<Address>>,
    pub(super) balance: Balance,
    pub(super) limit: RequestsAtOnce,
    pub timeouts: Timeouts,
    /// Sent as `Host` instead of the client's, if set.
    pub host: Option<HeaderValue>,
    /// Connection attempts after the first, each to the next server.
    pub retries: usize,
    pub health: Option<Health>,
    pub tls: UpstreamTls,
    pub version: Version,
    /// Protocols that a connection may be switched to.
    pub upgrades: Upgrades,
    /// Headers that would otherwise be taken out of requests.
    pub pass_headers: Vec<HeaderName>,
    pub(crate) prefixes: Prefixes,
    /// Identifies the settings that connections are made under: those made under others
    /// are not used.
    pub key: Digest,
}

/// The HTTP version spoken with the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    Http2,
}

impl Upstream {
    /// Reads the table; `None` means the problems were noted.
    pub fn from_table(name: &str, table: &mut Table<'_>) -> Option<Self> {
        let hint = r#"servers = ["http://127.0.0.1:3000"]"#;
        let servers = table.need::<OneOrMany<Address>>("servers", hint).map(|many| many.0);
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
            at.problem("`tls` applies to https:// servers, but none is listed");
        }
        let limit = table.take("max_connections").and_then(|at| {
            let limit = usize::read(&at)?;
            if limit == 0 {
                at.wrong("1 or more");
            }
            Some(RequestsAtOnce(limit))
        });
        let http2 = table.get::<bool>("http2").unwrap_or(false);
        let tls: UpstreamTls = tls.and_then(|at| at.read()).unwrap_or_default();
        let timeouts = Timeouts::from_table(table);
        let version = if http2 { Version::Http2 } else { Version::Http1 };
        let upstream = Self {
            name: name.to_owned(),
            hosts: hosts.and_then(|at| at.read()).unwrap_or_default(),
            servers: servers.unwrap_or_default().into_iter().map(Arc::new).collect(),
            balance: table.get("balance").unwrap_or(Balance::RoundRobin),
            limit: limit.unwrap_or(RequestsAtOnce(usize::MAX)),
            timeouts,
            host: table.take("host").and_then(|at| read_host(&at)),
            retries: table.get("retries").unwrap_or(1),
            health: table.get("health"),
            key: connection_key(&tls, version, timeouts),
            tls,
            version,
            upgrades: table.get("upgrades").unwrap_or_default(),
            pass_headers: Vec::new(),
            prefixes: Prefixes::from_table(table),
        };
        (!upstream.servers.is_empty()).then_some(upstream)
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

fn connection_key(tls: &UpstreamTls, version: Version, timeouts: Timeouts) -> Digest {
    let mut digester = Digester::default();
    digester.add(match version {
        Version::Http1 => b"1",
        Version::Http2 => b"2",
    });
    for timeout in [timeouts.connect, timeouts.read] {
        digester.add(&timeout.as_nanos().to_be_bytes());
    }
    tls.ca.iter().for_each(|certificate| digester.add_sized(certificate));
    digester.finish()
}
