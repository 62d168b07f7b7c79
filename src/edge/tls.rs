//! TLS of the listeners: picks the certificate a client is shown.
//!
//! The name a client asks for (SNI) decides: first the certificate that has
//! exactly that name, then one with a star for its first label, then the first
//! of the file. A reload builds new settings; open connections keep theirs.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::certificate::{Certificate, read_chain, read_file};
use crate::base::clock::Now;
use crate::base::crypto_provider;
use crate::document::At;

/// The certificates, and the configuration that serves them.
#[derive(Clone, Debug)]
pub struct ListenerTls {
    pub certificates: Vec<Certificate>,
    pub config: Arc<ServerConfig>,
}

/// The protocols offered in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    Http1,
    Http2,
}

impl ListenerTls {
    /// Reads `tls` and `client_ca`; `None` means the problems were noted.
    pub fn from_node(
        at: &At<'_>,
        client_ca: Option<&At<'_>>,
        alpn: Alpn,
        now: Now,
    ) -> Option<Self> {
        let provider = crypto_provider::provider();
        let items = at.items();
        if items.is_empty() {
            at.problem(
                "the list is empty; write tls = [{ cert = \"site.pem\", key = \"site-key.pem\" }]",
            );
        }
        let certificates: Vec<_> =
            items.iter().map(|item| Certificate::from_node(item, &provider, now)).collect();
        let roots = client_ca.map(read_roots);
        let certificates = certificates.into_iter().collect::<Option<Vec<_>>>()?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .ok()?;
        let builder = match roots {
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots?.into(), provider);
                match verifier.build() {
                    Ok(verifier) => builder.with_client_cert_verifier(verifier),
                    Err(_) => {
                        client_ca?.problem("the authorities cannot be used");
                        return None;
                    }
                }
            }
            None => builder.with_no_client_auth(),
        };
        let names = CertificateNames::new(&certificates)?;
        let mut config = builder.with_cert_resolver(Arc::new(names));
        config.alpn_protocols = match alpn {
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            Alpn::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        config.max_fragment_size = Some(RECORD);
        // Without randomness there are no tickets, and every handshake is a full one.
        if let Ok(tickets) = Ticketer::new() {
            config.ticketer = tickets;
        }
        Some(Self { certificates, config: Arc::new(config) })
    }

    /// Whether a certificate has this host name.
    pub fn names(&self, host: &str) -> bool {
        let star = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let is_it = |name: &String| name == host || star.as_ref() == Some(name);
        self.certificates.iter().any(|certificate| certificate.names.iter().any(is_it))
    }
}

/// The longest record that is sent; a client can read none before it has all of it.
/// Half of what TLS allows, so that the memory of a record comes from a small page
/// of the allocator: those of 16 KiB are strewn over more than a processor's cache
/// holds, and bodies of 10 MiB cost a quarter more.
const RECORD: usize = 8 * 1024 - 64;

/// The authorities that may sign certificates of clients.
fn read_roots(at: &At<'_>) -> Option<RootCertStore> {
    let chain = read_chain(at, &read_file(at)?)?;
    let mut roots = RootCertStore::empty();
    for certificate in chain {
        if roots.add(certificate).is_err() {
            at.problem("the file holds a certificate that cannot sign others");
            return None;
        }
    }
    Some(roots)
}

/// Certificates by name.
#[derive(Debug)]
struct CertificateNames {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// Without the star and its dot.
    stars: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl CertificateNames {
    /// The first certificate that claims a name has it.
    fn new(certificates: &[Certificate]) -> Option<Self> {
        let default = certificates.first()?.key.clone();
        let mut names = Self { exact: HashMap::new(), stars: HashMap::new(), default };
        for certificate in certificates {
            for name in &certificate.names {
                let (by_name, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut names.stars, rest),
                    None => (&mut names.exact, name.as_str()),
                };
                by_name.entry(name.to_owned()).or_insert_with(|| certificate.key.clone());
            }
        }
        Some(names)
    }

    /// `name` as rustls hands it over, in lower case.
    fn find(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let name = name.map(|name| name.strip_suffix('.').unwrap_or(name));
        let exact = || self.exact.get(name?);
        let star = || self.stars.get(name?.split_once('.')?.1);
        exact().or_else(star).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for CertificateNames {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.find(hello.server_name()).clone())
    }
}
