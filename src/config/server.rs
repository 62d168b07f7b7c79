//! `[server]`: listeners, and what a connection may cost.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::units;
use crate::document::{At, FromNode, OneOrMany, Table, Wait};
use crate::edge::Trusted;
use crate::edge::{Alpn, Edge, PerAddress, Tls};
use crate::request::view::Limits;

/// Settings of the process. A change needs a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub listen: Vec<Listen>,
    /// Health, readiness and metrics; `None` is off.
    pub admin: Option<Listen>,
    /// Plain HTTP, answered with the way to HTTPS.
    pub redirect: Vec<Listen>,
    /// The port that way leads to; `None` is that of the first TLS listener.
    pub redirect_port: Option<u16>,
    /// Worker threads; zero is one per core.
    pub threads: usize,
    /// HTTP/2: offered over TLS, with prior knowledge beside HTTP/1.1 elsewhere.
    pub http2: bool,
    /// Requests one HTTP/2 connection may have open.
    pub max_streams: u32,
    /// Streams an HTTP/2 client may cancel before they were looked at.
    pub max_resets: usize,
    /// Octets a request's head may take.
    pub max_header: usize,
    /// Until the whole head of a request has arrived.
    pub header_timeout: Duration,
    /// How long an idle client connection is kept.
    pub idle_timeout: Duration,
    /// How often files are looked at for changes; `None` is never.
    pub watch: Option<Duration>,
    /// After SIGTERM: not ready, but still serving.
    pub lame_duck: Duration,
    /// After that: how long requests in flight may take.
    pub drain: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(PathBuf),
}

impl Server {
    /// The settings in which another one differs.
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        // Whole, so that a new setting cannot be forgotten here.
        let Self {
            listen,
            admin,
            redirect,
            redirect_port,
            threads,
            http2,
            max_streams,
            max_resets,
            max_header,
            header_timeout,
            idle_timeout,
            watch,
            lame_duck,
            drain,
        } = self;
        let all = [
            ("server.listen", *listen != other.listen),
            ("server.admin", *admin != other.admin),
            ("server.redirect", *redirect != other.redirect),
            ("server.redirect_port", *redirect_port != other.redirect_port),
            ("server.threads", *threads != other.threads),
            ("server.http2", *http2 != other.http2),
            ("server.max_streams", *max_streams != other.max_streams),
            ("server.max_resets", *max_resets != other.max_resets),
            ("server.max_header", *max_header != other.max_header),
            ("server.header_timeout", *header_timeout != other.header_timeout),
            ("server.idle_timeout", *idle_timeout != other.idle_timeout),
            ("server.watch", *watch != other.watch),
            ("server.lame_duck", *lame_duck != other.lame_duck),
            ("server.drain", *drain != other.drain),
        ];
        all.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
    }

    /// Reads the table: settings of the process, and those a reload may change.
    pub(super) fn read(
        at: Option<At<'_>>,
        trusted: &mut Trusted,
        limits: &mut Limits,
    ) -> Option<(Self, Edge)> {
        let mut server = Self::default();
        let Some(at) = at else { return Some((server, Edge::default())) };
        let mut table = at.table()?;
        set(&mut server.http2, table.get("http2"));
        let listen = table.take("listen");
        let tls_at = table.take("tls");
        let read = listen.as_ref().map(OneOrMany::<ListenText>::read);
        let client_ca = table.take("client_ca");
        if let (Some(client_ca), None) = (&client_ca, &tls_at) {
            client_ca
                .problem("clients show certificates to TLS listeners only; write `tls` as well");
        }
        let tls = tls_at.as_ref().map(|at| read_tls(at, client_ca.as_ref(), server.http2));
        if let Some(Some(OneOrMany(written))) = read {
            let default = if tls_at.is_some() { Protocol::Tls } else { Protocol::Plain };
            server.listen = written.into_iter().map(|written| written.listen(default)).collect();
        } else if tls_at.is_some() && listen.is_none() {
            at.problem("with `tls` there must be `listen` too; write listen = \"0.0.0.0:443\"");
        }
        server.read_redirect(&mut table);
        if let (Some(listen), None) = (&listen, &tls_at)
            && server.listen.iter().chain(&server.redirect).any(Listen::is_tls)
        {
            listen.problem("https:// needs `tls`; write tls = [{ cert = \"site.pem\", key = \"site-key.pem\" }]");
        }
        if let Some(tls_at) = &tls_at
            && !server.listen.iter().any(Listen::is_tls)
        {
            tls_at.problem("no address of `listen` speaks TLS; unix sockets and http:// do not");
        }
        if let Some(admin) = table.take("admin") {
            server.admin = read_admin(&admin);
        }
        if let Some(networks) = table.get("trusted_proxies") {
            *trusted = networks;
        }
        let edge = Edge {
            tls: tls.flatten(),
            senders: table.get("proxy_protocol").unwrap_or_default(),
            proxies: trusted.clone(),
            max_connections: positive(&mut table, "max_connections")
                .unwrap_or_else(|| Edge::default().max_connections),
            per_address: positive(&mut table, "max_connections_per_address")
                .map_or(PerAddress::Default, PerAddress::Written),
        };
        set(&mut server.threads, table.get("threads"));
        set(&mut server.max_header, table.get::<Size>("max_header").map(|size| size.0));
        set(&mut server.header_timeout, table.get::<Wait>("header_timeout").map(|wait| wait.0));
        set(&mut server.idle_timeout, table.get::<Wait>("idle_timeout").map(|wait| wait.0));
        set(&mut server.max_streams, positive(&mut table, "max_streams").map(saturated));
        set(&mut server.max_resets, table.get("max_resets"));
        set(&mut server.watch, table.take("watch").and_then(|at| read_watch(&at)));
        set(&mut server.lame_duck, table.get("lame_duck"));
        set(&mut server.drain, table.get("drain"));
        if !(1024..=256 * 1024).contains(&server.max_header) {
            at.problem("`max_header` is not between 1KiB, less than any browser sends, and 256KiB, more than any");
        }
        *limits = server.read_limits(&mut table);
        table.finish();
        Some((server, edge))
    }

    /// What one request may take.
    fn read_limits(&self, table: &mut Table<'_>) -> Limits {
        let mut limits = Limits {
            header: self.max_header,
            token_body_timeout: self.header_timeout,
            ..Limits::default()
        };
        let headers_at = table.take("max_headers");
        set(&mut limits.headers, headers_at.as_ref().and_then(At::read));
        if let Some(at) =
            headers_at.filter(|_| !(1..=Limits::MOST_HEADERS).contains(&limits.headers))
        {
            at.wrong("a whole number, 1 to 256");
        }
        set(&mut limits.uri, table.get::<Size>("max_uri").map(|size| size.0));
        set(&mut limits.token_body, table.get::<Size>("max_token_body").map(|size| size.0));
        set(&mut limits.body_timeout, table.get::<Wait>("body_timeout").map(|wait| wait.0));
        limits
    }

    fn read_redirect(&mut self, table: &mut Table<'_>) {
        let port_at = table.take("redirect_port");
        let at = table.take("redirect");
        if let Some(port_at) = &port_at {
            self.redirect_port = port_at
                .read::<u64>()
                .and_then(|port| u16::try_from(port).ok().filter(|&port| port > 0));
            if self.redirect_port.is_none() {
                port_at.wrong("a port, 1 to 65535");
            } else if at.is_none() {
                port_at.problem("there is no `redirect` it could be for");
            }
        }
        let Some(at) = at else { return };
        if let Some(OneOrMany(written)) = at.read::<OneOrMany<ListenText>>() {
            self.redirect = written.into_iter().map(|w| w.listen(Protocol::Plain)).collect();
        }
        if self.redirect.iter().any(Listen::is_tls) {
            at.problem("found https://, but this listener is the one for plain HTTP");
        } else if !self.listen.iter().any(Listen::is_tls) {
            at.problem("there is no TLS listener to send anybody to; write `tls` as well");
        }
    }
}

