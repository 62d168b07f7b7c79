//! Signed values of the itsdangerous and Django families:
//! `payload<separator>timestamp<separator>signature`.

use super::crypto::{Hash, MacKey};
use super::{base64, zlib};
use crate::base::secret::Secret;
use crate::base::text::span;
use crate::document::{At, FromNode};
use crate::session::rejected::{Reason, Rejected};

/// Seconds by which the app's clock may be ahead of ours.
const LEEWAY: u64 = 5;

/// The way from the app's secret to the key: `key_derivation` of itsdangerous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyDerivation {
    Concat,
    DjangoConcat,
    Hmac,
    None,
}

impl KeyDerivation {
    /// The key for one use of the secret, which the salt names.
    pub(crate) fn key(self, hash: Hash, secret: &Secret, salt: &[u8]) -> MacKey {
        let secret = secret.bytes();
        match self {
            Self::Concat => MacKey::new(hash, &hash.digest(&[salt, secret])),
            Self::DjangoConcat => MacKey::new(hash, &hash.digest(&[salt, b"signer", secret])),
            Self::Hmac => MacKey::new(hash, &MacKey::new(hash, secret).sign(salt)),
            Self::None => MacKey::new(hash, secret),
        }
    }
}

impl FromNode for KeyDerivation {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[
            ("hmac", Self::Hmac),
            ("django-concat", Self::DjangoConcat),
            ("concat", Self::Concat),
            ("none", Self::None),
        ])
    }
}

/// Payload and timestamp of a value whose signature was verified, still encoded.
pub(crate) struct Signed<'v> {
    pub payload: &'v str,
    pub timestamp: &'v str,
}

impl Signed<'_> {
    /// The payload, decoded; a point in front of it marks it as compressed.
    pub(crate) fn content(&self) -> Result<Vec<u8>, Rejected> {
        let (text, is_compressed) = match self.payload.strip_prefix('.') {
            Some(text) => (text, true),
            None => (self.payload, false),
        };
        let bytes = base64::url_decode(text)
            .ok_or_else(|| Rejected::malformed("the payload is not base64url"))?;
        if is_compressed { zlib::inflate(&bytes) } else { Ok(bytes) }
    }
}

/// Verifies a value under any of the keys.
pub(crate) fn verify<'v>(
    value: &'v str,
    separator: char,
    keys: &[MacKey],
) -> Result<Signed<'v>, Rejected> {
    let split = value.rsplit_once(separator).and_then(|(signed, signature)| {
        signed.rsplit_once(separator).map(|parts| (signed, signature, parts))
    });
    let Some((signed, signature, (payload, timestamp))) = split else {
        let detail = format!("the value has no timestamp and signature after `{separator}`");
        return Err(Rejected::malformed(detail));
    };
    let signature = base64::url_decode(signature).unwrap_or_default();
    if !keys.iter().any(|key| key.verifies(signed.as_bytes(), &signature)) {
        return Err(Rejected::bad_signature(keys.len()));
    }
    Ok(Signed { payload, timestamp })
}

/// The end of a value signed at `issued`. A signature from the future comes from a wrong
/// clock, or not from the app. (Django does not check.)
pub(crate) fn expires_at(
    issued: u64,
    max_age: Option<u64>,
    now: u64,
) -> Result<Option<u64>, Rejected> {
    let Some(max_age) = max_age else { return Ok(None) };
    if issued > now.saturating_add(LEEWAY) {
        let detail = format!("signed {} in the future", span(issued - now));
        return Err(Rejected::new(Reason::NotYetValid, detail));
    }
    Ok(Some(issued.saturating_add(max_age)))
}

/// Seconds as big-endian bytes in base64url: itsdangerous.
pub(crate) fn timestamp_bytes(text: &str) -> Result<u64, Rejected> {
    let bytes = base64::url_decode(text).filter(|bytes| (1..=8).contains(&bytes.len()));
    let bytes = bytes.ok_or_else(|| Rejected::malformed("the timestamp is not a number"))?;
    Ok(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}
