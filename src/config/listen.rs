//! Addresses to listen on, as the file writes them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::document::{At, FromNode};

/// An address to listen on, and the protocol spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(PathBuf),
}

impl Listen {
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// The address alone: the protocol may change while it stays bound.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Tls(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromNode for Listen {
    fn read(at: &At<'_>) -> Option<Self> {
        ListenText::read(at).map(|written| written.listen(Protocol::Plain))
    }
}

/// The protocol of a TCP listener.
#[derive(Clone, Copy)]
pub(super) enum Protocol {
    Plain,
    Tls,
}

/// An address as written: the protocol may stand in front.
pub(super) enum ListenText {
    Tcp(SocketAddr, Option<Protocol>),
    Unix(PathBuf),
}

impl ListenText {
    pub(super) fn listen(self, default: Protocol) -> Listen {
        match self {
            Self::Tcp(address, protocol) => match protocol.unwrap_or(default) {
                Protocol::Plain => Listen::Tcp(address),
                Protocol::Tls => Listen::Tls(address),
            },
            Self::Unix(path) => Listen::Unix(path),
        }
    }
}

impl FromNode for ListenText {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str =
            r#"an address such as "127.0.0.1:8080", "[::]:80" or "unix:/run/portcullis.sock""#;
        let text = at.text(EXPECTED)?;
        let (protocol, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(Protocol::Plain), rest),
            Some(("https", rest)) => (Some(Protocol::Tls), rest),
            _ => (None, text),
        };
        let written = match text.strip_prefix("unix:") {
            Some(path) => path.starts_with('/').then(|| Self::Unix(PathBuf::from(path))),
            None => rest.parse().ok().map(|address| Self::Tcp(address, protocol)),
        };
        if written.is_none() {
            at.wrong(EXPECTED);
        }
        written
    }
}
