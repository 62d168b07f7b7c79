//! The certificate all servers show, and clients that believe in it.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::load::HOST;
use crate::process::folder;

const HTTP1: &str = "http/1.1";
pub(crate) const HTTP2: &str = "h2";

/// Writes a new one to the files named below.
pub(crate) fn write() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    std::fs::write(chain_file(), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(key_file(), key.serialize_pem()).unwrap();
}

pub(crate) fn chain_file() -> PathBuf {
    folder().join("certificate.pem")
}

pub(crate) fn key_file() -> PathBuf {
    folder().join("key.pem")
}

/// Somebody who offers one protocol (ALPN).
pub(crate) fn client(protocol: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(chain_file()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from(HOST).unwrap()
}

pub(crate) fn shake_hands(mut socket: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let mut connection = ClientConnection::new(client(HTTP1), name()).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).unwrap();
    }
    StreamOwned::new(connection, socket)
}
