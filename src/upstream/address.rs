//! Addresses of servers as they are written in the settings.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::document::{At, FromNode};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

impl Address {
    /// The name to resolve, if it is one.
    pub fn name(&self) -> Option<(&str, u16)> {
        match self {
            Self::Tcp { host, port, .. } => {
                host.parse::<IpAddr>().is_err().then_some((host.as_str(), *port))
            }
            Self::Unix(_) => None,
        }
    }

    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }
}

/// As it is written in the settings.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "https" } else { "http" };
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                write!(f, "{scheme}://{host}:{port}")
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromNode for Address {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"an address such as "http://127.0.0.1:3000", "https://app.internal" or "unix:/run/app.sock""#;
        let text = at.text(EXPECTED)?;
        let address = parse(text);
        if address.is_none() {
            at.wrong(EXPECTED);
        }
        address
    }
}

pub(super) fn parse(text: &str) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        return path.starts_with('/').then(|| Address::Unix(PathBuf::from(path)));
    }
    let (tls, rest) = match text.split_once("://")? {
        ("http", rest) => (false, rest),
        ("https", rest) => (true, rest),
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if !crate::base::host::is_host(authority.as_bytes()) {
        return None;
    }
    let authority: http::uri::Authority = authority.parse().ok()?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
    Some(Address::Tcp { host, port, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, tls: bool) -> Option<Address> {
        Some(Address::Tcp { host: host.to_owned(), port, tls })
    }

    #[test]
    fn addresses_are_urls_without_a_path_or_unix_sockets() {
        assert_eq!(parse("http://127.0.0.1:3000"), tcp("127.0.0.1", 3000, false));
        assert_eq!(parse("https://app.internal/"), tcp("app.internal", 443, true));
        assert_eq!(parse("http://[::1]:8080"), tcp("::1", 8080, false));
        assert_eq!(parse("unix:/run/app.sock"), Some(Address::Unix("/run/app.sock".into())));
        for text in [
            "127.0.0.1:3000",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://u@a",
            "unix:rel",
            "http://a:x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
