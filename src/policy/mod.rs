//! The compiled rules: what `gateway.toml` says, in the form requests need it.
//!
//! Immutable. A request takes one snapshot and sees one configuration, however
//! often the file is reloaded meanwhile. Everything is parsed, derived and
//! sorted here, once; nothing is looked up by name on the request path.

mod header;
mod html_placeholder;
mod identity;
mod route;
mod session;
mod token;
mod vendor;

use std::sync::Arc;

use crate::document::{At, Node, Problems, Table, Value};
use crate::edge::Trusted;
use crate::mint::Presets;
use crate::mint::well_known::{Discovery, Published};
use crate::request::headers::Managed;
use crate::request::path::Pattern;
use crate::request::view::Limits;
use crate::upstream::{Upstream, Verify};

pub use header::{HeaderTemplate, HeaderValueTemplate, PageToken};
pub use html_placeholder::Placeholder;
pub use identity::Told;
pub use route::{Claims, Route, SessionRule, SignIn};
pub use session::SessionSource;
pub use token::{AuditMode, Origin, TokenRoute, named};
pub use vendor::Vendor;

/// All rules of one configuration.
pub struct Policy {
    pub sources: Vec<SessionSource>,
    pub tokens: Vec<Arc<TokenRoute>>,
    pub rules: Vec<Rule>,
    pub identity: Told,
    pub managed: Managed,
    pub trusted: Trusted,
    pub upstreams: Vec<Arc<Upstream>>,
    /// Which of them are no apps.
    vendors: Vec<Arc<Vendor>>,
    pub discovery: Discovery,
    pub limits: Limits,
}

/// One rule of the table paths are looked up in; token paths come first, then
/// what is published.
pub enum Rule {
    Published(Published, Pattern, Arc<str>),
    Route(Arc<Route>),
    Token(Arc<TokenRoute>, Pattern),
}

impl crate::request::path::Rule for Rule {
    fn pattern(&self) -> &Pattern {
        match self {
            Self::Published(_, pattern, _) | Self::Token(_, pattern) => pattern,
            Self::Route(route) => &route.pattern,
        }
    }

    fn guards(&self) -> bool {
        match self {
            Self::Published(..) => false,
            Self::Route(route) => route.guards(),
            Self::Token(..) => true,
        }
    }
}

impl Policy {
    /// Reads the tables that make up the policy from the top-level table.
    pub fn read(top: &mut Table<'_>, trusted: Trusted, limits: Limits) -> Option<Self> {
        let sources = session::read(top);
        let presets = read_presets(top);
        let tokens = read_tokens(top, &presets);
        let mut vendors = Vec::new();
        let upstreams = read_upstreams(top, &mut vendors);
        let routes = read_routes(top, &tokens, &upstreams, &vendors);
        let identity = identity::read(top);
        if let (true, Some(token)) = (sources.as_ref().is_some_and(Vec::is_empty), tokens.first()) {
            let token = &token.name;
            top.missing("session", &format!(", but token.{token} needs to know who is signed in; write [session] with its `kind`"));
        }
        let managed = routes.iter().flat_map(|route| &route.set_headers).chain(&identity.headers);
        let asserted = identity.assertion.iter().map(|assertion| &assertion.header);
        let managed = Managed::new(managed.map(|header| &header.name).chain(asserted));
        let token_rule =
            |token: &Arc<TokenRoute>| Some(Rule::Token(token.clone(), token.path.clone()?));
        let mut rules: Vec<Rule> = tokens.iter().filter_map(token_rule).collect();
        let discovery = read_discovery(top, &tokens);
        rules.extend(discovery.paths().into_iter().filter_map(|(path, what)| {
            let label = path.as_str().into();
            Some(Rule::Published(what, Pattern::parse(&path)?, label))
        }));
        rules.extend(routes.into_iter().map(|route| Rule::Route(Arc::new(route))));
        Some(Self {
            sources: sources?,
            tokens,
            rules,
            identity,
            managed,
            trusted,
            upstreams: upstreams?,
            vendors,
            discovery,
            limits,
        })
    }

    /// The upstreams that are no vendor's.
    fn apps(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let is_app = |upstream: &&Arc<Upstream>| !self.vendors.iter().any(|v| v.is(upstream));
        self.upstreams.iter().filter(is_app)
    }

    /// The upstream of requests no route sends elsewhere: by the host asked for,
    /// else the default one.
    pub fn upstream_for(&self, host: &str) -> Option<&Arc<Upstream>> {
        let mut named = self.apps().filter(|upstream| !upstream.hosts.is_empty());
        named
            .find(|upstream| upstream.hosts.iter().any(|known| known.is(host)))
            .or_else(|| self.default_upstream())
    }

    /// What is allowed but dangerous, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let unverified =
            self.upstreams.iter().filter(|upstream| upstream.tls.verify == Verify::Nothing);
        let warning = |upstream: &Arc<Upstream>| {
            let label = upstream.label();
            format!(
                "{label}.tls: verify = false: whoever stands between gateway and app can read and change everything; give `ca` instead"
            )
        };
        unverified.map(warning).collect()
    }

    /// The unnamed upstream, else the first one that names no hosts, else the
    /// first one.
    fn default_upstream(&self) -> Option<&Arc<Upstream>> {
        self.apps()
            .find(|upstream| upstream.name.is_empty() || upstream.hosts.is_empty())
            .or_else(|| self.apps().next())
    }
}

