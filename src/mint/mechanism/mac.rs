//! Signatures over plain text: the hash, the key and the encoding of the result.

use aws_lc_rs::{digest, hmac};
use jsonwebtoken::Algorithm;

use crate::base::secret::Secret;
use crate::document::{At, FromNode, Node};
use crate::mint::error::MintError;
use crate::mint::key::{Encoding, Signer, weak_key};
use crate::mint::layered_table::LayeredTable;
use crate::mint::template::{self, Alphabet, Names};

/// Hash, key and the encoding of the result.
pub(in crate::mint) struct Mac {
    kind: MacKind,
    encode: Alphabet,
}

enum MacKind {
    /// ECDSA, written as DER (RFC 3279 section 2.2.3), as OpenSSL does.
    Ecdsa(Box<Signer>),
    Hmac(Box<hmac::Key>),
    /// RSA with the padding of PKCS#1 v1.5.
    Rsa(Box<Signer>),
    SecretPrefix(&'static digest::Algorithm, Secret),
    SecretSuffix(&'static digest::Algorithm, Secret),
}

/// The `mode` of a signature.
#[derive(Clone, Copy)]
enum Mode {
    Ecdsa,
    Hmac,
    Rsa,
    SecretPrefix,
    SecretSuffix,
}

type Take<'f, 'p> = &'f mut dyn FnMut(&'static str) -> Option<At<'p>>;

impl Mac {
    pub(in crate::mint) const KEYS: [&str; 5] =
        ["encode", "hash", "hash_from", "mode", "secret_encoding"];

    /// The signature with the key that signs.
    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let Some(key) = names.keys.signing() else {
            if !names.keys.is_absent() {
                names.token.problem("`secret` is missing; write the member of `key` that signs");
            }
            return None;
        };
        Self::read(&mut |member| members.take(member), key, names)
    }

    /// The signature `take` describes, with this member of the key.
    pub(super) fn read(
        take: Take<'_, '_>,
        (name, secret): (&str, &Secret),
        names: &Names<'_>,
    ) -> Option<Self> {
        let hash = hash(take, names);
        let encode = take("encode").map_or(Some(Alphabet::Hex), |at| at.read());
        let encoding = take("secret_encoding").map_or(Some(Encoding::Utf8), |at| at.read());
        let mode = take("mode").map_or(Some(Mode::Hmac), |at| at.read());
        let (hash, mode) = (hash?, mode?);
        let shared = || shared(name, secret, encoding?, names);
        let kind = match mode {
            Mode::Ecdsa => MacKind::Ecdsa(Box::new(private(ecdsa(hash), (name, secret), names)?)),
            Mode::Hmac => MacKind::Hmac(Box::new(hmac::Key::new(hash, shared()?.bytes()))),
            Mode::Rsa => MacKind::Rsa(Box::new(private(rsa(hash), (name, secret), names)?)),
            Mode::SecretPrefix => MacKind::SecretPrefix(hash.digest_algorithm(), shared()?),
            Mode::SecretSuffix => MacKind::SecretSuffix(hash.digest_algorithm(), shared()?),
        };
        Some(Self { kind, encode: encode? })
    }

    /// Signs `text`, and encodes the signature. Only private keys may fail.
    pub(super) fn sign(&self, text: &str) -> Result<String, MintError> {
        let text = text.as_bytes();
        Ok(match &self.kind {
            MacKind::Ecdsa(signer) => self.encode.apply(&der(&signer.sign(text)?)),
            MacKind::Hmac(key) => self.encode.apply(hmac::sign(key, text).as_ref()),
            MacKind::Rsa(signer) => self.encode.apply(&signer.sign(text)?),
            MacKind::SecretPrefix(algorithm, secret) => {
                self.encode.apply(hashed(algorithm, [secret.bytes(), text]).as_ref())
            }
            MacKind::SecretSuffix(algorithm, secret) => {
                self.encode.apply(hashed(algorithm, [text, secret.bytes()]).as_ref())
            }
        })
    }
}

