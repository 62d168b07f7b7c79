//! `keys` of an upstream: a vendor's API behind the gateway, with the vendor's
//! key.
//!
//! The key belongs to the upstream. Only a route that leads there can name it, so it
//! reaches no other server. It travels encrypted to a server whose certificate is
//! checked, or stays on this machine.

use http::{HeaderName, HeaderValue};

use crate::base::host::is_loopback;
use crate::base::secret::Secret;
use crate::document::{At, Table};
use crate::request::headers;
use crate::upstream::{Address, Upstream, Verify};

/// An upstream with keys: a vendor's API, not the app.
pub(crate) struct VendorApi {
    upstream: String,
    keys: Vec<(String, Secret)>,
    /// The browser's headers that go there in addition to the usual ones.
    pass_headers: Vec<HeaderName>,
}

impl VendorApi {
    /// Reads `keys`, if the upstream has any. `Host` becomes the vendor's own name: it
    /// does not know ours.
    pub(super) fn from_table(table: &mut Table<'_>, upstream: &mut Upstream) -> Option<Self> {
        let at = table.take("keys")?;
        let pass_headers = table.take("pass_headers");
        let pass_headers = pass_headers.map(|at| read_pass_headers(&at)).unwrap_or_default();
        if upstream.name.is_empty() {
            at.problem("keys belong to vendors, and this is the app; write [upstream.NAME]");
        }
        let keys: Vec<_> = at
            .members()
            .iter()
            .filter_map(|(key, at)| Some((key.name.clone(), readable(at)?)))
            .collect();
        if keys.is_empty() && at.members().is_empty() {
            at.problem(
                "expected at least one key, such as keys = { openai = \"env:OPENAI_API_KEY\" }",
            );
        }
        check_transport(&at, upstream);
        if !upstream.hosts.is_empty() {
            at.problem("an upstream with keys cannot have `hosts`: only routes lead to it");
        }
        if upstream.host.is_none() {
            upstream.host = own_name(&at, upstream);
        }
        Some(Self { upstream: upstream.name.clone(), keys, pass_headers })
    }

    pub(crate) fn is(&self, upstream: &Upstream) -> bool {
        self.upstream == upstream.name
    }

    /// Whether the settings let this header of the browser's through.
    pub(crate) fn passes(&self, name: &HeaderName) -> bool {
        self.pass_headers.contains(name)
    }

    pub(super) fn key(&self, name: &str) -> Option<&Secret> {
        self.keys.iter().find(|(known, _)| known == name).map(|(_, secret)| secret)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(name, _)| name.as_str())
    }

    /// Whether this text holds a key.
    pub(crate) fn leaks_in(&self, text: &[u8]) -> bool {
        self.keys.iter().any(|(_, key)| memchr::memmem::find(text, key.bytes()).is_some())
    }
}

/// Reads the names of headers that go to the vendor.
fn read_pass_headers(at: &At<'_>) -> Vec<HeaderName> {
    let name = |at: At<'_>| {
        let text = at.text(r#"the name of a header such as "openai-beta""#)?;
        let Ok(name) = HeaderName::try_from(text) else {
            at.wrong(r#"the name of a header such as "openai-beta""#);
            return None;
        };
        if headers::is_the_apps_own(&name) {
            at.problem(
                "this header is only for the app or the gateway and is never sent to a vendor",
            );
        }
        Some(name)
    };
    at.items().into_iter().filter_map(name).collect()
}

/// Reads a key that a header can carry.
fn readable(at: &At<'_>) -> Option<Secret> {
    let secret = at.secret()?;
    if !secret.bytes().iter().all(u8::is_ascii_graphic) {
        at.problem("a header cannot carry the value (it is not repeated here)");
        return None;
    }
    Some(secret)
}

/// The key must not travel unencrypted.
fn check_transport(at: &At<'_>, upstream: &Upstream) {
    let is_readable = |address: &Address| match address {
        Address::Tcp { host, tls, .. } => !tls && !is_loopback(host),
        Address::Unix(_) => false,
    };
    if upstream.servers().iter().any(|server| is_readable(server)) {
        at.problem("the keys would be sent unencrypted; write https:// in `servers`");
    }
    if upstream.tls.verify == Verify::Nothing {
        at.problem("the keys would be sent to any server that answers; remove `verify = false`");
    }
}

/// The host name of the servers, for the `Host` header.
fn own_name(at: &At<'_>, upstream: &Upstream) -> Option<HeaderValue> {
    let mut names: Vec<String> = upstream.servers().iter().map(|server| name_of(server)).collect();
    names.dedup();
    let [name] = names.as_slice() else {
        at.problem("the servers have different names; write the one to ask for: host = \"…\"");
        return None;
    };
    HeaderValue::from_str(name).ok()
}

fn name_of(address: &Address) -> String {
    match address {
        Address::Tcp { host, port, tls } => {
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            let usual = if *tls { 443 } else { 80 };
            if *port == usual { host } else { format!("{host}:{port}") }
        }
        Address::Unix(_) => "localhost".to_owned(),
    }
}
