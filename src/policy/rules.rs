//! The compiled rules of one configuration, and how a request finds its own.
//!
//! A request takes one snapshot and sees one configuration, however often the file is
//! reloaded meanwhile. Everything is parsed, derived and sorted here, once; nothing is
//! looked up by name on the request path.

use std::sync::Arc;

use super::form::{self, Form};
use super::front::Front;
use super::identity::{IdentityHeaders, read_identity};
use super::key_uses;
use super::public_origins::PublicOrigins;
use super::route::{self, Route};
use super::session::{self, SessionSource};
use super::token::{self, AnsweredBy, TokenRoute, read_presets, read_tokens};
use super::upstream;
use super::vendor_api::VendorApi;
use crate::document::Table;
use crate::edge::Trusted;
use http::{HeaderName, Method};

use crate::mint::well_known::{Discovery, WellKnown};
use crate::request::headers::ReservedHeaders;
use crate::request::hosts::Hosts;
use crate::request::path::PathPattern;
use crate::request::rules::{Home, Met, RuleInput, Rules, RulesUnfit};
use crate::request::view::{RequestLimits, RequestView};
use crate::session::{Accepted, Cookies, Credential, HeaderPlace, OwnedCookies};
use crate::upstream::{Prefixes, Upstream};

/// The parts of `[server]` and `[auth]` that concern requests, as opposed to connections.
#[derive(Default)]
pub(crate) struct RequestSettings {
    pub(crate) trusted: Trusted,
    pub(crate) hosts: Hosts,
    pub(crate) public_origins: PublicOrigins,
    pub(crate) limits: RequestLimits,
    pub(crate) front: Option<Front>,
}

/// All rules of one configuration.
pub struct Policy {
    pub sources: Vec<SessionSource>,
    /// `WWW-Authenticate` of a request without a session.
    pub challenge: String,
    pub tokens: Vec<Arc<TokenRoute>>,
    /// Whether a token is in shadow mode.
    has_shadows: bool,
    /// The paths that the gateway answers itself: those of tokens, then published documents.
    own: Vec<Rule>,
    routes: Rules<Rule>,
    pub identity: IdentityHeaders,
    pub managed: ReservedHeaders,
    /// The headers for an app behind another proxy: all but a vendor's.
    pub(crate) told: Vec<HeaderName>,
    pub trusted: Trusted,
    pub(crate) hosts: Hosts,
    pub(crate) public_origins: PublicOrigins,
    /// The proxy that asks about each request, if one does.
    pub(crate) front: Option<Front>,
    /// Empty where nothing is forwarded.
    pub upstreams: Vec<Arc<Upstream>>,
    /// The upstreams that are vendor APIs.
    vendor_apis: Vec<Arc<VendorApi>>,
    /// Prefixes that apps put in front of their paths, each once.
    prefixes: Vec<Prefixes>,
    pub discovery: Discovery,
    pub limits: RequestLimits,
}

/// The setting that governs a path.
pub(crate) enum Rule {
    Published(WellKnown, PathPattern, Arc<str>),
    Route(Arc<Route>),
    Token(Arc<TokenRoute>, PathPattern),
}

impl crate::request::rules::PathRule for Rule {
    fn pattern(&self) -> &PathPattern {
        match self {
            Self::Published(_, pattern, _) | Self::Token(_, pattern) => pattern,
            Self::Route(route) => &route.pattern,
        }
    }

