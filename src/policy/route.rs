//! One `[[route]]` table: who may pass, where to, and with which headers.

use std::sync::Arc;

use http::Method;
use serde_json::Value as Json;

use super::token::read_limit;
use crate::base::text::push_percent_encoded;
use crate::document::{At, FromNode, OneOrMany};
use crate::limit::Limit;
use crate::policy::{HeaderTemplate, Placeholder, TokenRoute, Vendor, header, html_placeholder};
use crate::request::path::Pattern;
use crate::session::{Identity, Pointer};
use crate::upstream::Upstream;

/// A rule for forwarded requests; the first whose path matches wins.
pub struct Route {
    /// The pattern as written, for logs and metrics.
    pub label: Arc<str>,
    pub pattern: Pattern,
    /// Empty means any method.
    pub methods: Vec<Method>,
    pub session: SessionRule,
    pub sign_in: Option<SignIn>,
    pub allow: Claims,
    pub limit: Option<Limit>,
    pub upstream: Option<Arc<Upstream>>,
    /// Set if that is not the app.
    pub vendor: Option<Arc<Vendor>>,
    pub set_headers: Vec<HeaderTemplate>,
    /// Texts of its pages that become tokens.
    pub placeholders: Vec<Placeholder>,
}

/// Whether a route looks at the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRule {
    Off,
    Optional,
    Required,
}

/// Where a page being opened without a session is sent: a path of the app, with
/// `{path}` for where the user wanted to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    before: String,
    after: Option<String>,
}

/// Claims the session must hold: every pointer must lead to one of its values.
#[derive(Debug, Default)]
pub struct Claims(Vec<(Pointer, Vec<Json>)>);

