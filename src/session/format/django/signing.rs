//! `django.core.signing`: payload, timestamp and signature, joined by colons.

use serde_json::Value;

use crate::base::secret::Secret;
use crate::session::Rejected;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::itsdangerous::KeyDerivation;
use crate::session::codec::{itsdangerous, json};

pub(super) struct Signer(Vec<MacKey>);

impl Signer {
    /// The keys under one of Django's salts: each use of the secret has its own.
    pub(super) fn new(secrets: &[Secret], salt: &str) -> Self {
        let key = |secret| KeyDerivation::DjangoConcat.key(Hash::Sha256, secret, salt.as_bytes());
        let keys = secrets.iter().map(key);
        Self(keys.collect())
    }

    /// The session, and when it was signed.
    pub(super) fn open(&self, value: &str) -> Result<(Value, u64), Rejected> {
        let signed = itsdangerous::verify(value, ':', &self.0)?;
        let issued = base62(signed.timestamp)
            .ok_or_else(|| Rejected::malformed("the timestamp is not a base-62 number"))?;
        Ok((json::parse_python(&signed.content()?)?, issued))
    }
}

fn base62(text: &str) -> Option<u64> {
    const DIGITS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if text.is_empty() {
        return None;
    }
    text.chars().try_fold(0_u64, |number, digit| {
        let value = u64::try_from(DIGITS.find(digit)?).ok()?;
        number.checked_mul(62)?.checked_add(value)
    })
}