fn read_tls(at: &At<'_>, client_ca: Option<&At<'_>>, http2: bool) -> Option<Tls> {
    let offer = if http2 { Alpn::Http2 } else { Alpn::Http1 };
    Tls::read(at, client_ca, offer, Clock::system().now())
}

/// A number where zero would shut everybody out.
fn positive(table: &mut Table<'_>, key: &'static str) -> Option<usize> {
    let at = table.take(key)?;
    let number = at.read::<usize>()?;
    if number == 0 {
        at.wrong("a whole number, one or more");
    }
    Some(number)
}

fn saturated(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn read_watch(at: &At<'_>) -> Option<Option<Duration>> {
    match at.node.value {
        crate::document::Value::Boolean(false) => Some(None),
        crate::document::Value::Boolean(true) => Some(Server::default().watch),
        _ => at.read::<Duration>().map(Some),
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
            redirect: Vec::new(),
            redirect_port: None,
            threads: 0,
            http2: true,
            max_streams: 100,
            max_resets: 20,
            max_header: Limits::default().header,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            watch: Some(Duration::from_secs(2)),
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

impl Listen {
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// The address alone: what is spoken there may change while it stays bound.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Tls(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromNode for Listen {
    fn read(at: &At<'_>) -> Option<Self> {
        ListenText::read(at).map(|written| written.listen(Protocol::Plain))
    }
}

#[derive(Clone, Copy)]
enum Protocol {
    Plain,
    Tls,
}

/// An address as it is written: what it speaks may be said in front.
enum ListenText {
    Tcp(SocketAddr, Option<Protocol>),
    Unix(PathBuf),
}

impl ListenText {
    fn listen(self, default: Protocol) -> Listen {
        match self {
            Self::Tcp(address, protocol) => match protocol.unwrap_or(default) {
                Protocol::Plain => Listen::Tcp(address),
                Protocol::Tls => Listen::Tls(address),
            },
            Self::Unix(path) => Listen::Unix(path),
        }
    }
}

impl FromNode for ListenText {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str =
            r#"an address such as "127.0.0.1:8080", "[::]:80" or "unix:/run/portcullis.sock""#;
        let text = at.text(EXPECTED)?;
        let (protocol, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(Protocol::Plain), rest),
            Some(("https", rest)) => (Some(Protocol::Tls), rest),
            _ => (None, text),
        };
        let written = match text.strip_prefix("unix:") {
            Some(path) => path.starts_with('/').then(|| Self::Unix(PathBuf::from(path))),
            None => rest.parse().ok().map(|address| Self::Tcp(address, protocol)),
        };
        if written.is_none() {
            at.wrong(EXPECTED);
        }
        written
    }
}
