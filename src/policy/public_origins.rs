//! `[server] public_origin`: the origins under which browsers know the app.
//!
//! Where another host rewrites paths to the gateway, `Host` is the gateway's own and says
//! nothing about the page. The settings do; a header such as `X-Forwarded-Host` could come
//! from anyone who reaches the gateway directly.

use super::token::WebOrigin;
use crate::document::{At, FromNode, OneOrMany, Table};

/// The app's own origins; none means the one that `Host` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PublicOrigins(Vec<WebOrigin>);

impl PublicOrigins {
    pub(crate) fn from_table(table: &mut Table<'_>) -> Self {
        let Some(at) = table.take("public_origin") else { return Self::default() };
        let written = at.read::<OneOrMany<SiteOrigin>>().map(|many| many.0);
        if written.as_ref().is_some_and(Vec::is_empty) {
            at.problem("found an empty list; write public_origin = \"https://app.example.com\"");
        }
        Self(written.into_iter().flatten().map(|SiteOrigin(origin)| origin).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The app's origin that this is, if it is one.
    pub(crate) fn find(&self, origin: &[u8]) -> Option<&WebOrigin> {
        self.0.iter().find(|own| own.is(origin))
    }

    /// The host of the app as browsers know it, if the settings name any; `host` is that
    /// of the request.
    pub(crate) fn host_for<'h>(&'h self, host: &'h str) -> &'h str {
        let mut hosts = self.0.iter().filter_map(|own| own.as_str().split_once("://"));
        let first = hosts.next().map_or(host, |(_, own)| own);
        hosts.find(|(_, own)| own.eq_ignore_ascii_case(host)).map_or(first, |(_, own)| own)
    }
}

/// The origin of a page: an app shell has none that a rewrite could serve.
struct SiteOrigin(WebOrigin);

impl FromNode for SiteOrigin {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"the origin in the browser's address bar, such as "https://app.example.com" (no path)"#;
        let is_site = |text: &str| {
            let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
            scheme.is_some_and(|scheme| ["http", "https"].contains(&scheme.as_str()))
        };
        if !is_site(at.text(EXPECTED)?) {
            at.wrong(EXPECTED);
            return None;
        }
        at.read().map(Self)
    }
}
