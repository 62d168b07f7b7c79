//! Reads `[server]`: settings of the process, of the edge and of single requests.

use std::time::Duration;

use super::listen::{Listen, ListenText, Protocol};
use super::server::ServerSettings;
use crate::base::clock::Clock;
use crate::base::secret::Secret;
use crate::base::units;
use crate::document::{At, FromNode, OneOrMany, Table, Value, Wait};
use crate::edge::{Alpn, Edge, ListenerTls, PerAddress, Trusted};
use crate::policy::PublicOrigins;
use crate::request::hosts::Hosts;
use crate::request::min_rate::MinRate;
use crate::request::view::RequestLimits;

/// The `[server]` table; a reload may change all but `server`.
#[derive(Default)]
pub(super) struct ServerTable {
    pub(super) server: ServerSettings,
    pub(super) edge: Edge,
    pub(super) hosts: Hosts,
    pub(super) public_origins: PublicOrigins,
    pub(super) limits: RequestLimits,
}

impl ServerTable {
    /// Reads the table, or takes the defaults if there is none; `None` means the
    /// problems were noted.
    pub(super) fn from_node(at: Option<At<'_>>) -> Option<Self> {
        let Some(at) = at else { return Some(Self::default()) };
        let mut table = at.table()?;
        let mut server = ServerSettings::default();
        set(&mut server.http2, table.get("http2"));
        let tls = server.read_listeners(&at, &mut table);
        let mut edge = read_edge(&mut table, tls);
        edge.admin_tokens = read_admin_tokens(&mut table, &server);
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
        let limits = server.read_limits(&mut table);
        let hosts = Hosts::from_table(&mut table);
        let public_origins = PublicOrigins::from_table(&mut table);
        table.finish();
        Some(Self { server, edge, hosts, public_origins, limits })
    }
}

impl ServerSettings {
    /// Every address, and the TLS settings of those that need them.
    fn read_listeners(&mut self, at: &At<'_>, table: &mut Table<'_>) -> Option<ListenerTls> {
        let listen = table.take("listen");
        let tls_at = table.take("tls");
        let read = listen.as_ref().map(OneOrMany::<ListenText>::read);
        let client_ca = table.take("client_ca");
        if let (Some(client_ca), None) = (&client_ca, &tls_at) {
            client_ca
                .problem("only a TLS listener asks clients for certificates; write `tls` as well");
        }
        let tls = tls_at.as_ref().map(|at| read_tls(at, client_ca.as_ref(), self.http2));
        if let Some(Some(OneOrMany(written))) = read {
            let default = if tls_at.is_some() { Protocol::Tls } else { Protocol::Plain };
            self.listen = written.into_iter().map(|written| written.listen(default)).collect();
        } else if tls_at.is_some() && listen.is_none() {
            at.problem("`tls` needs `listen`; write listen = \"0.0.0.0:443\"");
        }
        self.read_redirect(table);
        if let (Some(listen), None) = (&listen, &tls_at)
            && self.listen.iter().chain(&self.redirect).any(Listen::is_tls)
        {
            listen.problem("https:// needs `tls`; write tls = [{ cert = \"site.pem\", key = \"site-key.pem\" }]");
        }
        if let Some(tls_at) = &tls_at
            && !self.listen.iter().any(Listen::is_tls)
        {
            tls_at.problem("no address in `listen` speaks TLS: unix sockets and http:// never do");
        }
        if let Some(admin) = table.take("admin") {
            self.admin = read_admin(&admin);
        }
        tls.flatten()
    }

