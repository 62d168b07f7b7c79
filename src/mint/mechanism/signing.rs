//! The algorithm that signs, and its key.

use std::borrow::Cow;
use std::str::FromStr as _;

use jsonwebtoken::{Algorithm, AlgorithmFamily};

use crate::base::secret::Secret;
use crate::document::At;
use crate::mint::key::{Encoding, KeyTable, Signer, extract, is_pem, weak_key};
use crate::mint::layered_table::LayeredTable;

/// The settings that choose algorithm and key.
pub(super) struct Signing {
    fallback: Option<Algorithm>,
    from_key: bool,
    encoding: Encoding,
}

impl Signing {
    pub(in crate::mint) const KEYS: [&str; 3] = ["alg", "alg_from", "secret_encoding"];

    pub(super) fn from_members(members: &mut LayeredTable<'_, '_, '_>) -> Self {
        let fallback = members.need("alg", "alg = \"HS256\"").and_then(|at| named(&at));
        let alg_from = members.take("alg_from");
        let from_key = alg_from.as_ref().is_some_and(|at| {
            let known = at.text("\"key.alg\"") == Some("key.alg");
            if !known {
                at.wrong("\"key.alg\", the only place an algorithm is read from");
            }
            known
        });
        let encoding = members.get("secret_encoding").unwrap_or(Encoding::Utf8);
        Self { fallback, from_key, encoding }
    }

    /// The algorithm of this key: the one it names itself where that counts, else the
    /// preset's, else the first one that fits a private key.
    pub(super) fn algorithm(&self, keys: &KeyTable, token: &At<'_>) -> Option<Algorithm> {
        if !self.from_key {
            return self.fallback;
        }
        let Some(name) = keys.public("alg") else {
            let (_, secret) = keys.signing()?;
            return fitting(secret, self.fallback?);
        };
        let algorithm = Algorithm::from_str(name).ok();
        if algorithm.is_none() {
            token.problem(format!("`key.alg` is not a signature algorithm, expected {ALGORITHMS}"));
        }
        algorithm
    }

    pub(super) fn signer(
        &self,
        algorithm: Algorithm,
        keys: &KeyTable,
        token: &At<'_>,
    ) -> Option<Signer> {
        let (name, secret) = keys.signing()?;
        let secret = match algorithm.family() {
            // A public key as a shared secret lets everyone who has it make tokens.
            AlgorithmFamily::Hmac if is_pem(secret) => None,
            AlgorithmFamily::Hmac => self.encoding.decode(secret),
            _ => Some(secret.clone()),
        };
        if let (Some(shortest), Some(secret)) = (shortest(algorithm), &secret) {
            weak_key(token, name, secret, shortest);
        }
        let signer = secret.and_then(|secret| Signer::new(algorithm, &secret));
        if signer.is_none() {
            token.problem(format!(
                "`key.{name}` is not a key for {algorithm:?} (the value is not repeated here); \
                 expected {}",
                self.expected(algorithm)
            ));
        }
        signer
    }

    fn expected(&self, algorithm: Algorithm) -> Cow<'static, str> {
        match algorithm.family() {
            AlgorithmFamily::Hmac => format!(
                "a {}; a PEM key signs with `alg` \"RS256\", \"ES256\" or \"EdDSA\"",
                self.encoding.described()
            )
            .into(),
            AlgorithmFamily::Ec => "an EC private key of its curve, as PEM or JWK".into(),
            AlgorithmFamily::Ed => "an Ed25519 private key, as PEM or JWK".into(),
            AlgorithmFamily::Rsa => {
                "an RSA private key of at least 2048 bits, as PEM, base64 of a PEM, JWK or \
                 service-account JSON"
                    .into()
            }
        }
    }
}

/// `usual`, unless the secret is a private key for another algorithm.
fn fitting(secret: &Secret, usual: Algorithm) -> Option<Algorithm> {
    const OTHERS: [Algorithm; 4] =
        [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    if extract(secret).is_none() {
        return Some(usual);
    }
    let usual_first = std::iter::once(usual).chain(OTHERS);
    let mut private = usual_first.filter(|chosen| chosen.family() != AlgorithmFamily::Hmac);
    private.find(|&chosen| Signer::new(chosen, secret).is_some()).or(Some(usual))
}

const ALGORITHMS: &str = "one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, \
                          ES256, ES384, EdDSA";

fn named(at: &At<'_>) -> Option<Algorithm> {
    let name = at.text(ALGORITHMS)?;
    let algorithm = Algorithm::from_str(name).ok();
    if algorithm.is_none() {
        at.wrong(ALGORITHMS);
    }
    algorithm
}

/// Fewest bytes of a shared secret (RFC 7518 section 3.2).
fn shortest(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::HS256 => Some(32),
        Algorithm::HS384 => Some(48),
        Algorithm::HS512 => Some(64),
        _ => None,
    }
}
