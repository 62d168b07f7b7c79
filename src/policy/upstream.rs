//! `[upstream]`, or several `[upstream.NAME]`: where requests go.

use std::sync::Arc;

use http::HeaderName;

use super::vendor_api::VendorApi;
use crate::document::{At, FromNode, Node, OneOrMany, Table, Value};
use crate::request::headers;
use crate::upstream::Upstream;

/// Tables of one upstream, so none of them is the NAME of an upstream.
const IN_UPSTREAM: [&str; 3] = ["health", "keys", "tls"];

/// `[upstream]`, or `[upstream.NAME]` tables; the unnamed one has no name. None where
/// nothing is forwarded.
pub(super) fn read_upstreams(
    top: &mut Table<'_>,
    vendor_apis: &mut Vec<Arc<VendorApi>>,
) -> Option<Vec<Arc<Upstream>>> {
    let Some(at) = top.take("upstream") else { return Some(Vec::new()) };
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
            match VendorApi::from_table(&mut table, upstream) {
                Some(vendor_api) => vendor_apis.push(Arc::new(vendor_api)),
                None => {
                    let passed = table.get::<OneOrMany<Passed>>("pass_headers");
                    let passed = passed.map(|many| many.0).unwrap_or_default();
                    upstream.pass_headers = passed.into_iter().map(|Passed(name)| name).collect();
                }
            }
        }
        // With a wrong `servers`, `keys` has not been read.
        table.take("keys");
        table.take("pass_headers");
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

/// A request header that the app reads although it is removed otherwise.
struct Passed(HeaderName);

impl FromNode for Passed {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"the name of a request header that is otherwise removed, such as "api_key" or "cf-ipcountry""#;
        let name = at.text(EXPECTED)?.parse::<HeaderName>().ok();
        let Some(name) = name.filter(|name| !passes_anyway(name)) else {
            at.wrong(&format!("{EXPECTED} (other headers pass without it)"));
            return None;
        };
        if !headers::may_be_passed(&name) {
            at.problem(
                "an app would take this for a header that only the gateway sets, or for one that \
                 names the user, the sender or the page; no client may set those",
            );
            return None;
        }
        Some(Self(name))
    }
}

fn passes_anyway(name: &HeaderName) -> bool {
    !name.as_str().contains('_') && !headers::is_always_removed(name)
}