/// The built-in presets and the file's own.
pub fn read_presets(top: &mut Table<'_>) -> Presets {
    Presets::with_user(top.take("preset").as_ref())
}

/// The `[token.NAME]` tables, in the order of the file.
pub fn read_tokens(top: &mut Table<'_>, presets: &Presets) -> Vec<Arc<TokenRoute>> {
    let Some(at) = top.take("token") else { return Vec::new() };
    let mut tokens: Vec<Arc<TokenRoute>> = Vec::new();
    for (key, at) in at.members() {
        let Some(token) = TokenRoute::read(&key.name, &at, presets) else { continue };
        let same = tokens.iter().find(|other| other.path.is_some() && other.path == token.path);
        if let Some(other) = same {
            at.problem(format!("its `path` is the path of token.{} already", other.name));
        }
        tokens.push(Arc::new(token));
    }
    tokens
}

/// Tables of one upstream, which are no names of several.
const IN_UPSTREAM: [&str; 3] = ["health", "keys", "tls"];

/// `[upstream]`, or `[upstream.NAME]` tables; the unnamed one has no name.
fn read_upstreams(
    top: &mut Table<'_>,
    vendors: &mut Vec<Arc<Vendor>>,
) -> Option<Vec<Arc<Upstream>>> {
    let at =
        top.take_needed("upstream", "[upstream] with servers = [\"http://127.0.0.1:3000\"]")?;
    let is_table = |node: &Node| matches!(node.value, Value::Table(_));
    let members = at.members();
    let named = !members.is_empty()
        && members
            .iter()
            .all(|(key, at)| !IN_UPSTREAM.contains(&key.name.as_str()) && is_table(at.node));
    let mut read = |name: &str, at: &At<'_>| {
        let mut table = at.table()?;
        let mut upstream = Upstream::from_table(name, &mut table);
        if let Some(upstream) = &mut upstream {
            vendors.extend(Vendor::read(&mut table, upstream).map(Arc::new));
        }
        // Where `servers` is wrong, `keys` has not been looked at.
        table.take("keys");
        table.finish();
        upstream.map(Arc::new)
    };
    if !named {
        return read("", &at).map(|upstream| vec![upstream]);
    }
    let read: Vec<_> = members.iter().map(|(key, at)| read(&key.name, at)).collect();
    let upstreams: Vec<Arc<Upstream>> = read.into_iter().collect::<Option<_>>()?;
    for (index, upstream) in upstreams.iter().enumerate() {
        let before = upstreams.iter().take(index);
        let shared = before.filter(|other| upstream.hosts.iter().any(|h| other.hosts.contains(h)));
        for other in shared {
            at.problem(format!("`{}` and `{}` name the same host", other.name, upstream.name));
        }
    }
    Some(upstreams)
}

fn read_routes(
    top: &mut Table<'_>,
    tokens: &[Arc<TokenRoute>],
    upstreams: &Option<Vec<Arc<Upstream>>>,
    vendors: &[Arc<Vendor>],
) -> Vec<Route> {
    let Some(at) = top.take("route") else { return Vec::new() };
    let none = Vec::new();
    let upstreams = upstreams.as_ref().unwrap_or(&none);
    at.items().iter().filter_map(|item| Route::read(item, tokens, upstreams, vendors)).collect()
}

/// What the tokens publish: nothing, unless one of their keys says so.
fn read_discovery(top: &Table<'_>, tokens: &[Arc<TokenRoute>]) -> Discovery {
    let minters = tokens.iter().map(|token| (token.name.as_str(), &token.minter));
    Discovery::of(minters).unwrap_or_else(|problem| {
        top.at().problem(problem);
        Discovery::default()
    })
}

/// Reads `[session]` alone, for `portcullis session`.
pub fn sources_of(
    document: &Node,
    problems: &Problems,
    secrets: &crate::base::secret::Secrets,
) -> Option<Vec<SessionSource>> {
    let at = At::new(document, "", problems, secrets);
    session::read(&mut at.table()?)
}

/// Finds the rule for a path, or says that it can be read in two ways.
pub fn rule_for<'p>(
    policy: &'p Policy,
    path: &str,
) -> Result<Option<&'p Rule>, crate::request::path::Ambiguous> {
    crate::request::path::find(&policy.rules, path)
}

impl Rule {
    /// The rule's label in logs and metrics: a name of the file, never a path
    /// the client chose.
    pub fn label(&self) -> &Arc<str> {
        match self {
            Self::Published(_, _, label) => label,
            Self::Route(route) => &route.label,
            Self::Token(token, _) => &token.label,
        }
    }

    /// The allowed origin a token is asked for from, if it is another site's.
    pub fn origin(&self, origin: &[u8]) -> Option<&Origin> {
        match self {
            Self::Published(..) | Self::Route(_) => None,
            Self::Token(token, _) => token.origin(origin),
        }
    }
}
