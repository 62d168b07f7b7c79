//! `[server]`: listeners, and what a connection may cost.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::Trusted;
use crate::document::{At, FromNode, OneOrMany};
use crate::units;

pub(super) const MAX_HEADER: usize = 32 * 1024;

/// Settings of the process. A change needs a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub listen: Vec<Listen>,
    /// Health, readiness and metrics; `None` is off.
    pub admin: Option<Listen>,
    /// Worker threads; zero is one per core.
    pub threads: usize,
    /// HTTP/2 with prior knowledge beside HTTP/1.1 on the same port.
    pub http2: bool,
    /// Octets a request's head may take.
    pub max_header: usize,
    /// Until the whole head of a request has arrived.
    pub header_timeout: Duration,
    /// How long an idle client connection is kept.
    pub idle_timeout: Duration,
    pub max_connections: usize,
    /// After SIGTERM: not ready, but still serving.
    pub lame_duck: Duration,
    /// After that: how long requests in flight may take.
    pub drain: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Server {
    pub(super) fn read(at: Option<At<'_>>, trusted: &mut Trusted) -> Option<Self> {
        let mut server = Self::default();
        let Some(at) = at else { return Some(server) };
        let mut table = at.table()?;
        if let Some(OneOrMany(listen)) = table.get("listen") {
            server.listen = listen;
        }
        if let Some(admin) = table.take("admin") {
            server.admin = read_admin(&admin);
        }
        if let Some(networks) = table.get("trusted_proxies") {
            *trusted = networks;
        }
        set(&mut server.threads, table.get("threads"));
        set(&mut server.http2, table.get("http2"));
        set(&mut server.max_header, table.get::<Size>("max_header").map(|size| size.0));
        set(&mut server.header_timeout, table.get("header_timeout"));
        set(&mut server.idle_timeout, table.get("idle_timeout"));
        set(&mut server.max_connections, table.get("max_connections"));
        set(&mut server.lame_duck, table.get("lame_duck"));
        set(&mut server.drain, table.get("drain"));
        if server.max_header > 256 * 1024 {
            at.problem("`max_header` is above 256KiB, more than any browser sends");
        }
        table.finish();
        Some(server)
    }
}

fn set<T>(setting: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *setting = written;
    }
}

fn read_admin(at: &At<'_>) -> Option<Listen> {
    match at.node.value {
        crate::document::Value::Boolean(false) => None,
        _ => Listen::read(at),
    }
}

impl Default for Server {
    fn default() -> Self {
        let local = |port| Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], port)));
        Self {
            listen: vec![local(8080)],
            admin: Some(local(9090)),
            threads: 0,
            http2: true,
            max_header: MAX_HEADER,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_connections: 16_384,
            lame_duck: Duration::ZERO,
            drain: Duration::from_secs(30),
        }
    }
}

struct Size(usize);

impl FromNode for Size {
    fn read(at: &At<'_>) -> Option<Self> {
        let text = at.text(r#"a size such as "32KiB""#)?;
        units::size(text).map_err(|expected| at.wrong(expected)).ok().map(Self)
    }
}

impl FromNode for Listen {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str =
            r#"an address such as "127.0.0.1:8080", "[::]:80" or "unix:/run/portcullis.sock""#;
        let text = at.text(EXPECTED)?;
        let listen = match text.strip_prefix("unix:") {
            Some(path) => path.starts_with('/').then(|| Self::Unix(PathBuf::from(path))),
            None => text.parse().ok().map(Self::Tcp),
        };
        if listen.is_none() {
            at.wrong(EXPECTED);
        }
        listen
    }
}