impl Route {
    pub(super) fn read(
        at: &At<'_>,
        tokens: &[Arc<TokenRoute>],
        upstreams: &[Arc<Upstream>],
        vendors: &[Arc<Vendor>],
    ) -> Option<Self> {
        let mut table = at.table()?;
        let label = table.peek("path").and_then(|at| at.text("a path").map(str::to_owned));
        let pattern = table.need::<Pattern>("path", r#"path = "/admin/**""#);
        let methods = table.get::<OneOrMany<MethodName>>("methods");
        let upstream = table.take("upstream").and_then(|at| find_upstream(&at, upstreams));
        let vendor = upstream.as_ref().and_then(|to| vendors.iter().find(|vendor| vendor.is(to)));
        let usual = if vendor.is_some() { SessionRule::Required } else { SessionRule::Optional };
        let session = table.get::<SessionRule>("session").unwrap_or(usual);
        let public = table.get::<bool>("public").unwrap_or(false);
        check_vendor(at, vendor, session, public);
        let sign_in = table.get::<SignIn>("sign_in");
        let allow = table.get::<Claims>("allow").unwrap_or_default();
        let limit_name = label.clone().unwrap_or_default();
        let limit = table.take("limit").and_then(|at| read_limit(&limit_name, &at));
        let vendor = vendor.cloned();
        let keys = vendor.as_deref();
        let set_headers = table.take("set_headers").map(|at| header::read_all(&at, tokens, keys));
        let set_headers = set_headers.unwrap_or_default();
        let placeholders = table.take("placeholders");
        let placeholders = placeholders.map(|at| html_placeholder::read_all(&at, tokens));
        let placeholders = placeholders.unwrap_or_default();
        check(at, session, &allow, sign_in.as_ref(), &set_headers);
        if !placeholders.is_empty() && (session == SessionRule::Off || vendor.is_some()) {
            at.problem("`placeholders` are for pages of the app, seen with a session");
        }
        table.finish();
        Some(Self {
            label: label?.into(),
            pattern: pattern?,
            methods: methods
                .map(|many| many.0.into_iter().map(|name| name.0).collect())
                .unwrap_or_default(),
            session,
            sign_in,
            allow,
            limit,
            upstream,
            vendor,
            set_headers,
            placeholders,
        })
    }

    /// Whether slipping past this rule would matter.
    pub fn guards(&self) -> bool {
        self.session == SessionRule::Required
            || !self.allow.0.is_empty()
            || self.limit.is_some()
            || !self.methods.is_empty()
            || self.upstream.is_some()
    }
}

/// Whose key is spent must be known, unless somebody has said that it may be
/// anybody.
fn check_vendor(at: &At<'_>, vendor: Option<&Arc<Vendor>>, session: SessionRule, public: bool) {
    match vendor {
        Some(_) if session != SessionRule::Required && !public => at.problem(
            "anybody could use the keys of this upstream; write session = \"required\", or \
             public = true if that is meant",
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
    sign_in: Option<&SignIn>,
    set: &[HeaderTemplate],
) {
    if session != SessionRule::Required && !allow.0.is_empty() {
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
        let method = Method::from_bytes(text.as_bytes()).ok();
        let method =
            method.filter(|_| !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase()));
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

impl SignIn {
    /// The redirect for someone who wanted `target` (path and query).
    pub fn location(&self, target: &str) -> String {
        let Some(after) = &self.after else { return self.before.clone() };
        let mut location = self.before.clone();
        push_percent_encoded(&mut location, target, b"-._~/");
        location.push_str(after);
        location
    }
}

impl FromNode for SignIn {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a path of the app such as "/login?next={path}""#;
        let text = at.text(EXPECTED)?;
        let is_local = text.starts_with('/') && !text.starts_with("//") && !text.contains('\\');
        let (before, after) = match text.split_once("{path}") {
            Some((before, after)) => (before, Some(after.to_owned())),
            None => (text, None),
        };
        let rest_is_plain = [before, after.as_deref().unwrap_or("")]
            .iter()
            .all(|part| !part.contains(['{', '}', ' ']));
        if !is_local || !rest_is_plain {
            at.wrong(EXPECTED);
            return None;
        }
        Some(Self { before: before.to_owned(), after })
    }
}

impl Claims {
    /// Whether the session holds every claim. A list in the session matches if
    /// any of its items does.
    pub fn admit(&self, identity: &Identity) -> bool {
        self.0.iter().all(|(pointer, values)| match pointer.find(identity.session()) {
            Some(Json::Array(items)) => items.iter().any(|item| values.contains(item)),
            Some(value) => values.contains(value),
            None => false,
        })
    }
}

impl FromNode for Claims {
    fn read(at: &At<'_>) -> Option<Self> {
        let mut claims = Vec::new();
        for (key, at) in at.members() {
            let Some(pointer) = Pointer::parse(&key.name) else {
                at.problem(r#"expected a JSON Pointer as the key, such as "/role" = ["admin"]"#);
                continue;
            };
            let values: Vec<Json> = at.items().iter().map(|item| item.node.to_json()).collect();
            let scalar =
                |value: &Json| value.is_string() || value.is_number() || value.is_boolean();
            if values.is_empty() || !values.iter().all(scalar) {
                at.problem(r#"expected one or more values, such as "/role" = ["admin", "editor"]"#);
            }
            claims.push((pointer, values));
        }
        Some(Self(claims))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::secret::Secrets;
    use crate::document::{Node, Problems};

    fn read<T: FromNode>(json: &Json) -> Option<T> {
        let (node, problems) = (Node::from_json(json), Problems::default());
        let read = T::read(&At::new(&node, "", &problems, &Secrets::Literal));
        read.filter(|_| problems.is_empty())
    }

    #[test]
    fn claims_match_values_and_items_of_lists() {
        let claims: Claims = read(&json!({"/role": ["admin", "editor"], "/org": "acme"})).unwrap();
        let admits = |session| claims.admit(&Identity::assumed("u".into(), session, None));
        assert!(admits(json!({"role": "editor", "org": "acme"})));
        assert!(admits(json!({"role": ["viewer", "admin"], "org": "acme"})));
        assert!(!admits(json!({"role": "viewer", "org": "acme"})));
        assert!(!admits(json!({"role": "admin"})));
        assert!(!admits(json!({"role": ["viewer"], "org": "acme"})));
    }

    #[test]
    fn sign_in_leads_to_a_path_of_this_site_and_escapes_where_from() {
        let sign_in: SignIn = read(&json!("/login?next={path}&x=1")).unwrap();
        assert_eq!(sign_in.location("/a b?c=d&e=//x"), "/login?next=/a%20b%3Fc%3Dd%26e%3D//x&x=1");
        for elsewhere in ["https://evil", "//evil", "login", "/\\evil", "/l?{next}"] {
            assert!(read::<SignIn>(&json!(elsewhere)).is_none(), "{elsewhere}");
        }
    }
}
