//! Encrypted tokens (JWE compact, RFC 7516) under a key both sides know.
//!
//! Only `dir` with the one encryption a format uses is opened: anything else the
//! header asks for (password-based keys, compression) is refused before any work
//! is done for it.

use serde_json::Value;

use super::crypto::{Hash, MacKey, open_cbc, open_gcm};
use crate::base::secret::Secret;
use crate::session::codec::{base64, claims};
use crate::session::rejected::{Reason, Rejected};

/// Content encryption (RFC 7518 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    A256CbcHs512,
    A256Gcm,
}

impl Encryption {
    const fn name(self) -> &'static str {
        match self {
            Self::A256CbcHs512 => "A256CBC-HS512",
            Self::A256Gcm => "A256GCM",
        }
    }

    pub(crate) const fn key_length(self) -> usize {
        match self {
            Self::A256CbcHs512 => 64,
            Self::A256Gcm => 32,
        }
    }
}

/// A content key for one encryption.
pub(crate) struct Key {
    pub encryption: Encryption,
    pub secret: Secret,
}

/// An opened token.
pub(crate) struct EncryptedToken {
    pub header: Value,
    pub plaintext: Vec<u8>,
}

/// Opens `token` with the key that fits.
pub(crate) fn open<'k>(
    token: &[u8],
    keys: impl Iterator<Item = &'k Key> + Clone,
) -> Result<EncryptedToken, Rejected> {
    let parts: Vec<_> = token.split(|&b| b == b'.').collect();
    let &[header_text, encrypted_key, iv, ciphertext, tag] = parts.as_slice() else {
        let found = parts.len();
        return Err(Rejected::malformed(format!(
            "an encrypted token has 5 parts, but this one has {found}"
        )));
    };
    let header = base64::url_decode(header_text)
        .ok_or_else(|| Rejected::malformed("the header is not base64url"))?;
    let header = claims::object(&header)?;
    let encryption = check_header(&header, keys.clone())?;
    if !encrypted_key.is_empty() {
        return Err(Rejected::malformed("an encrypted key where the format has none"));
    }
    let decode = |part, name| {
        base64::url_decode(part)
            .ok_or_else(|| Rejected::malformed(format!("the {name} is not base64url")))
    };
    let sealed = Sealed {
        additional: header_text,
        iv: decode(iv, "initialization vector")?,
        ciphertext: decode(ciphertext, "ciphertext")?,
        tag: decode(tag, "tag")?,
    };
    sealed.check_lengths(encryption)?;
    let mut tried = 0;
    for key in keys.filter(|key| key.encryption == encryption) {
        tried += 1;
        if let Some(plaintext) = sealed.open(key) {
            return Ok(EncryptedToken { header, plaintext });
        }
    }
    Err(Rejected::bad_signature(tried))
}

/// The encryption the header asks for, if one of the keys is for it.
fn check_header<'k>(
    header: &Value,
    mut keys: impl Iterator<Item = &'k Key>,
) -> Result<Encryption, Rejected> {
    let name = claims::text(header, "enc").unwrap_or_default();
    let key = keys.find(|key| key.encryption.name() == name);
    let Some(key) = key.filter(|_| claims::text(header, "alg") == Some("dir")) else {
        let detail = "the header names another `alg` or `enc` than this kind uses";
        return Err(Rejected::new(Reason::AlgNotAllowed, detail));
    };
    for name in ["crit", "zip"] {
        if header.get(name).is_some() {
            let detail = format!("the header has `{name}`, which this kind never writes");
            return Err(Rejected::new(Reason::UnknownCrit, detail));
        }
    }
    Ok(key.encryption)
}

struct Sealed<'t> {
    additional: &'t [u8],
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

impl Sealed<'_> {
    fn check_lengths(&self, encryption: Encryption) -> Result<(), Rejected> {
        let expected = match encryption {
            Encryption::A256CbcHs512 => (16, 32),
            Encryption::A256Gcm => (12, 16),
        };
        if (self.iv.len(), self.tag.len()) == expected {
            return Ok(());
        }
        Err(Rejected::malformed("the initialization vector or the tag has the wrong length"))
    }

    fn open(&self, key: &Key) -> Option<Vec<u8>> {
        let secret = key.secret.bytes();
        match key.encryption {
            Encryption::A256Gcm => {
                open_gcm(secret, &self.iv, self.additional, &self.ciphertext, &self.tag)
            }
            Encryption::A256CbcHs512 => {
                let (mac, cipher) = secret.split_at_checked(32)?;
                let bits = u64::try_from(self.additional.len()).ok()?.checked_mul(8)?;
                let message =
                    [self.additional, &self.iv, &self.ciphertext, &bits.to_be_bytes()].concat();
                let mac = MacKey::new(Hash::Sha512, mac);
                if !mac.verifies_prefix(&message, &self.tag, 32) {
                    return None;
                }
                open_cbc(cipher, &self.iv, &self.ciphertext)
            }
        }
    }
}
