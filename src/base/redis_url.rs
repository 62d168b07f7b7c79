//! The address of a Redis or Valkey, parsed: one server, a Unix socket, servers behind
//! Sentinel, or a Cluster.
//!
//! ```text
//! redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]            rediss:// with TLS
//! unix:/PATH[?db=DATABASE&user=USER&pass=PASSWORD]
//! redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT],…/NAME[/DATABASE][?sentinel_user=…&sentinel_password=…]
//! redis+cluster://[USER[:PASSWORD]@]HOST[:PORT],…
//! ```
//!
//! With TLS, `?ca=FILE` names the authority to believe instead of the system's, and
//! `cert=FILE&key=FILE` the client's certificate. User, password and files hold for every
//! server of the address. The address may hold a password: an error repeats none of it.

use std::path::PathBuf;

use redis::{Client, ConnectionAddr, RedisConnectionInfo};

use super::host::is_loopback;
use super::text::percent_decode;

const SENTINEL_PORT: u16 = 26379;
const SERVER_PORT: u16 = 6379;

/// A parsed address. Connects to nothing.
#[derive(Clone)]
pub(crate) struct RedisUrl {
    pub(crate) servers: RedisServers,
    /// User, password and database, at every server.
    pub(crate) login: RedisConnectionInfo,
    pub(crate) tls: Option<TlsFiles>,
}

/// The servers to connect to first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RedisServers {
    /// Any nodes: they know the others.
    Cluster(Vec<RedisNode>),
    One(RedisNode),
    Sentinel(Sentinels),
    Socket(PathBuf),
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RedisNode {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The sentinels that know where the primary is.
#[derive(Clone)]
pub(crate) struct Sentinels {
    pub(crate) nodes: Vec<RedisNode>,
    /// Name of the primary, as `sentinel monitor` gives it.
    pub(crate) primary: String,
    pub(crate) login: RedisConnectionInfo,
}

/// Files with certificates, read at each connection, so renewed ones are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) ca: Option<PathBuf>,
    /// Certificate chain and key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    /// `#insecure`: no certificate is checked. The client refuses to connect so.
    pub(crate) insecure: bool,
}

/// Settings after the `?`, each at most once; what is not ours stays in `rest`.
#[derive(Default)]
struct Settings {
    ca: Option<String>,
    cert: Option<String>,
    key: Option<String>,
    sentinel_user: Option<String>,
    sentinel_password: Option<String>,
    rest: Vec<String>,
}

impl RedisUrl {
    /// Schemes that name a Redis or Valkey.
    pub(crate) fn is_one(url: &str) -> bool {
        split_scheme(url).is_some()
    }