    /// The limits of one request.
    fn read_limits(&self, table: &mut Table<'_>) -> RequestLimits {
        let mut limits = RequestLimits {
            header: self.max_header,
            token_body_timeout: self.header_timeout,
            ..RequestLimits::default()
        };
        let headers_at = table.take("max_headers");
        set(&mut limits.headers, headers_at.as_ref().and_then(At::read));
        if let Some(at) =
            headers_at.filter(|_| !(1..=RequestLimits::MOST_HEADERS).contains(&limits.headers))
        {
            at.wrong("a whole number, 1 to 256");
        }
        set(&mut limits.uri, table.get::<Size>("max_uri").map(|size| size.0));
        set(&mut limits.token_body, table.get::<Size>("max_token_body").map(|size| size.0));
        set(&mut limits.body_timeout, table.get::<Wait>("body_timeout").map(|wait| wait.0));
        limits.min_body_rate = Some(MinRate::default_with(limits.body_timeout));
        set(&mut limits.min_body_rate, table.take("min_body_rate").and_then(|at| read_rate(&at)));
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
                port_at.problem("this setting belongs to `redirect`, which is not set");
            }
        }
        let Some(at) = at else { return };
        if let Some(OneOrMany(written)) = at.read::<OneOrMany<ListenText>>() {
            self.redirect = written.into_iter().map(|w| w.listen(Protocol::Plain)).collect();
        }
        if self.redirect.iter().any(Listen::is_tls) {
            at.problem("found https://, but this listener speaks plain HTTP");
        } else if !self.listen.iter().any(Listen::is_tls) {
            at.problem("there is no TLS listener to redirect to; write `tls` as well");
        }
    }
}

fn read_edge(table: &mut Table<'_>, tls: Option<ListenerTls>) -> Edge {
    Edge {
        tls,
        proxies: table.get::<Trusted>("trusted_proxies").unwrap_or_default(),
        fronts: Trusted::default(),
        senders: table.get("proxy_protocol").unwrap_or_default(),
        max_connections: positive(table, "max_connections")
            .unwrap_or_else(|| Edge::default().max_connections),
        per_address: positive(table, "max_connections_per_address")
            .map_or(PerAddress::Default, PerAddress::Written),
        admin_tokens: Vec::new(),
    }
}

fn read_tls(at: &At<'_>, client_ca: Option<&At<'_>>, http2: bool) -> Option<ListenerTls> {
    let alpn = if http2 { Alpn::Http2 } else { Alpn::Http1 };
    ListenerTls::from_node(at, client_ca, alpn, Clock::system().now())
}

/// A number where zero would shut out every client.
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

/// `false` is off.
fn read_rate(at: &At<'_>) -> Option<Option<MinRate>> {
    const EXPECTED: &str = r#"a size per duration such as "30KiB/30s", or false"#;
    if matches!(at.node.value, Value::Boolean(false)) {
        return Some(None);
    }
    let rate = at.text(EXPECTED)?.split_once('/').and_then(|(octets, window)| {
        let octets = u64::try_from(units::size(octets).ok()?).ok()?;
        let window = units::duration(window).ok()?;
        (octets > 0 && window >= Duration::from_secs(1)).then_some(MinRate { octets, window })
    });
    if rate.is_none() {
        at.wrong(EXPECTED);
    }
    rate.map(Some)
}

fn read_watch(at: &At<'_>) -> Option<Option<Duration>> {
    match at.node.value {
        Value::Boolean(false) => Some(None),
        Value::Boolean(true) => Some(ServerSettings::default().watch),
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
        Value::Boolean(false) => None,
        _ => Listen::read(at),
    }
}

/// Too long to guess, and of characters that a header field can carry.
fn read_admin_tokens(table: &mut Table<'_>, server: &ServerSettings) -> Vec<Secret> {
    const SHORTEST: usize = 16;
    let Some(at) = table.take("admin_token") else { return Vec::new() };
    if server.admin.is_none() {
        at.problem("this setting belongs to `admin`, which is off");
    }
    let OneOrMany(tokens) = at.read::<OneOrMany<Secret>>().unwrap_or(OneOrMany(Vec::new()));
    let is_usable = |token: &Secret| {
        token.bytes().len() >= SHORTEST && token.bytes().iter().all(u8::is_ascii_graphic)
    };
    if !tokens.iter().all(is_usable) {
        at.problem(
            "a token is shorter than 16 characters, or has some that a header cannot carry; write \
             the output of `openssl rand -hex 32`",
        );
    }
    tokens
}

struct Size(usize);

impl FromNode for Size {
    fn read(at: &At<'_>) -> Option<Self> {
        let text = at.text(r#"a size such as "32KiB""#)?;
        units::size(text).map_err(|expected| at.wrong(expected)).ok().map(Self)
    }
}
