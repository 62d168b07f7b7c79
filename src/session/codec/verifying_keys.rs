//! Keys that verify signed tokens, each bound to the algorithms it may be used
//! with.
//!
//! The header of a token names its algorithm, and an attacker writes the header:
//! a key is therefore offered only for algorithms of its own type (RFC 8725
//! section 3.1).

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::signature::{ECDSA_P521_SHA512_FIXED, UnparsedPublicKey};
use jsonwebtoken::DecodingKey;
use serde_json::Value;

use crate::base::digest::Digest;
use crate::base::secret::Secret;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::{base64, claims};
use crate::session::rejected::{Reason, Rejected};

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Ed25519,
    Hmac,
    P256,
    P384,
    P521,
    Rsa,
}

impl Family {
    const fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EdDSA => Self::Ed25519,
            Algorithm::ES256 => Self::P256,
            Algorithm::ES384 => Self::P384,
            Algorithm::ES512 => Self::P521,
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Self::Hmac,
            Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512
            | Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512 => Self::Rsa,
        }
    }

    /// The algorithm allowed if the settings name none.
    const fn usual(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::EdDSA,
            Self::Hmac => Algorithm::HS256,
            Self::P256 => Algorithm::ES256,
            Self::P384 => Algorithm::ES384,
            Self::P521 => Algorithm::ES512,
            Self::Rsa => Algorithm::RS256,
        }
    }
}

/// Whether keys are used with this algorithm where the settings name none.
pub(crate) fn is_usual(algorithm: Algorithm) -> bool {
    Family::of(algorithm).usual() == algorithm
}

pub(crate) struct Key {
    id: Option<String>,
    /// The one algorithm the key's document allows, if it names one.
    only: Option<Algorithm>,
    family: Family,
    material: Material,
}

enum Material {
    /// Everything but P-521, which `jsonwebtoken` does not know.
    Library(DecodingKey),
    /// An uncompressed point.
    P521(Vec<u8>),
}

impl Key {
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        Family::of(algorithm) == self.family && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether `signature` (base64url) is this key's signature of the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str, algorithm: Algorithm) -> bool {
        match (&self.material, algorithm.library()) {
            (Material::Library(key), Some(algorithm)) => {
                jsonwebtoken::crypto::verify(signature, message, key, algorithm)
                    .is_ok_and(|verified| verified)
            }
            (Material::P521(point), None) => {
                let key = UnparsedPublicKey::new(&ECDSA_P521_SHA512_FIXED, point);
                base64::url_decode(signature).is_some_and(|it| key.verify(message, &it).is_ok())
            }
            (Material::Library(_), None) | (Material::P521(_), Some(_)) => false,
        }
    }

    pub(crate) fn from_secret(secret: &Secret) -> Self {
        let material = Material::Library(DecodingKey::from_secret(secret.bytes()));
        Self { id: None, only: None, family: Family::Hmac, material }
    }

    /// A public key or a certificate. In the environment lines often end in the
    /// two characters `\n`.
    pub(crate) fn from_pem(id: Option<String>, pem: &[u8]) -> Option<Self> {
        let pem = std::str::from_utf8(pem).ok()?.replace("\\n", "\n");
        let pem = pem.as_bytes();
        let private = b"PRIVATE KEY-----";
        if pem.windows(private.len()).any(|window| window == private) {
            return None;
        }
        let (family, key) = if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            (Family::Rsa, key)
        } else if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            (Family::Ed25519, key)
        } else {
            let key = DecodingKey::from_ec_pem(pem).ok()?;
            let point = key.try_get_as_bytes().ok()?;
            let family = match point.len() {
                65 => Family::P256,
                97 => Family::P384,
                133 => {
                    let material = Material::P521(point.to_vec());
                    return Some(Self { id, only: None, family: Family::P521, material });
                }
                _ => return None,
            };
            (family, key)
        };
        Some(Self { id, only: None, family, material: Material::Library(key) })
    }

    /// One member of a JWK set (RFC 7517); `None` if it cannot verify here.
    fn from_jwk(jwk: &Value) -> Option<Self> {
        let member = |name| claims::text(jwk, name);
        if member("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let operations = jwk.get("key_ops").and_then(Value::as_array);
        if operations.is_some_and(|all| !all.iter().any(|operation| operation == "verify")) {
            return None;
        }
        let (family, material) = material(jwk)?;
        let only = match member("alg") {
            Some(name) => Some(Algorithm::named(name)?),
            None => None,
        };
        Some(Self { id: member("kid").map(str::to_owned), only, family, material })
    }
}

