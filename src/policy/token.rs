//! One `[token.NAME]` table: its paths, its users and its limit.
//!
//! The token itself, and how it is made, is up to `mint`.

use std::net::Ipv6Addr;
use std::sync::Arc;

use http::Method;

use super::limit::{self, Limited};
use crate::base::host::is_host;
use crate::document::{At, FromNode, OneOrMany, Table};
use crate::limit::Limit;
use crate::mint::well_known::Discovery;
use crate::mint::{Minter, Presets};
use crate::request::path::{PathPattern, is_doubtful};

/// Whether a token is handed out when its line in the audit log cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    Required,
    Wanted,
}

/// The side that answers at the token's path: gateway or app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    /// Shadow mode: the app's route as before; the gateway's answer is only compared.
    App,
    Gateway,
}

/// A token that can be asked for at a path, or used in a route's headers.
pub struct TokenRoute {
    pub name: String,
    /// `token.NAME`, for logs and metrics.
    pub label: Arc<str>,
    /// Absent for a token only routes use.
    pub path: Option<PathPattern>,
    /// Shared with the threads that sign slowly.
    pub minter: Arc<Minter>,
    pub limit: Option<Limit>,
    /// Other origins than the app's own that may ask from a browser.
    pub origins: Vec<WebOrigin>,
    /// Whether a line in the audit log is a condition of handing it out.
    pub audit: AuditMode,
    /// The `Allow` header of a refusal.
    pub allow: String,
    pub answered_by: AnsweredBy,
}

/// An exact origin (RFC 6454): scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin(String);

impl WebOrigin {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Browsers write an origin in only one way, so any other spelling is a different
    /// origin.
    pub fn is(&self, origin: &[u8]) -> bool {
        self.0.as_bytes() == origin
    }
}

impl FromNode for WebOrigin {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str =
            r#"an exact origin such as "https://admin.example.com" (no path, no wildcard)"#;
        let text = at.text(EXPECTED)?;
        let origin = text.split_once("://").and_then(|(scheme, authority)| {
            (is_scheme(scheme) && is_host(authority.as_bytes())).then(|| {
                let (scheme, authority) =
                    (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
                format!("{scheme}://{}", without_default_port(&scheme, &authority))
            })
        });
        if origin.is_none() {
            at.wrong(EXPECTED);
        }
        origin.map(Self)
    }
}

/// The scheme of a site, or that of an app shell or browser extension, such as
/// `capacitor` or `chrome-extension` (RFC 3986 section 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// As browsers write an origin: without the port that its scheme implies, and a port
/// without leading zeros.
fn without_default_port(scheme: &str, authority: &str) -> String {
    let default = match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    };
    let split = authority.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    match split.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))) {
        Some((host, port)) if Some(port) == default => shortest_address(host),
        Some((host, port)) => format!("{}:{port}", shortest_address(host)),
        None => shortest_address(authority),
    }
}

/// As browsers write a host: an IPv6 address in its shortest form, all of it in hexadecimal.
fn shortest_address(host: &str) -> String {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        Some(address) if address.to_ipv4_mapped().is_some() => {
            let [.., high, low] = address.segments();
            format!("[::ffff:{high:x}:{low:x}]")
        }
        Some(address) => format!("[{address}]"),
        None => host.to_owned(),
    }
}

