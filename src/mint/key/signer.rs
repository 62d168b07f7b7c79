//! Signing keys, parsed once when settings are read.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair, RsaSignatureEncoding,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::text::{KeyText, extract};
use crate::base::secret::Secret;
use crate::mint::error::MintError;

/// A key for one algorithm.
pub(crate) enum Signer {
    Private(PrivateKey),
    Shared(Box<hmac::Key>),
}

/// A key whose public half may be published. A shared secret never becomes one.
pub(crate) struct PrivateKey {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static RsaSignatureEncoding),
}

impl Signer {
    pub(in crate::mint) fn is_rsa(&self) -> bool {
        match self {
            Self::Private(key) => matches!(key.pair, Pair::Rsa(..)),
            Self::Shared(_) => false,
        }
    }

    /// Builds the key for `algorithm`; `None` if the secret does not hold such a key.
    pub(crate) fn new(algorithm: Algorithm, secret: &Secret) -> Option<Self> {
        let shared = |hash| Some(Self::Shared(Box::new(hmac::Key::new(hash, secret.bytes()))));
        match algorithm {
            Algorithm::HS256 => shared(hmac::HMAC_SHA256),
            Algorithm::HS384 => shared(hmac::HMAC_SHA384),
            Algorithm::HS512 => shared(hmac::HMAC_SHA512),
            private => {
                let pair = Pair::new(private, &extract(secret)?)?;
                Some(Self::Private(PrivateKey { algorithm, pair }))
            }
        }
    }

    /// Signs `message`; private keys may fail, shared ones never do.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, MintError> {
        match self {
            Self::Private(key) => key.sign(message),
            Self::Shared(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
        }
    }
}

impl Signer {
    /// Whether this key has made the signature.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Private(key) => key.verifies(message, signature),
            Self::Shared(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

impl Pair {
    fn new(algorithm: Algorithm, key: &KeyText) -> Option<Self> {
        match algorithm {
            Algorithm::ES256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, key),
            Algorithm::ES384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, key),
            Algorithm::EdDSA => ed25519(key),
            Algorithm::RS256 => rsa(&signature::RSA_PKCS1_SHA256, key),
            Algorithm::RS384 => rsa(&signature::RSA_PKCS1_SHA384, key),
            Algorithm::RS512 => rsa(&signature::RSA_PKCS1_SHA512, key),
            Algorithm::PS256 => rsa(&signature::RSA_PSS_SHA256, key),
            Algorithm::PS384 => rsa(&signature::RSA_PSS_SHA384, key),
            Algorithm::PS512 => rsa(&signature::RSA_PSS_SHA512, key),
            _ => None,
        }
    }
}

impl PrivateKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, MintError> {
        let random = SystemRandom::new();
        let signed = match &self.pair {
            Pair::Ecdsa(pair) => {
                pair.sign(&random, message).map(|signature| signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).map(|()| signature)
            }
        };
        signed.map_err(|_| MintError::Unavailable("signing failed".into()))
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(algorithm) = verification(self.algorithm) else { return false };
        let public = match &self.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair, _) => pair.public_key().as_ref(),
        };
        UnparsedPublicKey::new(algorithm, public).verify(message, signature).is_ok()
    }

    /// The algorithm's name in headers and key sets (RFC 7518 section 3.1).
    pub(in crate::mint) fn algorithm(&self) -> String {
        format!("{:?}", self.algorithm)
    }

    /// The members of its public half (RFC 7518 section 6), no others.
    pub(super) fn public_members(&self) -> Map<String, Value> {
        let member = |(name, value): (&str, String)| (name.to_owned(), Value::String(value));
        match &self.pair {
            Pair::Ecdsa(pair) => {
                // SEC 1: 4, then x and y of equal length.
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                let (kty, crv) = ("EC".to_owned(), curve.to_owned());
                [("kty", kty), ("crv", crv), ("x", encoded(x)), ("y", encoded(y))]
                    .map(member)
                    .into_iter()
                    .collect()
            }
            Pair::Ed25519(pair) => {
                let (kty, crv) = ("OKP".to_owned(), "Ed25519".to_owned());
                let x = encoded(pair.public_key().as_ref());
                [("kty", kty), ("crv", crv), ("x", x)].map(member).into_iter().collect()
            }
            Pair::Rsa(pair, _) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                let (n, e) = (encoded(&public.n), encoded(&public.e));
                [("kty", "RSA".to_owned()), ("n", n), ("e", e)].map(member).into_iter().collect()
            }
        }
    }
}

/// How a signature of this algorithm is verified; `None` for shared secrets.
fn verification(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDSA => &signature::ED25519,
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, key: &KeyText) -> Option<Pair> {
    let pair = match key {
        KeyText::Der(der) => EcdsaKeyPair::from_private_key_der(algorithm, der),
        KeyText::Jwk(jwk) => {
            let point = [vec![4], decoded(jwk, "x")?, decoded(jwk, "y")?].concat();
            EcdsaKeyPair::from_private_key_and_public_key(algorithm, &decoded(jwk, "d")?, &point)
        }
    };
    pair.ok().map(Pair::Ecdsa)
}

fn ed25519(key: &KeyText) -> Option<Pair> {
    let pair = match key {
        KeyText::Der(der) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der),
        KeyText::Jwk(jwk) => {
            Ed25519KeyPair::from_seed_and_public_key(&decoded(jwk, "d")?, &decoded(jwk, "x")?)
        }
    };
    pair.ok().map(Pair::Ed25519)
}

fn rsa(encoding: &'static RsaSignatureEncoding, key: &KeyText) -> Option<Pair> {
    let pair = match key {
        KeyText::Der(der) => RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)),
        KeyText::Jwk(jwk) => RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n: decoded(jwk, "n")?, e: decoded(jwk, "e")? },
            d: decoded(jwk, "d")?,
            p: decoded(jwk, "p")?,
            q: decoded(jwk, "q")?,
            dP: decoded(jwk, "dp")?,
            dQ: decoded(jwk, "dq")?,
            qInv: decoded(jwk, "qi")?,
        }),
    };
    pair.ok().map(|pair| Pair::Rsa(pair, encoding))
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(jwk: &Map<String, Value>, member: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.get(member)?.as_str()?.trim_end_matches('=')).ok()
}