    fn methods(&self) -> &[Method] {
        match self {
            Self::Published(..) | Self::Token(..) => &[],
            Self::Route(route) => &route.methods,
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
    pub(crate) fn from_table(top: &mut Table<'_>, settings: RequestSettings) -> Option<Self> {
        let RequestSettings { trusted, hosts, public_origins, limits, front } = settings;
        form::check(top, front.is_some());
        let sources = session::read_sources(top);
        let presets = read_presets(top);
        let tokens = read_tokens(top, &presets);
        let mut vendor_apis = Vec::new();
        let upstreams = upstream::read_upstreams(top, &mut vendor_apis);
        let routes = route::read_routes(
            top,
            &tokens,
            upstreams.as_deref().unwrap_or_default(),
            &vendor_apis,
        );
        let identity = read_identity(top);
        if let (Some(sources), Some(upstreams)) = (&sources, &upstreams) {
            key_uses::check_secrets(top, sources, &tokens);
            key_uses::check_addresses(top, sources, &tokens, upstreams);
        }
        if let (true, Some(token)) = (sources.as_ref().is_some_and(Vec::is_empty), tokens.first()) {
            let token = &token.name;
            top.missing("session", &format!(", but token.{token} needs to know who is signed in; write [session] with its `kind`"));
        }
        let told = told_headers(&routes, &identity);
        let managed = ReservedHeaders::new(set_headers(routes.iter(), &identity));
        let discovery = token::read_discovery(top, &tokens);
        let routes = routes.into_iter().map(|route| Rule::Route(Arc::new(route))).collect();
        let sources = sources?;
        session::check_trusted(top, &sources, &trusted);
        Some(Self {
            challenge: session::challenge(&sources),
            has_shadows: tokens.iter().any(|token| token.answered_by == AnsweredBy::App),
            sources,
            own: own_rules(&tokens, &discovery),
            tokens,
            routes: Rules::new(routes),
            identity,
            managed,
            told,
            trusted,
            hosts,
            public_origins,
            front,
            prefixes: prefixes(upstreams.as_deref().unwrap_or_default()),
            upstreams: upstreams?,
            vendor_apis,
            discovery,
            limits,
        })
    }

    /// The form of the gateway.
    pub(crate) fn form(&self) -> Form {
        Form::of(self.forwards(), self.front.is_some())
    }

    /// Whether requests are forwarded at all.
    pub(crate) fn forwards(&self) -> bool {
        !self.upstreams.is_empty()
    }

    /// Whether the request may come with a session that its client's own code has added.
    pub(crate) fn may_be_deliberate(&self, cookies: Cookies<'_>) -> bool {
        let reads = |source: &SessionSource| source.header().is_some_and(|it| it.is_of_client());
        self.sources.iter().any(|source| reads(source) && source.was_sent(cookies))
    }

    /// A copy of the cookies and headers that a request sent for its session.
    pub(crate) fn copied(&self, cookies: Cookies<'_>) -> OwnedCookies {
        let headers = self.sources.iter().filter_map(|source| source.header());
        cookies.to_owned(headers.flat_map(HeaderPlace::names))
    }

    /// Whether one of the accepted sessions came this way.
    pub(crate) fn credential(&self, accepted: Accepted) -> Credential {
        let mut sources = self.sources.iter().enumerate();
        let is_deliberate = sources.any(|(index, source)| {
            accepted.contains(index) && source.header().is_some_and(|it| it.is_of_client())
        });
        if is_deliberate { Credential::Deliberate } else { Credential::Ambient }
    }

    /// The upstreams that are not vendor APIs.
    fn apps(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        let is_app =
            |upstream: &&Arc<Upstream>| !self.vendor_apis.iter().any(|api| api.is(upstream));
        self.upstreams.iter().filter(is_app)
    }

    /// The upstream of a request that no route sends elsewhere: the one for its host,
    /// else the default one.
    pub fn upstream_for(&self, host: &str) -> Option<&Arc<Upstream>> {
        let mut named = self.apps().filter(|upstream| !upstream.hosts.is_empty());
        named
            .find(|upstream| upstream.hosts.iter().any(|known| known.is(host)))
            .or_else(|| self.default_upstream())
    }

    /// The token or document that the gateway answers with under this very path. Other
    /// spellings of it go to the app.
    pub(crate) fn own(&self, path: &str) -> Option<&Rule> {
        use crate::request::rules::PathRule as _;
        self.own.iter().find(|rule| rule.pattern().fits(path.as_bytes()))
    }

    /// The token whose path this is, if the app answers there as before (shadow mode).
    pub(crate) fn shadowed(&self, path: &str) -> Option<&Arc<TokenRoute>> {
        if !self.has_shadows {
            return None;
        }
        match self.own(path) {
            Some(Rule::Token(token, _)) if token.answered_by == AnsweredBy::App => Some(token),
            Some(Rule::Published(..) | Rule::Route(_) | Rule::Token(..)) | None => None,
        }
    }

    /// Whether the app ends a session of this source when it answers the request.
    pub(crate) fn signs_out(&self, source: &SessionSource, view: &RequestView<'_>) -> bool {
        let asked = RuleInput { method: view.method, path: view.path, query: view.query };
        source.ends_at(&asked, &self.prefixes)
    }

    /// The routes that a request must meet if it is sent with `method`.
    pub(crate) fn met(
        &self,
        view: &RequestView<'_>,
        method: &Method,
    ) -> Result<Met<'_, Rule>, RulesUnfit> {
        let asked = RuleInput { method, path: view.path, query: view.query };
        self.routes.find(&asked, |rule| {
            let route = rule.and_then(Rule::route);
            let upstream = route.and_then(|route| route.upstream.as_ref());
            let upstream = upstream.or_else(|| self.upstream_for(view.host));
            let is_vendor = route.is_some_and(|route| route.vendor_api.is_some());
            let prefixes = upstream.map(|upstream| &upstream.prefixes);
            let prefixes = prefixes.or_else(|| self.front.as_ref().map(|front| &front.prefixes));
            Home {
                upstream: upstream.map_or(0, |upstream| Arc::as_ptr(upstream).addr()),
                prefixes: prefixes.filter(|_| !is_vendor),
            }
        })
    }

    /// The unnamed upstream, else the first one that names no hosts, else the
    /// first one.
    fn default_upstream(&self) -> Option<&Arc<Upstream>> {
        self.apps()
            .find(|upstream| upstream.name.is_empty() || upstream.hosts.is_empty())
            .or_else(|| self.apps().next())
    }
}

/// The headers that these routes and the identity set.
fn set_headers<'r>(
    routes: impl Iterator<Item = &'r Route>,
    identity: &'r IdentityHeaders,
) -> impl Iterator<Item = &'r HeaderName> {
    let set = routes.flat_map(|route| &route.set_headers).chain(&identity.headers);
    let asserted = identity.assertion.iter().map(|assertion| &assertion.header);
    set.map(|header| &header.name).chain(asserted)
}

