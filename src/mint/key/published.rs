//! Public keys of the gateway, as `/.well-known/jwks.json` lists them.
//!
//! A `PublicKey` can only be made from a private key, or from what the process before
//! this one has published, so no setting can publish a shared secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::signer::PrivateKey;
use crate::base::digest::Digest;

/// The public half of a signing key, with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicKey {
    kid: String,
    algorithm: String,
    jwk: Value,
}

impl PublicKey {
    /// The public half of `key`. Without a `kid` its name is its thumbprint, which is
    /// the same on every machine and at any time.
    pub(in crate::mint) fn new(key: &PrivateKey, kid: Option<&str>) -> Self {
        let (algorithm, members) = (key.algorithm(), key.public_members());
        let kid = kid.map_or_else(|| thumbprint(&members), str::to_owned);
        let mut jwk = Map::new();
        for (name, value) in [("kid", kid.as_str()), ("use", "sig"), ("alg", &algorithm)] {
            jwk.insert(name.to_owned(), value.into());
        }
        jwk.extend(members);
        Self { kid, algorithm, jwk: Value::Object(jwk) }
    }

    /// A key as another process lists it; `None` where it is not a public one.
    pub(in crate::mint) fn from_jwk(jwk: Value) -> Option<Self> {
        const PRIVATE: [&str; 2] = ["d", "k"];
        let text = |name| jwk.get(name)?.as_str().map(str::to_owned);
        let (kid, algorithm) = (text("kid")?, text("alg")?);
        let is_public = text("kty").is_some() && !PRIVATE.iter().any(|it| jwk.get(it).is_some());
        is_public.then_some(Self { kid, algorithm, jwk })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The key as a key set lists it (RFC 7517).
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }
}

/// The thumbprint of RFC 7638: a digest over the required members, ordered by name and
/// without spaces.
fn thumbprint(members: &Map<String, Value>) -> String {
    let mut ordered: Vec<_> =
        members.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    ordered.sort_by(|(one, _), (other, _)| one.cmp(other));
    let text = Value::Object(ordered.into_iter().collect()).to_string();
    URL_SAFE_NO_PAD.encode(Digest::new(text.as_bytes()).bytes())
}