impl TokenRoute {
    fn from_node(name: &str, at: &At<'_>, presets: &Presets) -> Option<Self> {
        let mut table = at.table()?;
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            at.problem(
                "found a token name with characters other than letters, digits, `-` and `_`",
            );
        }
        let path = table.take("path").and_then(|at| read_path(&at));
        let limit = table.take("limit").and_then(|at| limit::read(name, Limited::Token, &at));
        if let Some(by) = table.take("limit_by")
            && by.text(r#""user""#).is_some_and(|text| text != "user")
        {
            by.wrong(r#""user""#);
        }
        let origins = table.get::<OneOrMany<WebOrigin>>("origins").map(|many| many.0);
        let audit =
            table.take("audit").and_then(|at| at.choose(&[("required", AuditMode::Required)]));
        let answered_by = table.take("shadow").and_then(|at| read_shadow(&at, path.is_some()));
        let minter = Minter::from_table(name, &mut table, presets);
        table.finish();
        let minter = Arc::new(minter?);
        let allow = minter.methods().iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        Some(Self {
            name: name.to_owned(),
            label: format!("token.{name}").into(),
            path,
            minter,
            limit,
            origins: origins.unwrap_or_default(),
            audit: audit.unwrap_or(AuditMode::Wanted),
            allow,
            answered_by: answered_by.unwrap_or(AnsweredBy::Gateway),
        })
    }

    /// The origin of `origins` this request comes from, if any.
    pub fn origin(&self, origin: &[u8]) -> Option<&WebOrigin> {
        self.origins.iter().find(|allowed| allowed.is(origin))
    }

    /// Whether the endpoint answers to this method; HEAD goes with GET.
    pub fn answers(&self, method: &Method) -> bool {
        let methods = self.minter.methods();
        methods.contains(method) || (method == Method::HEAD && methods.contains(&Method::GET))
    }
}

fn read_shadow(at: &At<'_>, has_path: bool) -> Option<AnsweredBy> {
    let is_on: bool = at.read()?;
    if is_on && !has_path {
        at.problem(
            "`shadow` compares the app's route with the gateway's answer, but this token has no \
             `path`; write path = \"/api/get-auth-token\", the path of the app's route",
        );
    }
    Some(if is_on { AnsweredBy::App } else { AnsweredBy::Gateway })
}

fn read_path(at: &At<'_>) -> Option<PathPattern> {
    const EXPECTED: &str =
        r#"one exact path such as "/api/get-auth-token", without host, query and pattern"#;
    let text = at.text(EXPECTED)?;
    let Some(pattern) = PathPattern::parse(text).filter(PathPattern::is_exact) else {
        at.wrong(EXPECTED);
        return None;
    };
    if text.split('/').any(is_parameter) {
        at.warn(
            "found what looks like a parameter, but a path is compared as it is written, expected \
             the path that the browser asks for; an input of `request` carries what varies",
        );
    }
    if is_doubtful(pattern.as_str()) {
        at.problem(
            "found a path that the gateway refuses; write it without `//`, dot segments and escapes",
        );
        return None;
    }
    Some(pattern)
}

/// A segment that routers of apps replace: `:id`, `[id]`, `{id}`, `<id>`.
fn is_parameter(segment: &str) -> bool {
    let pairs = [('[', ']'), ('{', '}'), ('<', '>')];
    (segment.len() > 1 && segment.starts_with([':', '$']))
        || pairs.iter().any(|(open, close)| segment.starts_with(*open) && segment.ends_with(*close))
}

/// The built-in presets and the file's own.
pub(crate) fn read_presets(top: &mut Table<'_>) -> Presets {
    Presets::with_user(top.take("preset").as_ref())
}

/// The `[token.NAME]` tables, in the order of the file.
pub(crate) fn read_tokens(top: &mut Table<'_>, presets: &Presets) -> Vec<Arc<TokenRoute>> {
    let Some(at) = top.take("token") else { return Vec::new() };
    let mut tokens: Vec<Arc<TokenRoute>> = Vec::new();
    for (key, at) in at.members() {
        let Some(token) = TokenRoute::from_node(&key.name, &at, presets) else { continue };
        let same = tokens.iter().find(|other| other.path.is_some() && other.path == token.path);
        if let Some(other) = same {
            at.problem(format!("its `path` is the path of token.{} already", other.name));
        }
        tokens.push(Arc::new(token));
    }
    tokens
}

/// The published keys of the tokens; none unless a key asks for it.
pub(super) fn read_discovery(top: &Table<'_>, tokens: &[Arc<TokenRoute>]) -> Discovery {
    let minters = tokens.iter().map(|token| (token.name.as_str(), &*token.minter));
    Discovery::from_tokens(minters).unwrap_or_else(|problem| {
        top.at().problem(problem);
        Discovery::default()
    })
}

/// A token by name, for `portcullis token`.
pub(crate) fn named<'t>(tokens: &'t [Arc<TokenRoute>], name: &str) -> Option<&'t Arc<TokenRoute>> {
    tokens.iter().find(|token| token.name == name)
}
