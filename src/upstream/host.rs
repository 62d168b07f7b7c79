//! Names of hosts: those an upstream serves, and the one it is sent.

use http::HeaderValue;

use crate::base::host::is_host;
use crate::document::{At, FromNode};

/// A host name to be compared with: lower case, without port and final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// A host name without a port; `None` if the text is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let name = bare(text);
        let fits = is_host(text.as_bytes()) && !name.is_empty() && text.len() - name.len() <= 1;
        fits.then(|| Self(name.to_ascii_lowercase()))
    }

    /// Whether a request's `Host` is this one, in any case, with or without a port or
    /// the final dot of a full name.
    pub fn is(&self, host: &str) -> bool {
        bare(host).eq_ignore_ascii_case(&self.0)
    }
}

impl FromNode for Host {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a host name without a port, such as "app.example.com""#;
        let host = Self::parse(at.text(EXPECTED)?);
        if host.is_none() {
            at.wrong(EXPECTED);
        }
        host
    }
}

/// A host without its port and without the dot that ends a full name.
fn bare(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

pub(super) fn read_host(at: &At<'_>) -> Option<HeaderValue> {
    const EXPECTED: &str = r#""preserve" or a host name"#;
    match at.text(EXPECTED)? {
        "preserve" => None,
        host if is_host(host.as_bytes()) => HeaderValue::from_str(host).ok(),
        _ => {
            at.wrong(EXPECTED);
            None
        }
    }
}