/// The type and key of a JWK (RFC 7518 section 6, RFC 8037 section 2).
fn material(jwk: &Value) -> Option<(Family, Material)> {
    let member = |name| claims::text(jwk, name);
    let coordinate = |name, length| {
        let text = member(name)?;
        base64::url_decode(text).filter(|bytes| bytes.len() == length).map(|bytes| (text, bytes))
    };
    let point = |length| {
        let (x, y) = (coordinate("x", length)?.0, coordinate("y", length)?.0);
        DecodingKey::from_ec_components(x, y).ok().map(Material::Library)
    };
    let library = |key: jsonwebtoken::errors::Result<_>| key.ok().map(Material::Library);
    Some(match (member("kty")?, member("crv")) {
        ("EC", Some("P-256")) => (Family::P256, point(32)?),
        ("EC", Some("P-384")) => (Family::P384, point(48)?),
        ("EC", Some("P-521")) => {
            let (x, y) = (coordinate("x", 66)?.1, coordinate("y", 66)?.1);
            (Family::P521, Material::P521([vec![4], x, y].concat()))
        }
        ("OKP", Some("Ed25519")) => {
            (Family::Ed25519, library(DecodingKey::from_ed_components(member("x")?))?)
        }
        ("RSA", _) => {
            let key = DecodingKey::from_rsa_components(member("n")?, member("e")?);
            (Family::Rsa, library(key)?)
        }
        ("oct", _) => {
            let key = DecodingKey::from_secret(&base64::url_decode(member("k")?)?);
            (Family::Hmac, Material::Library(key))
        }
        _ => return None,
    })
}

/// A published document. Some servers put a byte order mark before it, which parsers may
/// ignore (RFC 8259 section 8.1).
fn json_of(document: &[u8]) -> Option<Value> {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    serde_json::from_slice(document).ok()
}

/// All keys a token may have been signed with.
pub(crate) struct KeySet(Vec<Key>);

impl KeySet {
    pub(crate) fn new(keys: Vec<Key>) -> Self {
        Self(keys)
    }

