//! `upgrades`: the protocols that a connection may be switched to.

use crate::base::text::is_token;
use crate::document::{At, FromNode, OneOrMany};

/// Names of protocols (RFC 9110 section 7.8), in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrades(Vec<String>);

impl Upgrades {
    /// Whether a tunnel for this protocol may be opened; names are the same in any case.
    pub fn allow(&self, protocol: &[u8]) -> bool {
        let protocol = protocol.trim_ascii();
        self.0.iter().any(|allowed| protocol.eq_ignore_ascii_case(allowed.as_bytes()))
    }
}

impl Default for Upgrades {
    fn default() -> Self {
        Self(vec!["websocket".to_owned()])
    }
}

impl FromNode for Upgrades {
    fn read(at: &At<'_>) -> Option<Self> {
        let OneOrMany(names) = OneOrMany::<Protocol>::read(at)?;
        Some(Self(names.into_iter().map(|Protocol(name)| name).collect()))
    }
}

struct Protocol(String);

impl FromNode for Protocol {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a protocol such as "websocket" or "spdy/3.1""#;
        let name = at.text(EXPECTED)?.to_ascii_lowercase();
        let mut parts = name.splitn(2, '/');
        if !parts.all(is_token) {
            at.wrong(EXPECTED);
            return None;
        }
        // HTTP inside a tunnel would be requests that no rule has seen.
        if name == "h2c" || name == "h2" || name.starts_with("http") || name.starts_with("tls") {
            at.problem(
                "HTTP inside a tunnel would pass every rule; write a protocol that is not HTTP",
            );
            return None;
        }
        Some(Self(name))
    }
}