    pub(crate) fn parse(url: &str) -> Result<Self, BadRedisUrl> {
        let (scheme, rest) = split_scheme(url).ok_or(BadRedisUrl(
            "it must start with redis://, rediss://, redis+sentinel://, redis+cluster:// or unix:",
        ))?;
        let (rest, insecure) = match rest.split_once('#') {
            Some((rest, "insecure")) => (rest, true),
            Some(_) => return Err(BadRedisUrl("it has a `#`; in a password write %23")),
            None => (rest, false),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let settings = Settings::read(query)?;
        let tls = settings.tls(scheme.tls, insecure)?;
        let (servers, login) = match scheme.kind {
            Kind::Cluster => cluster(place, &settings)?,
            Kind::One => one(place, &settings)?,
            Kind::Sentinel => sentinel(place, &settings)?,
            Kind::Socket => socket(place, &settings)?,
        };
        Ok(Self { servers, login, tls })
    }

    /// Whether an attacker on the network path can read what is said, or answer in its
    /// place: to another machine, without TLS that insists on a certificate.
    pub(crate) fn is_exposed(&self) -> bool {
        let nodes = match &self.servers {
            RedisServers::Cluster(nodes) => nodes.as_slice(),
            RedisServers::One(node) => std::slice::from_ref(node),
            RedisServers::Sentinel(sentinels) => &sentinels.nodes,
            RedisServers::Socket(_) => return false,
        };
        let is_open = self.tls.as_ref().is_none_or(|tls| tls.insecure);
        is_open && !nodes.iter().all(|node| is_loopback(&node.host))
    }
}

/// The reason an address cannot be used; repeats none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadRedisUrl(pub(crate) &'static str);

#[derive(Clone, Copy)]
enum Kind {
    Cluster,
    One,
    Sentinel,
    Socket,
}

#[derive(Clone, Copy)]
struct Scheme {
    kind: Kind,
    tls: Tls,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    Off,
    On,
}

fn split_scheme(url: &str) -> Option<(Scheme, &str)> {
    const SCHEMES: [(&str, Kind, Tls); 8] = [
        ("redis://", Kind::One, Tls::Off),
        ("rediss://", Kind::One, Tls::On),
        ("redis+sentinel://", Kind::Sentinel, Tls::Off),
        ("rediss+sentinel://", Kind::Sentinel, Tls::On),
        ("redis+cluster://", Kind::Cluster, Tls::Off),
        ("rediss+cluster://", Kind::Cluster, Tls::On),
        ("redis+unix:", Kind::Socket, Tls::Off),
        ("unix:", Kind::Socket, Tls::Off),
    ];
    let matching = |(start, kind, tls)| Some((Scheme { kind, tls }, url.strip_prefix(start)?));
    SCHEMES.into_iter().find_map(matching)
}

impl Settings {
    fn read(query: &str) -> Result<Self, BadRedisUrl> {
        let mut settings = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "ca" => &mut settings.ca,
                "cert" => &mut settings.cert,
                "key" => &mut settings.key,
                "sentinel_user" => &mut settings.sentinel_user,
                "sentinel_password" => &mut settings.sentinel_password,
                "db" | "pass" | "protocol" | "user" => {
                    settings.rest.push(pair.to_owned());
                    continue;
                }
                _ => {
                    return Err(BadRedisUrl(
                        "after the `?` it may have ca, cert, key, sentinel_user, sentinel_password \
                     and, for a socket, db, user and pass",
                    ));
                }
            };
            let value = String::from_utf8(percent_decode(value.as_bytes()).into_owned());
            let value = value.map_err(|_| BadRedisUrl("it is not UTF-8"))?;
            if value.is_empty() || place.replace(value).is_some() {
                return Err(BadRedisUrl("a setting after the `?` is empty or given twice"));
            }
        }
        Ok(settings)
    }

    fn tls(&self, tls: Tls, insecure: bool) -> Result<Option<TlsFiles>, BadRedisUrl> {
        let is_named = self.ca.is_some() || self.cert.is_some() || self.key.is_some();
        if tls == Tls::Off {
            return match (is_named, insecure) {
                (true, _) => Err(BadRedisUrl(
                    "ca, cert and key need TLS: write rediss:// (or rediss+sentinel://, rediss+cluster://)",
                )),
                (_, true) => Err(BadRedisUrl("`#insecure` is for rediss:// only")),
                (false, false) => Ok(None),
            };
        }
        let client = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((file(cert)?, file(key)?)),
            (None, None) => None,
            _ => return Err(BadRedisUrl("cert and key belong together: write both or none")),
        };
        let ca = self.ca.as_deref().map(file).transpose()?;
        Ok(Some(TlsFiles { ca, client, insecure }))
    }

    fn query(&self) -> String {
        if self.rest.is_empty() { String::new() } else { format!("?{}", self.rest.join("&")) }
    }
}

fn file(path: &str) -> Result<PathBuf, BadRedisUrl> {
    if path.starts_with('/') {
        Ok(PathBuf::from(path))
    } else {
        Err(BadRedisUrl("ca, cert and key are paths of files that begin with `/`"))
    }
}

fn one(
    place: &str,
    settings: &Settings,
) -> Result<(RedisServers, RedisConnectionInfo), BadRedisUrl> {
    const EXPECTED: BadRedisUrl =
        BadRedisUrl("expected redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]");
    let url = format!("redis://{place}{}", settings.query());
    let client = Client::open(url).map_err(|_| EXPECTED)?;
    let info = client.get_connection_info();
    let ConnectionAddr::Tcp(host, port) = info.addr() else { return Err(EXPECTED) };
    let node = RedisNode { host: host.clone(), port: *port };
    Ok((RedisServers::One(node), info.redis_settings().clone()))
}

