//! `[upstream]`, or several `[upstream.NAME]`: where requests go.

use std::sync::Arc;

use super::vendor_api::VendorApi;
use crate::document::{At, Node, Table, Value};
use crate::upstream::Upstream;

/// Tables of one upstream, so none of them is the NAME of an upstream.
const IN_UPSTREAM: [&str; 3] = ["health", "keys", "tls"];

/// `[upstream]`, or `[upstream.NAME]` tables; the unnamed one has no name.
pub(super) fn read_upstreams(
    top: &mut Table<'_>,
    vendor_apis: &mut Vec<Arc<VendorApi>>,
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
            vendor_apis.extend(VendorApi::from_table(&mut table, upstream).map(Arc::new));
        }
        // Where `servers` is wrong, `keys` has not been looked at.
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
