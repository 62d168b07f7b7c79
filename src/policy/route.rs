//! One `[[route]]` table: who may pass, where to, and with which headers.

use std::sync::Arc;

use super::header::{self, HeaderTemplate};
use super::html_placeholder::{self, HtmlPlaceholder};
use super::limit::{self, Limited};
use super::sign_in::SignInPage;
use super::token::TokenRoute;
use super::vendor_api::VendorApi;
use crate::document::{At, FromNode, OneOrMany, Table};
use crate::limit::Limit;
use crate::request::path::PathPattern;
use crate::session::Claims;
use crate::upstream::Upstream;
use http::Method;

/// A rule for forwarded requests; the first whose path and methods fit decides.
pub(crate) struct Route {
    /// The pattern as written, for logs and metrics.
    pub label: Arc<str>,
    pub pattern: PathPattern,
    /// Empty means any method.
    pub methods: Vec<Method>,
    pub session: SessionRule,
    pub sign_in: Option<SignInPage>,
    pub allow: Claims,
    pub limit: Option<Limit>,
    pub upstream: Option<Arc<Upstream>>,
    /// Set if the upstream is a vendor API.
    pub vendor_api: Option<Arc<VendorApi>>,
    pub set_headers: Vec<HeaderTemplate>,
    /// Texts in its pages that become tokens.
    pub placeholders: Vec<HtmlPlaceholder>,
}

/// The use a route makes of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionRule {
    Off,
    Optional,
    Required,
}

impl Route {
    fn from_node(
        at: &At<'_>,
        tokens: &[Arc<TokenRoute>],
        upstreams: &[Arc<Upstream>],
        vendor_apis: &[Arc<VendorApi>],
    ) -> Option<Self> {
        let mut table = at.table()?;
        let label = table.peek("path").and_then(|at| at.text("a path").map(str::to_owned));
        let pattern = table.need::<PathPattern>("path", r#"path = "/admin/**""#);
        let methods = table
            .get::<OneOrMany<MethodName>>("methods")
            .map(|many| many.0.into_iter().map(|name| name.0).collect())
            .unwrap_or_default();
        let upstream = table.take("upstream").and_then(|at| find_upstream(&at, upstreams));
        let vendor_api = upstream.as_ref().and_then(|to| vendor_apis.iter().find(|api| api.is(to)));
        let usual =
            if vendor_api.is_some() { SessionRule::Required } else { SessionRule::Optional };
        let session = table.get::<SessionRule>("session").unwrap_or(usual);
        let public = table.get::<bool>("public").unwrap_or(false);
        check_vendor_api(at, vendor_api, session, public);
        let sign_in = table.get::<SignInPage>("sign_in");
        let allow = table.get::<Claims>("allow").unwrap_or_default();
        let limit_name = label.as_deref().unwrap_or_default();
        let limit = table.take("limit").and_then(|at| limit::read(limit_name, Limited::Route, &at));
        let set_headers = table
            .take("set_headers")
            .map(|at| header::read_all(&at, tokens, vendor_api.map(Arc::as_ref)))
            .unwrap_or_default();
        let placeholders = table
            .take("placeholders")
            .map(|at| html_placeholder::read_all(&at, tokens))
            .unwrap_or_default();
        check(at, session, &allow, sign_in.as_ref(), &set_headers);
        if !placeholders.is_empty() && (session == SessionRule::Off || vendor_api.is_some()) {
            at.problem(
                "`placeholders` belong to pages of the app, and the session fills them in: write \
                 them in a route to the app whose `session` is not \"off\"",
            );
        }
        table.finish();
        Some(Self {
            label: label?.into(),
            pattern: pattern?,
            methods,
            session,
            sign_in,
            allow,
            limit,
            upstream,
            vendor_api: vendor_api.cloned(),
            set_headers,
            placeholders,
        })
    }

    /// Whether a request that slips past this rule does harm.
    pub(crate) fn guards(&self) -> bool {
        self.session == SessionRule::Required
            || !self.allow.is_empty()
            || self.limit.is_some()
            || !self.methods.is_empty()
            || self.upstream.is_some()
    }
}

/// The `[[route]]` tables, in the order of the file.
pub(super) fn read_routes(
    top: &mut Table<'_>,
    tokens: &[Arc<TokenRoute>],
    upstreams: &[Arc<Upstream>],
    vendor_apis: &[Arc<VendorApi>],
) -> Vec<Route> {
    let Some(at) = top.take("route") else { return Vec::new() };
    at.items()
        .iter()
        .filter_map(|item| Route::from_node(item, tokens, upstreams, vendor_apis))
        .collect()
}

/// Refuses a route on which anyone could spend a vendor's key, unless the file says
/// that anyone may.
fn check_vendor_api(
    at: &At<'_>,
    vendor_api: Option<&Arc<VendorApi>>,
    session: SessionRule,
    public: bool,
) {
    match vendor_api {
        Some(_) if session != SessionRule::Required && !public => at.problem(
            "anyone could use the keys of this upstream; write session = \"required\", or public = \
             true if that is intended",
        ),
        None if public => at.problem("`public` is for routes to an upstream with `keys`"),
        Some(_) | None => {}
    }
}

/// Settings that contradict each other.
fn check(
    at: &At<'_>,
    session: SessionRule,
    allow: &Claims,
    sign_in: Option<&SignInPage>,
    set: &[HeaderTemplate],
) {
    if session != SessionRule::Required && !allow.is_empty() {
        at.problem("`allow` tests the session's claims, so it needs session = \"required\"");
    }
    if session != SessionRule::Required && sign_in.is_some() {
        at.problem(
            "`sign_in` is for requests without a session, so it needs session = \"required\"",
        );
    }
    if session == SessionRule::Off && set.iter().any(|header| header.value.needs_session()) {
        at.problem(
            "`set_headers` uses the session, but session = \"off\"; write session = \"optional\"",
        );
    }
}

fn find_upstream(at: &At<'_>, upstreams: &[Arc<Upstream>]) -> Option<Arc<Upstream>> {
    let name = at.text("the NAME of an [upstream.NAME] table")?;
    let found = upstreams.iter().find(|upstream| upstream.name == name && !name.is_empty());
    if found.is_none() {
        at.wrong("the NAME of an [upstream.NAME] table");
    }
    found.cloned()
}

struct MethodName(Method);

impl FromNode for MethodName {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a method such as "GET""#;
        let text = at.text(EXPECTED)?;
        let is_upper = text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        let is_name = is_upper && text.starts_with(|c: char| c.is_ascii_uppercase());
        let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| is_name);
        if method.is_none() {
            at.wrong(EXPECTED);
        }
        method.map(Self)
    }
}

impl FromNode for SessionRule {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""off", "optional" or "required""#;
        match at.text(EXPECTED)? {
            "off" => Some(Self::Off),
            "optional" => Some(Self::Optional),
            "required" => Some(Self::Required),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}