fn socket(
    place: &str,
    settings: &Settings,
) -> Result<(RedisServers, RedisConnectionInfo), BadRedisUrl> {
    const EXPECTED: BadRedisUrl =
        BadRedisUrl("expected unix:/PATH[?db=DATABASE&user=USER&pass=PASSWORD]");
    let path = place.strip_prefix("//").unwrap_or(place);
    let url = format!("unix://{path}{}", settings.query());
    let client = Client::open(url).map_err(|_| EXPECTED)?;
    let info = client.get_connection_info();
    let ConnectionAddr::Unix(path) = info.addr() else { return Err(EXPECTED) };
    Ok((RedisServers::Socket(path.clone()), info.redis_settings().clone()))
}

fn cluster(
    place: &str,
    settings: &Settings,
) -> Result<(RedisServers, RedisConnectionInfo), BadRedisUrl> {
    const EXPECTED: BadRedisUrl =
        BadRedisUrl("expected redis+cluster://[USER[:PASSWORD]@]HOST[:PORT],HOST[:PORT],…");
    let (user, hosts) = place.rsplit_once('@').unwrap_or(("", place));
    let hosts = hosts.trim_end_matches('/');
    if hosts.contains('/') {
        return Err(BadRedisUrl("a Cluster has one database: write nothing after the hosts"));
    }
    let login = login(user, "", settings).ok_or(EXPECTED)?;
    let nodes = nodes(hosts, SERVER_PORT).ok_or(EXPECTED)?;
    Ok((RedisServers::Cluster(nodes), login))
}

fn sentinel(
    place: &str,
    settings: &Settings,
) -> Result<(RedisServers, RedisConnectionInfo), BadRedisUrl> {
    const EXPECTED: BadRedisUrl = BadRedisUrl(
        "expected redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT],…/NAME[/DATABASE], \
         where NAME is that of `sentinel monitor`",
    );
    let (user, rest) = place.rsplit_once('@').unwrap_or(("", place));
    let (hosts, name) = rest.split_once('/').ok_or(EXPECTED)?;
    let (primary, database) = name.split_once('/').unwrap_or((name, ""));
    if primary.is_empty() {
        return Err(EXPECTED);
    }
    let mut sentinels = Sentinels {
        nodes: nodes(hosts, SENTINEL_PORT).ok_or(EXPECTED)?,
        primary: primary.to_owned(),
        login: RedisConnectionInfo::default(),
    };
    if let Some(user) = &settings.sentinel_user {
        sentinels.login = sentinels.login.set_username(user);
    }
    if let Some(password) = &settings.sentinel_password {
        sentinels.login = sentinels.login.set_password(password);
    }
    let login = login(user, database, settings).ok_or(EXPECTED)?;
    Ok((RedisServers::Sentinel(sentinels), login))
}

/// User, password and database as the client reads them for one server.
fn login(user: &str, database: &str, settings: &Settings) -> Option<RedisConnectionInfo> {
    let at = if user.is_empty() { "" } else { "@" };
    let url = format!("redis://{user}{at}localhost/{database}{}", settings.query());
    Some(Client::open(url).ok()?.get_connection_info().redis_settings().clone())
}

fn nodes(hosts: &str, port: u16) -> Option<Vec<RedisNode>> {
    hosts.split(',').map(|host| RedisNode::parse(host.trim(), port)).collect()
}

impl RedisNode {
    /// `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
            }
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        if host.is_empty() || !host.chars().all(is_plain) {
            return None;
        }
        let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
        Some(Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sentinels").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

impl PartialEq for Sentinels {
    fn eq(&self, other: &Self) -> bool {
        self.nodes == other.nodes && self.primary == other.primary
    }
}

impl Eq for Sentinels {}

#[cfg(test)]
mod tests;
