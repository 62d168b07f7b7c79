//! What `[upstream]` says beside the servers: timeouts, balance, health, TLS.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::document::{At, FromNode, Table, Wait};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub read: Duration,
    /// How long an idle connection is kept; shorter than the app keeps it, or a
    /// request may meet a connection being closed.
    pub idle: Duration,
}

impl Timeouts {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
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

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    LeastConnections,
    RoundRobin,
}

impl FromNode for Balance {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""round_robin" or "least_connections""#;
        match at.text(EXPECTED)? {
            "least_connections" => Some(Self::LeastConnections),
            "round_robin" => Some(Self::RoundRobin),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}

/// How servers are asked whether they are well.
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

/// How `https://` servers are made sure of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Who may have signed the certificate, in DER; empty means the system's
    /// authorities.
    pub ca: Vec<Vec<u8>>,
    /// The name asked for and expected, if not the server's own.
    pub sni: Option<String>,
    pub verify: Verify,
}

impl Default for Tls {
    fn default() -> Self {
        Self { ca: Vec::new(), sni: None, verify: Verify::Certificate }
    }
}

impl FromNode for Tls {
    fn read(at: &At<'_>) -> Option<Self> {
        let mut table = at.table()?;
        let ca = table.take("ca").and_then(|at| read_ca(&at)).unwrap_or_default();
        let sni = table.take("sni").and_then(|at| read_sni(&at));
        let verify = match table.get::<bool>("verify") {
            Some(false) => Verify::Nothing,
            Some(true) | None => Verify::Certificate,
        };
        if verify == Verify::Nothing && !ca.is_empty() {
            at.problem("`ca` says who to trust, but verify = false trusts anybody; remove one");
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

/// The certificates of a PEM file, each of which can be parsed.
fn read_ca(at: &At<'_>) -> Option<Vec<Vec<u8>>> {
    let secret = at.secret()?;
    let certificates = secret.text().and_then(certificates).filter(|found| !found.is_empty());
    if certificates.is_none() {
        at.problem("found no certificates, expected a PEM file: ca = \"file:/etc/ssl/app-ca.pem\"");
    }
    certificates
}

fn certificates(pem: &str) -> Option<Vec<Vec<u8>>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let each = pem.split(BEGIN).skip(1).map(|rest| {
        let (body, _) = rest.split_once(END)?;
        let packed: String = body.split_whitespace().collect();
        let der = STANDARD.decode(packed).ok()?;
        x509_parser::parse_x509_certificate(&der).ok().filter(|(rest, _)| rest.is_empty())?;
        Some(der)
    });
    each.collect()
}
