//! Certificates made for one test, and clients that believe in them.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768;
use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Conn, folder};

/// Cryptography that agrees on keys no quantum computer finds out, or on none.
pub(crate) fn post_quantum() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![X25519MLKEM768], ..aws_lc_rs::default_provider() }
}

/// An authority, and the folder its files are written to.
pub(crate) struct Authority {
    pub(crate) folder: PathBuf,
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, as files.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    /// One item of `tls`.
    pub(crate) fn item(&self) -> String {
        format!("{{ cert = {:?}, key = {:?} }}", self.cert, self.key)
    }

    /// These files hold from now on what the others hold.
    pub(crate) fn become_like(&self, other: &Self) {
        std::fs::copy(&other.cert, &self.cert).unwrap();
        std::fs::copy(&other.key, &self.key).unwrap();
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = folder();
        std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, root: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn root_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A certificate for these names; the first one names its files.
    pub(crate) fn issue(&self, names: &[&str]) -> Files {
        self.issue_until(names, (2125, 1, 1))
    }

    /// As `issue`, with the day on which it ends.
    pub(crate) fn issue_until(&self, names: &[&str], end: (i32, u8, u8)) -> Files {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let name = names.first().map_or("nameless", String::as_str).replace('*', "star");
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(end.0, end.1, end.2);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let number = std::fs::read_dir(&self.folder).unwrap().count();
        let file = |end: &str| self.folder.join(format!("{name}-{number}{end}.pem"));
        let files = Files { cert: file(""), key: file("-key") };
        std::fs::write(&files.cert, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        roots
    }

    /// A client that believes in this authority.
    pub(crate) fn client(&self) -> Client {
        self.client_made_of(ring::default_provider())
    }

    /// As `client`, with other cryptography.
    pub(crate) fn client_made_of(&self, provider: CryptoProvider) -> Client {
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        Client(config)
    }

    /// As `client`, with a certificate of its own.
    pub(crate) fn client_with(&self, files: &Files) -> Client {
        use rustls::pki_types::pem::PemObject as _;
        let provider = Arc::new(ring::default_provider());
        let chain = vec![CertificateDer::from_pem_file(&files.cert).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots())
            .with_client_auth_cert(chain, key)
            .unwrap();
        Client(config)
    }
}

pub(crate) struct Client(pub(crate) ClientConfig);

impl Client {
    /// Offers these protocols (ALPN).
    pub(crate) fn offering(mut self, protocols: &[&str]) -> Self {
        self.0.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        self
    }

    /// Shakes hands as somebody who wants `name`.
    pub(crate) fn try_open(
        &self,
        address: &str,
        name: &str,
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        self.shake(TcpStream::connect(address)?, name)
    }

    fn shake(
        &self,
        mut socket: TcpStream,
        name: &str,
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut connection = ClientConnection::new(Arc::new(self.0.clone()), name).unwrap();
        socket.set_read_timeout(Some(super::PATIENCE))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(connection, socket))
    }

    #[track_caller]
    pub(crate) fn open(&self, address: &str, name: &str) -> Conn {
        Conn::over_tls(self.try_open(address, name).unwrap())
    }

    /// On a connection that has begun with something else.
    #[track_caller]
    pub(crate) fn over(&self, socket: TcpStream, name: &str) -> Conn {
        Conn::over_tls(self.shake(socket, name).unwrap())
    }

    /// The certificate shown to somebody who wants `name`.
    #[track_caller]
    pub(crate) fn shown(&self, address: &str, name: &str) -> CertificateDer<'static> {
        let stream = self.try_open(address, name).unwrap();
        stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

/// The certificate a file holds.
pub(crate) fn certificate(file: &Path) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_file(file).unwrap()
}