fn hashed(algorithm: &'static digest::Algorithm, parts: [&[u8]; 2]) -> digest::Digest {
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

/// A shared secret in its encoding.
fn shared(name: &str, secret: &Secret, encoding: Encoding, names: &Names<'_>) -> Option<Secret> {
    let decoded = encoding.decode(secret);
    match &decoded {
        None => names.token.problem(format!(
            "`key.{name}` is not {} (the value is not repeated here); copy it again as the vendor \
             shows it",
            encoding.described()
        )),
        Some(secret) => weak_key(names.token, name, secret, 32),
    }
    decoded
}

/// A private key for one algorithm.
fn private(
    algorithm: Option<Algorithm>,
    (name, secret): (&str, &Secret),
    names: &Names<'_>,
) -> Option<Signer> {
    let Some(algorithm) = algorithm else {
        names.token.problem(
            "a private key signs with hash = \"sha256\", \"sha384\" or (RSA) \"sha512\"; SHA-1 is \
             broken for signatures",
        );
        return None;
    };
    let signer = Signer::new(algorithm, secret);
    if signer.is_none() {
        names.token.problem(format!(
            "`key.{name}` is not a private key for this signature (the value is not repeated \
             here); expected a PEM file"
        ));
    }
    signer
}

fn rsa(hash: hmac::Algorithm) -> Option<Algorithm> {
    match hash {
        hash if hash == hmac::HMAC_SHA256 => Some(Algorithm::RS256),
        hash if hash == hmac::HMAC_SHA384 => Some(Algorithm::RS384),
        hash if hash == hmac::HMAC_SHA512 => Some(Algorithm::RS512),
        _ => None,
    }
}

/// The curve is the one the hash belongs to.
fn ecdsa(hash: hmac::Algorithm) -> Option<Algorithm> {
    match hash {
        hash if hash == hmac::HMAC_SHA256 => Some(Algorithm::ES256),
        hash if hash == hmac::HMAC_SHA384 => Some(Algorithm::ES384),
        _ => None,
    }
}

/// `r` and `s` of equal length, as a DER sequence of two integers. Both curves stay below
/// the length where DER would need a longer form.
fn der(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let integers = [integer(r), integer(s)].concat();
    let mut sequence = vec![0x30];
    sequence.extend(u8::try_from(integers.len()));
    sequence.extend(integers);
    sequence
}

/// An unsigned integer: no leading zeros, but one where the first bit is set.
fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    let mut bytes = number.get(zeros..).unwrap_or_default().to_vec();
    if bytes.first().is_none_or(|&byte| byte >= 0x80) {
        bytes.insert(0, 0);
    }
    let mut written = vec![0x02];
    written.extend(u8::try_from(bytes.len()));
    written.extend(bytes);
    written
}

impl FromNode for Mode {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[
            ("hmac", Self::Hmac),
            ("hash-with-secret-prefix", Self::SecretPrefix),
            ("hash-with-secret-suffix", Self::SecretSuffix),
            ("rsa", Self::Rsa),
            ("ecdsa", Self::Ecdsa),
        ])
    }
}

/// The hash a preset fixes, or the one a parameter chooses.
fn hash(take: Take<'_, '_>, names: &Names<'_>) -> Option<hmac::Algorithm> {
    const EXPECTED: &str = r#""sha1", "sha256", "sha384" or "sha512""#;
    let fixed = take("hash");
    let Some(from) = take("hash_from") else {
        let Some(at) = fixed else {
            names.token.problem("`hash` is missing; write hash = \"sha256\"");
            return None;
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

/// A further signature of a token, with its own member of the key.
pub(super) struct Further {
    pub mac: Mac,
    pub text: template::Text,
}

impl Further {
    /// Reads `{ secret = "…", text = "…", … }`. `Err` says what the operator has not set,
    /// so that a preset can offer more to those who have set it.
    pub(super) fn from_node(at: &At<'_>, names: &Names<'_>) -> Option<Result<Self, String>> {
        let mut table = at.table()?;
        let name = table.need::<String>("secret", "secret = \"MEMBER\", a member of `key`");
        let text = table.take_needed("text", "text = \"…\", the text to sign");
        let length: Option<usize> = table.get("secret_length");
        let name = name?;
        let Some(secret) = names.keys.secret(&name) else {
            for key in Mac::KEYS {
                table.take(key);
            }
            table.finish();
            return Some(Err(format!("`key.{name}` is not set, so this kind is refused")));
        };
        let mac = Mac::read(&mut |key| table.take(key), (&name, secret), names);
        table.finish();
        let (mac, text) = (mac?, template::text(&text?, names)?);
        if length.is_some_and(|length| !mac.has_secret_of(length)) {
            names.token.problem(format!(
                "`key.{name}` does not have the {} bytes of the vendor's keys (the value is not \
                 repeated here)",
                length.unwrap_or_default()
            ));
            return None;
        }
        Some(Ok(Self { mac, text }))
    }
}

impl Mac {
    pub(super) fn signs_with_rsa(&self) -> bool {
        matches!(self.kind, MacKind::Rsa(_))
    }

    /// Whether its decoded secret has this many bytes. Only kept secrets can tell.
    fn has_secret_of(&self, length: usize) -> bool {
        match &self.kind {
            MacKind::SecretPrefix(_, secret) | MacKind::SecretSuffix(_, secret) => {
                secret.bytes().len() == length
            }
            MacKind::Ecdsa(_) | MacKind::Hmac(_) | MacKind::Rsa(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ecdsa_signature_is_written_as_two_short_integers() {
        let (r, s) = ([0x80, 1], [0, 2]);
        assert_eq!(der(&[r, s].concat()), [0x30, 8, 2, 3, 0, 0x80, 1, 2, 1, 2]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }
}
