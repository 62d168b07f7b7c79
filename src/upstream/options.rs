//! The options of `[upstream]`: timeouts, balance, health, TLS.

use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::base::pem;
use crate::document::{At, FromNode, Table, Wait};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub read: Duration,
    /// Time for which an idle connection is kept; must be shorter than the app keeps it, or
    /// a request may meet a connection being closed.
    pub idle: Duration,
}

impl Timeouts {
    pub(super) fn from_table(table: &mut Table<'_>) -> Self {
        Self {
            connect: wait(table, "connect_timeout").unwrap_or(Duration::from_secs(2)),
            read: wait(table, "read_timeout").unwrap_or(Duration::from_secs(60)),
            idle: table.get("idle_timeout").unwrap_or(Duration::from_secs(4)),
        }
    }
}

fn wait(table: &mut Table<'_>, key: &'static str) -> Option<Duration> {
    table.get::<Wait>(key).map(|wait| wait.0)
}

/// How requests are spread over the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balance {
    LeastConnections,
    RoundRobin,
}

impl FromNode for Balance {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[
            ("round_robin", Self::RoundRobin),
            ("least_connections", Self::LeastConnections),
        ])
    }
}

/// Requests an endpoint may answer at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestsAtOnce(pub(super) usize);

/// Health probes of the servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub path: String,
    pub every: Duration,
    pub timeout: Duration,
    /// Probes in a row that change the verdict.
    pub unhealthy_after: u32,
    pub healthy_after: u32,
}

impl FromNode for Health {
    fn read(at: &At<'_>) -> Option<Self> {
        const PATH: &str = r#"a path of the app such as "/healthz""#;
        let mut table = at.table()?;
        let path = table.take_needed("path", r#"path = "/healthz""#).and_then(|at| {
            let path = at.text(PATH)?;
            let is_path = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
            if !is_path || path.contains('#') {
                at.wrong(PATH);
                return None;
            }
            Some(path.to_owned())
        });
        let every = table.get("every").unwrap_or(Duration::from_secs(5));
        let timeout = table.get("timeout").unwrap_or_else(|| every.min(Duration::from_secs(2)));
        let unhealthy_after = count(&mut table, "unhealthy_after", 3);
        let healthy_after = count(&mut table, "healthy_after", 2);
        if every.is_zero() || timeout.is_zero() || timeout > every {
            at.problem("`timeout` must be above zero and no longer than `every`");
        }
        table.finish();
        Some(Self { path: path?, every, timeout, unhealthy_after, healthy_after })
    }
}

fn count(table: &mut Table<'_>, key: &'static str, default: u32) -> u32 {
    let Some(at) = table.take(key) else { return default };
    let count = u64::read(&at).unwrap_or(1);
    if count == 0 {
        at.wrong("1 or more");
    }
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether the app's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    Certificate,
    Nothing,
}

/// How `https://` servers are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The authorities that may have signed the certificate, in DER; empty means those
    /// of the system.
    pub ca: Vec<Vec<u8>>,
    /// The name asked for and expected, if not the server's own.
    pub sni: Option<String>,
    pub verify: Verify,
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self { ca: Vec::new(), sni: None, verify: Verify::Certificate }
    }
}

impl FromNode for UpstreamTls {
    fn read(at: &At<'_>) -> Option<Self> {
        let mut table = at.table()?;
        let ca = table.take("ca").and_then(|at| read_ca(&at)).unwrap_or_default();
        let sni = table.take("sni").and_then(|at| read_sni(&at));
        let verify = match table.get::<bool>("verify") {
            Some(false) => Verify::Nothing,
            Some(true) | None => Verify::Certificate,
        };
        if verify == Verify::Nothing && !ca.is_empty() {
            at.problem("`ca` names the authorities to trust, but verify = false trusts every certificate; remove one");
        }
        table.finish();
        Some(Self { ca, sni, verify })
    }
}

fn read_sni(at: &At<'_>) -> Option<String> {
    const EXPECTED: &str = r#"a host name such as "app.internal""#;
    let name = at.text(EXPECTED)?;
    if name.contains([':', '[']) || !crate::base::host::is_host(name.as_bytes()) {
        at.wrong(EXPECTED);
        return None;
    }
    Some(name.to_owned())
}

/// The certificates of a PEM file, in DER, each of which can be parsed.
fn read_ca(at: &At<'_>) -> Option<Vec<Vec<u8>>> {
    let secret = at.secret()?;
    let found = pem::certificates(secret.bytes()).unwrap_or_default();
    let is_sound = |der: &CertificateDer<'_>| {
        x509_parser::parse_x509_certificate(der).is_ok_and(|(rest, _)| rest.is_empty())
    };
    if found.is_empty() || !found.iter().all(is_sound) {
        at.problem("found no certificates, expected a PEM file: ca = \"file:/etc/ssl/app-ca.pem\"");
        return None;
    }
    Some(found.iter().map(|der| der.to_vec()).collect())
}
