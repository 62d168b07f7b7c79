//! Private keys in every wrapping vendors hand them out in.
//!
//! PEM (PKCS#8, PKCS#1, SEC 1), PEM with literal `\n`, base64 of a PEM or of its
//! content, a JWK, and Google's service-account JSON. Out of every
//! wrapping comes DER or a JWK. No message repeats any of it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::base::secret::Secret;

/// A private key out of its wrapping.
pub(in crate::mint) enum KeyText {
    Der(Zeroizing<Vec<u8>>),
    Jwk(Map<String, Value>),
}

/// With padding or without: copying often loses it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The first octet of every DER key: a sequence.
const SEQUENCE: u8 = 0x30;

/// Finds the key inside its wrapping.
pub(in crate::mint) fn extract(secret: &Secret) -> Option<KeyText> {
    let text = secret.text()?.trim();
    found(text).or_else(|| {
        let inner = unpacked(text)?;
        if inner.first() == Some(&SEQUENCE) {
            return Some(KeyText::Der(inner));
        }
        found(std::str::from_utf8(&inner).ok()?.trim())
    })
}

/// Whether the text is a PEM file, which no shared secret is.
pub(in crate::mint) fn is_pem(secret: &Secret) -> bool {
    secret.text().is_some_and(|text| text.contains("-----BEGIN "))
}

fn found(text: &str) -> Option<KeyText> {
    if text.starts_with('{') {
        let Value::Object(members) = serde_json::from_str(text).ok()? else { return None };
        return match members.get("private_key") {
            Some(Value::String(pem)) => der(pem).map(KeyText::Der),
            _ => members.contains_key("kty").then_some(KeyText::Jwk(members)),
        };
    }
    der(text).map(KeyText::Der)
}

/// The private key of a PEM file, which may hold a curve's parameters, the public
/// half or a certificate before it.
fn der(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n"));
    let (label, body) = text.split("-----BEGIN ").skip(1).find_map(|block| {
        let (label, after) = block.split_once("-----")?;
        label.ends_with("PRIVATE KEY").then_some((label, after))
    })?;
    let (body, _) = body.split_once("-----END ")?;
    if label.contains("ENCRYPTED") {
        return None;
    }
    unpacked(body)
}

/// Decodes base64 of either alphabet, across lines.
fn unpacked(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let standard = |c| match c {
        '-' => '+',
        '_' => '/',
        other => other,
    };
    let packed: String = text.split_whitespace().flat_map(str::chars).map(standard).collect();
    BASE64.decode(Zeroizing::new(packed).as_bytes()).ok().map(Zeroizing::new)
}

/// The public members of a key file: `client_email` of a service account, `kid` and
/// `alg` of a JWK.
pub(super) fn described(secret: &Secret) -> Vec<(String, String)> {
    let text = secret.text().unwrap_or_default().trim();
    let unpacked = if text.starts_with('{') { None } else { unpacked(text) };
    let json = unpacked.as_ref().map_or(text.as_bytes(), |inner| inner.as_slice());
    let Ok(Value::Object(members)) = serde_json::from_slice(json) else { return Vec::new() };
    const PUBLIC: [&str; 5] = ["alg", "client_email", "kid", "private_key_id", "project_id"];
    let public = |name: &str| Some((name.to_owned(), members.get(name)?.as_str()?.to_owned()));
    PUBLIC.into_iter().filter_map(public).collect()
}
