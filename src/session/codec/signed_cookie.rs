//! `VALUE.MAC`, the MAC HMAC-SHA-256 in base64 over the value: cookies that React
//! Router and Remix sign.

use super::base64;
use super::crypto::MacKey;
use crate::session::rejected::{Reason, Rejected};

/// The value, if one of the keys signed it.
pub(crate) fn verify<'v>(signed: &'v str, keys: &[MacKey]) -> Result<&'v str, Rejected> {
    let Some((value, signature)) = signed.rsplit_once('.') else {
        let detail = "the value is not signed; give the app's session storage `secrets`";
        return Err(Rejected::new(Reason::BadSignature, detail));
    };
    let signature = base64::decode(signature).unwrap_or_default();
    if !keys.iter().any(|key| key.verifies(value.as_bytes(), &signature)) {
        return Err(Rejected::bad_signature(keys.len()));
    }
    Ok(value)
}