/// Of these, the ones that an app is told, each once.
fn told_headers(routes: &[Route], identity: &IdentityHeaders) -> Vec<HeaderName> {
    let of_app = routes.iter().filter(|route| route.vendor_api.is_none());
    let mut told: Vec<_> = set_headers(of_app, identity).cloned().collect();
    told.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    told.dedup();
    told
}

/// The rules for the paths that the gateway answers itself: tokens and published
/// documents.
fn own_rules(tokens: &[Arc<TokenRoute>], discovery: &Discovery) -> Vec<Rule> {
    let of_token = |token: &Arc<TokenRoute>| Some(Rule::Token(token.clone(), token.path.clone()?));
    let published = discovery.paths().into_iter().filter_map(|(path, what)| {
        let label = path.as_str().into();
        Some(Rule::Published(what, PathPattern::parse(&path)?, label))
    });
    tokens.iter().filter_map(of_token).chain(published).collect()
}

/// The prefixes of the apps' paths, the empty one first.
fn prefixes(upstreams: &[Arc<Upstream>]) -> Vec<Prefixes> {
    let mut prefixes = vec![Prefixes::default()];
    for upstream in upstreams {
        if !prefixes.contains(&upstream.prefixes) {
            prefixes.push(upstream.prefixes.clone());
        }
    }
    prefixes
}

impl Rule {
    pub(crate) fn route(&self) -> Option<&Arc<Route>> {
        match self {
            Self::Published(..) | Self::Token(..) => None,
            Self::Route(route) => Some(route),
        }
    }

    /// Whether tokens may be minted for the app's requests or answers.
    pub(crate) fn has_tokens(&self) -> bool {
        let route = self.route();
        route.is_some_and(|route| !route.set_headers.is_empty() || !route.placeholders.is_empty())
    }

    /// The rule's label in logs and metrics: a name of the file, never a path
    /// the client chose.
    pub(crate) fn label(&self) -> &Arc<str> {
        match self {
            Self::Published(_, _, label) => label,
            Self::Route(route) => &route.label,
            Self::Token(token, _) => &token.label,
        }
    }
}
