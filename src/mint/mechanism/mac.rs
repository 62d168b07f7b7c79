//! Signatures over plain text: the hash, the key and the encoding of the result.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::secret::Secret;
use crate::base::text::hex;
use crate::document::{At, FromNode, Node};
use crate::mint::key::{Encoding, KeyTable};
use crate::mint::layered_table::LayeredTable;
use crate::mint::template::{self, Names};

/// Hash, key and the encoding of the result.
pub(in crate::mint) struct Mac {
    kind: MacKind,
    encode: Encode,
}

enum MacKind {
    Hmac(Box<hmac::Key>),
    SecretSuffix(&'static digest::Algorithm, Secret),
}

#[derive(Clone, Copy)]
enum Encode {
    Base64,
    Hex,
}

impl Mac {
    pub(in crate::mint) const KEYS: [&str; 5] =
        ["encode", "hash", "hash_from", "mode", "secret_encoding"];

    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let hash = hash(members, names);
        let encode = members.get("encode").unwrap_or(Encode::Hex);
        let encoding = members.get("secret_encoding").unwrap_or(Encoding::Utf8);
        let mode = members.take("mode");
        let suffix = match mode.as_ref().map(|at| (at, at.text("a mode"))) {
            None | Some((_, Some("hmac"))) => false,
            Some((_, Some("hash-with-secret-suffix"))) => true,
            Some((at, _)) => {
                at.wrong(r#""hmac" or "hash-with-secret-suffix""#);
                return None;
            }
        };
        let secret = decoded(names.keys, encoding, names.token)?;
        let hash = hash?;
        let kind = if suffix {
            MacKind::SecretSuffix(hash.digest_algorithm(), secret)
        } else {
            MacKind::Hmac(Box::new(hmac::Key::new(hash, secret.bytes())))
        };
        Some(Self { kind, encode })
    }

    /// Signs `text`, and encodes the signature.
    pub(super) fn sign(&self, text: &str) -> String {
        match &self.kind {
            MacKind::Hmac(key) => self.encode.apply(hmac::sign(key, text.as_bytes()).as_ref()),
            MacKind::SecretSuffix(algorithm, secret) => {
                let mut context = digest::Context::new(algorithm);
                context.update(text.as_bytes());
                context.update(secret.bytes());
                self.encode.apply(context.finish().as_ref())
            }
        }
    }
}

fn decoded(keys: &KeyTable, encoding: Encoding, token: &At<'_>) -> Option<Secret> {
    let (name, secret) = keys.signing()?;
    let decoded = encoding.decode(secret);
    if decoded.is_none() {
        token.problem(format!("`key.{name}` is not in the encoding the preset names"));
    }
    decoded
}

impl Encode {
    fn apply(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => STANDARD.encode(bytes),
            Self::Hex => hex(bytes),
        }
    }
}

impl FromNode for Encode {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""hex" or "base64""#;
        match at.text(EXPECTED)? {
            "base64" => Some(Self::Base64),
            "hex" => Some(Self::Hex),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}

/// The hash a preset fixes, or the one a parameter chooses.
fn hash(members: &mut LayeredTable<'_, '_, '_>, names: &Names<'_>) -> Option<hmac::Algorithm> {
    const EXPECTED: &str = r#""sha1", "sha256", "sha384" or "sha512""#;
    let fixed = members.take("hash");
    let Some(from) = members.take("hash_from") else {
        let at = match fixed {
            Some(at) => at,
            None => members.need("hash", "hash = \"sha256\"")?,
        };
        let found = algorithm(at.text(EXPECTED)?);
        if found.is_none() {
            at.wrong(EXPECTED);
        }
        return found;
    };
    let path = from.text("\"param.NAME\"")?.strip_prefix("param.").unwrap_or_default().to_owned();
    let node = Node::from_json(&serde_json::Value::from(format!("{{param.{path}}}")));
    let chosen = template::value(&At { node: &node, ..from.clone() }, names)?;
    let found = chosen.fixed().and_then(serde_json::Value::as_str).and_then(algorithm);
    if found.is_none() {
        names.token.problem(format!("`params.{path}` must be {EXPECTED}"));
    }
    found
}

fn algorithm(name: &str) -> Option<hmac::Algorithm> {
    match name {
        "sha1" => Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        "sha256" => Some(hmac::HMAC_SHA256),
        "sha384" => Some(hmac::HMAC_SHA384),
        "sha512" => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}
