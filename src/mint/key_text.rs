//! Private keys in every wrapping vendors hand them out in.
//!
//! PEM (PKCS#8, PKCS#1, SEC 1), PEM with literal `\n`, base64 of a PEM, a JWK,
//! and Google's service-account JSON. Whatever the wrapping, what comes out is
//! DER or a JWK; messages never repeat any of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::secret::Secret;

pub(super) enum KeyText {
    Der(Zeroizing<Vec<u8>>),
    Jwk(Map<String, Value>),
}

/// Finds the key inside its wrapping.
pub(super) fn unwrap(secret: &Secret) -> Option<KeyText> {
    let text = secret.text()?.trim();
    found(text).or_else(|| {
        let packed: String = text.split_whitespace().collect();
        let inner = Zeroizing::new(String::from_utf8(STANDARD.decode(packed).ok()?).ok()?);
        found(inner.trim())
    })
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

fn der(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = Zeroizing::new(text.replace("\\n", "\n"));
    let (_, after) = text.split_once("-----BEGIN ")?;
    let (label, after) = after.split_once("-----")?;
    let (body, _) = after.split_once("-----END ")?;
    if !label.ends_with("PRIVATE KEY") || label.contains("ENCRYPTED") {
        return None;
    }
    let packed = Zeroizing::new(body.split_whitespace().collect::<String>());
    STANDARD.decode(packed.as_bytes()).ok().map(Zeroizing::new)
}

/// What a key file says beside the key: `client_email` of a service account,
/// `kid` and `alg` of a JWK.
pub(super) fn described(secret: &Secret) -> Vec<(String, String)> {
    let text = secret.text().unwrap_or_default().trim();
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return Vec::new() };
    const PUBLIC: [&str; 5] = ["alg", "client_email", "kid", "private_key_id", "project_id"];
    let public = |name: &str| Some((name.to_owned(), members.get(name)?.as_str()?.to_owned()));
    PUBLIC.into_iter().filter_map(public).collect()
}
