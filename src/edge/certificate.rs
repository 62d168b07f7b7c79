//! One certificate of the TLS listeners: its chain, its key, its names, its end.
//!
//! Everything that would make browsers refuse it is found when the file is read, and
//! reported with its place: a key that belongs to another certificate, a
//! chain that has expired, a file that holds something else.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::base::clock::Now;
use crate::base::pem;
use crate::base::secret::Secret;
use crate::base::text::span;
use crate::document::{At, Table};

/// A certificate with its key, and the names it is shown for.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Lower case; `*.example.com` covers one label.
    pub names: Vec<String>,
    /// Seconds since the epoch.
    pub expires_at: u64,
    pub(super) key: Arc<CertifiedKey>,
}

impl Certificate {
    /// Reads one table of `tls`; `None` means the problems were noted.
    pub(super) fn from_node(at: &At<'_>, provider: &CryptoProvider, now: Now) -> Option<Self> {
        let mut table = at.table()?;
        let chain = file(&mut table, "cert", "cert = \"/etc/portcullis/site.pem\"");
        let key = file(&mut table, "key", "key = \"/etc/portcullis/site-key.pem\"");
        let written = table.take("names");
        table.finish();
        let names = written.as_ref().map(read_names);
        let (chain_at, chain) = chain?;
        let chain = read_chain(&chain_at, &chain)?;
        let leaf = Leaf::from_der(&chain_at, chain.first()?, now)?;
        let (key_at, key) = key?;
        let key = read_key(&key_at, &key)?;
        let certified = match CertifiedKey::from_der(chain, key, provider) {
            Ok(certified) => Arc::new(certified),
            Err(rustls::Error::InconsistentKeys(_)) => {
                key_at.problem("this key does not belong to the certificate in `cert`");
                return None;
            }
            Err(_) => {
                key_at.problem(
                    "this type of key is not supported: expected RSA, ECDSA with P-256, P-384 or \
                     P-521, or Ed25519",
                );
                return None;
            }
        };
        let names = match names {
            Some(names) => names?,
            None if leaf.names.is_empty() => {
                chain_at.problem("the certificate names no host; write names = [\"app.example.com\"] beside it, or issue one with subject alternative names");
                return None;
            }
            None => leaf.names,
        };
        Some(Self { names, expires_at: leaf.expires_at, key: certified })
    }

    /// The first name, which stands for the certificate in metrics.
    pub fn label(&self) -> &str {
        self.names.first().map_or("-", String::as_str)
    }
}

/// A setting that is a file, with its content.
fn file<'a>(table: &mut Table<'a>, key: &'static str, hint: &str) -> Option<(At<'a>, Secret)> {
    let at = table.take_needed(key, hint)?;
    read_file(&at).map(|secret| (at, secret))
}

/// The content of the file that a setting names by path or reference.
pub(super) fn read_file(at: &At<'_>) -> Option<Secret> {
    let text = at.text("the path of a PEM file, or \"file:PATH\" or \"credential:NAME\"")?;
    at.secrets.resolve_file(text).map_err(|error| at.problem(error.to_string())).ok()
}

/// The certificates of a PEM file, in its order.
pub(super) fn read_chain(at: &At<'_>, pem: &Secret) -> Option<Vec<CertificateDer<'static>>> {
    match pem::certificates(pem.bytes()) {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            at.problem("the file holds no certificate: expected PEM with `-----BEGIN CERTIFICATE-----`, the server's own first, then the intermediates");
            None
        }
        Err(_) => {
            at.problem("the file is not valid PEM");
            None
        }
    }
}

fn read_key(at: &At<'_>, pem: &Secret) -> Option<PrivateKeyDer<'static>> {
    let key = PrivateKeyDer::from_pem_slice(pem.bytes()).ok();
    if key.is_none() {
        at.problem("the file holds no private key: expected PEM with `-----BEGIN PRIVATE KEY-----` (or `RSA` or `EC PRIVATE KEY`), not encrypted");
    }
    key
}

/// The parts of the server's own certificate that matter here.
struct Leaf {
    names: Vec<String>,
    expires_at: u64,
}

impl Leaf {
    fn from_der(at: &At<'_>, der: &CertificateDer<'_>, now: Now) -> Option<Self> {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            at.problem("the first certificate in the file cannot be read");
            return None;
        };
        let validity = certificate.validity();
        let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
        let begins_at = seconds(validity.not_before.timestamp());
        let expires_at = seconds(validity.not_after.timestamp());
        if expires_at <= now.unix() {
            let ago = span(now.unix() - expires_at);
            at.problem(format!("the certificate expired {ago} ago; renew it"));
            return None;
        }
        if begins_at > now.unix() {
            at.problem("the certificate is not valid yet; check the clock of this machine");
            return None;
        }
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            // Clients do not ask for these with SNI.
            _ => None,
        });
        Some(Self { names: names.filter(|name| is_name(name)).collect(), expires_at })
    }
}

fn read_names(at: &At<'_>) -> Option<Vec<String>> {
    const EXPECTED: &str = "a host name such as \"app.example.com\" or \"*.example.com\"";
    let read = |item: &At<'_>| {
        let name = item.text(EXPECTED)?.to_ascii_lowercase();
        let is_fine = is_name(&name);
        if !is_fine {
            item.wrong(EXPECTED);
        }
        is_fine.then_some(name)
    };
    let names: Vec<Option<String>> = at.items().iter().map(read).collect();
    if names.is_empty() {
        at.problem(format!("the list is empty, expected {EXPECTED}"));
        return None;
    }
    names.into_iter().collect()
}

/// Labels of letters, digits and `-`, the first one possibly `*`.
fn is_name(name: &str) -> bool {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
    };
    plain.len() <= 253 && plain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_host_names_possibly_with_one_star_in_front() {
        for name in ["app.example.com", "*.example.com", "localhost", "xn--bcher-kva.example"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "*", "a.*.b", "**.b", "a..b", ".a", "a.", "A.b", "a/b", "a:1", "*.", "a b"]
        {
            assert!(!is_name(name), "{name}");
        }
    }
}
