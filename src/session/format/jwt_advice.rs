//! Advice on a refused token: nothing is advised that was not tried here.

use crate::base::secret::Secret;
use crate::base::text::from_hex;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::{self, Key, KeySet};
use crate::session::codec::{base64, jws};
use crate::session::cookie_names::SentCookies;
use crate::session::rejected::{Reason, Rejected};

/// The token was signed with the secret decoded from base64 or hex.
pub(super) fn encoded_secret(
    token: &[u8],
    allowed: &[Algorithm],
    secrets: &[Secret],
) -> Option<String> {
    let verifies = |bytes: Vec<u8>| {
        let keys = KeySet::new(vec![Key::from_secret(&Secret::new(bytes))]);
        jws::verify(token, &keys, allowed, &TokenTypes::default()).is_ok()
    };
    let text = |secret: &Secret| secret.text().map(|text| text.trim().to_owned());
    let found = |decode: fn(&str) -> Option<Vec<u8>>| {
        secrets.iter().filter_map(text).filter_map(|text| decode(&text)).any(verifies)
    };
    let prefix = if found(|text| base64::decode(text).or_else(|| base64::url_decode(text))) {
        "base64:"
    } else if found(|text| from_hex(text.as_bytes())) {
        "hex:"
    } else {
        return None;
    };
    Some(format!(
        "the app decodes its secret before it signs: put `{prefix}` before the value of the variable"
    ))
}

/// Another cookie holds the rest of the token.
pub(super) fn split(
    own: &str,
    half: &[u8],
    sent: SentCookies<'_>,
    verifies: impl Fn(&[u8]) -> bool,
) -> Option<String> {
    let dots = half.iter().filter(|&&b| b == b'.').count();
    let joined = |value: &[u8], is_first: bool| {
        let (first, second) = if is_first { (half, value) } else { (value, half) };
        [first, b".", second].concat()
    };
    sent.cookies.iter().filter(|(name, _)| *name != own.as_bytes()).find_map(|(name, value)| {
        let is_first = dots == 1;
        verifies(&joined(value, is_first)).then(|| {
            let other = String::from_utf8_lossy(name);
            let (first, second) = if is_first { (own, &*other) } else { (&*other, own) };
            format!("the token is split over two cookies; write cookies = [{first:?}, {second:?}]")
        })
    })
}

/// The settings do not allow the algorithm that signed: they have a key of another type, or
/// only do not name it.
pub(super) fn other_algorithm(
    token: &[u8],
    why: &Rejected,
    keys: Option<&KeySet>,
) -> Option<String> {
    if why.reason != Reason::AlgNotAllowed {
        return None;
    }
    let found = jws::unverified_algorithm(token)?;
    let name = format!("{found:?}");
    let fitting = keys.filter(|keys| keys.fits_any(&[found]));
    if fitting.is_some_and(|keys| signed_by(token, keys, &name)) {
        return Some(format!(
            "the app signs with {name}, and with the key that is set here: write algorithms = \
             [{name:?}]"
        ));
    }
    let named = match verifying_keys::is_usual(found) && fitting.is_none() {
        true => String::new(),
        false => format!(", and algorithms = [{name:?}]"),
    };
    let another = if fitting.is_some() { "; the key that is set here did not sign it" } else { "" };
    Some(if found.is_symmetric() {
        format!(
            "the app signs with {name} and a shared secret: write `secret` with it{named}{another}"
        )
    } else {
        format!(
            "the app, or its provider, signs with {name} and a private key: write `jwks_url`, \
             `jwks` or `public_key`{named}{another}"
        )
    })
}

/// Whether one of the keys signed the token, whatever the settings allow.
fn signed_by(token: &[u8], keys: &KeySet, algorithm: &str) -> bool {
    let Ok(token) = std::str::from_utf8(token) else { return false };
    let parts = token.rsplit_once('.');
    parts.is_some_and(|(message, mac)| keys.believe(message.as_bytes(), mac, algorithm))
}