    /// A JWK set document.
    pub(crate) fn from_jwks(document: &[u8]) -> Result<Self, &'static str> {
        let document: Value = json_of(document).ok_or("the JWK set is not JSON")?;
        Self::from_jwk_values(&document)
    }

    fn from_jwk_values(document: &Value) -> Result<Self, &'static str> {
        let keys = document.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or("the JWK set has no `keys` list")?;
        Self::usable(keys.iter().filter_map(Key::from_jwk).collect())
    }

    /// A JSON object of certificates (PEM) by key id, or a JWK set: Google
    /// publishes the same keys both ways.
    pub(crate) fn from_certificates(document: &[u8]) -> Result<Self, &'static str> {
        let document: Value = json_of(document).ok_or("the certificates are not JSON")?;
        if document.get("keys").is_some_and(Value::is_array) {
            return Self::from_jwk_values(&document);
        }
        let members = document.as_object().ok_or("the certificates are not a JSON object")?;
        let keys = members
            .iter()
            .filter_map(|(id, pem)| Key::from_pem(Some(id.clone()), pem.as_str()?.as_bytes()));
        Self::usable(keys.collect())
    }

    fn usable(keys: Vec<Key>) -> Result<Self, &'static str> {
        if keys.is_empty() { Err("none of the keys can verify signatures") } else { Ok(Self(keys)) }
    }

    /// The usual algorithms of these keys, for settings that name none.
    pub(crate) fn usual_algorithms(&self) -> Vec<Algorithm> {
        self.0.iter().map(|key| key.only.unwrap_or_else(|| key.family.usual())).collect()
    }

    pub(crate) fn fits_any(&self, algorithms: &[Algorithm]) -> bool {
        self.0.iter().any(|key| algorithms.iter().any(|&algorithm| key.fits(algorithm)))
    }

    /// Whether any of the keys made this signature (base64url).
    pub(crate) fn believe(&self, message: &[u8], signature: &str, algorithm: &str) -> bool {
        let Some(algorithm) = Algorithm::named(algorithm) else { return false };
        let mut fitting = self.0.iter().filter(|key| key.fits(algorithm));
        fitting.any(|key| key.verifies(message, signature, algorithm))
    }

    /// The keys to try for a token with this header. In a set with key ids the id decides;
    /// a token without one is only accepted where there is nothing to choose.
    pub(crate) fn candidates(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> Result<Vec<&Key>, Rejected> {
        let fitting: Vec<_> = self.0.iter().filter(|key| key.fits(algorithm)).collect();
        if fitting.is_empty() {
            let detail = "the token's algorithm does not fit the type of the configured key";
            return Err(Rejected::new(Reason::AlgNotAllowed, detail));
        }
        if self.0.iter().all(|key| key.id.is_none()) {
            return Ok(fitting);
        }
        let unknown = |detail| Err(Rejected::new(Reason::UnknownKid, detail));
        let Some(id) = id else {
            if fitting.len() > 1 {
                return unknown("the token names no key (`kid`) and several would fit");
            }
            return Ok(fitting);
        };
        let named: Vec<_> =
            fitting.into_iter().filter(|key| key.id.as_deref() == Some(id)).collect();
        if named.is_empty() {
            return unknown("the token names a key (`kid`) that is not in the set");
        }
        Ok(named)
    }
}

/// Keys from the settings, or from a document that is fetched repeatedly.
#[derive(Clone)]
pub(crate) enum Keys {
    Fixed(Arc<KeySet>),
    Remote(Arc<RemoteKeys>),
}

impl Keys {
    pub(crate) fn current(&self) -> Result<Arc<KeySet>, Rejected> {
        match self {
            Self::Fixed(set) => Ok(Arc::clone(set)),
            Self::Remote(remote) => {
                remote.current.load().as_ref().map(|supplied| Arc::clone(&supplied.set)).ok_or_else(
                    || {
                        let detail =
                            format!("the keys at {} have not been fetched yet", remote.url);
                        Rejected::new(Reason::Unavailable, detail)
                    },
                )
            }
        }
    }
}

/// Keys published at a URL. The caller fetches the document and supplies it;
/// until then every token is refused as `unavailable`.
pub struct RemoteKeys {
    url: String,
    read: fn(&[u8]) -> Result<KeySet, &'static str>,
    current: ArcSwapOption<Supplied>,
}

struct Supplied {
    set: Arc<KeySet>,
    fingerprint: Digest,
}

impl RemoteKeys {
    /// `read` knows the notation of the document.
    pub(crate) fn new(url: String, read: fn(&[u8]) -> Result<KeySet, &'static str>) -> Self {
        Self { url, read, current: ArcSwapOption::empty() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn is_supplied(&self) -> bool {
        self.current.load().is_some()
    }

    /// Uses a fetched document from now on. A document that cannot be read leaves
    /// the keys as they were.
    pub fn supply(&self, document: &[u8]) -> Result<(), &'static str> {
        let set = Arc::new((self.read)(document)?);
        let fingerprint = Digest::new(document);
        self.current.store(Some(Arc::new(Supplied { set, fingerprint })));
        Ok(())
    }

    /// Tells key documents apart; zero before the first.
    pub(crate) fn fingerprint(&self) -> Digest {
        self.current.load().as_ref().map_or(Digest::ZERO, |supplied| supplied.fingerprint)
    }
}
