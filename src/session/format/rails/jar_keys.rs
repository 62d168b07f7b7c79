//! The keys of Rails' encrypted and signed cookie jars.

use std::num::NonZeroU32;

use crate::base::secret::Secret;
use crate::document::{At, FromNode};
use crate::session::Rejected;
use crate::session::codec::base64;
use crate::session::codec::crypto::{Hash, MacKey, open_cbc, open_gcm, pbkdf2};
use crate::session::key_settings;
use crate::session::settings::Settings;

/// Key digests by `load_defaults`: 7.0 and later, and before.
const DIGESTS: [Hash; 2] = [Hash::Sha256, Hash::Sha1];

/// Rounds of Rails' key generator.
const USUAL_ROUNDS: NonZeroU32 = NonZeroU32::new(1000).unwrap();

pub(super) struct JarKeys {
    keys: Keys,
    /// Each secret makes a key for each digest.
    secrets: usize,
}

enum Keys {
    Encrypted(Vec<Secret>, Vec<Older>),
    Signed(Vec<MacKey>),
}

/// For cookies from before Rails 5.2, or with `use_authenticated_cookie_encryption` off:
/// CBC, and a signature around it.
struct Older {
    cbc: Secret,
    mac: MacKey,
}

/// The ways from `secret_key_base` to a key.
struct Derivation {
    digests: Vec<Hash>,
    rounds: Vec<NonZeroU32>,
}

impl Derivation {
    /// A key for each secret in each way.
    fn all(&self, secrets: &[Secret], salt: &str, length: usize) -> Vec<Secret> {
        let mut keys = Vec::new();
        for secret in secrets {
            for (&digest, &rounds) in
                self.digests.iter().flat_map(|d| self.rounds.iter().map(move |r| (d, r)))
            {
                keys.push(pbkdf2(digest, secret.bytes(), salt.as_bytes(), rounds, length));
            }
        }
        keys
    }
}

/// `encrypted_cookie_cipher`.
#[derive(Clone, Copy)]
enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
}

impl Cipher {
    const fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm => 32,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Encrypted,
    Signed,
}

impl JarKeys {
    /// Derives the keys once: a thousand rounds are too many for each request.
    pub(super) fn from_settings(settings: &mut Settings<'_, '_>) -> Option<Self> {
        let which = settings.choice("jar", Which::Encrypted)?;
        let digests = settings.get("key_digest").map_or_else(|| DIGESTS.to_vec(), |one| vec![one]);
        let rounds = key_settings::rounds(settings, &[USUAL_ROUNDS]);
        let derivation = Derivation { digests, rounds };
        match which {
            Which::Encrypted => Self::encrypted(settings, &derivation),
            Which::Signed => Self::signed(settings, &derivation),
        }
    }

    fn encrypted(settings: &mut Settings<'_, '_>, derivation: &Derivation) -> Option<Self> {
        let cipher = settings.get("encrypted_cookie_cipher").unwrap_or(Cipher::Aes256Gcm);
        let mut salt = |key, usual: &str| settings.get(key).unwrap_or_else(|| usual.to_owned());
        let authenticated: String =
            salt("authenticated_encrypted_cookie_salt", "authenticated encrypted cookie");
        let older: String = salt("encrypted_cookie_salt", "encrypted cookie");
        let older_mac: String = salt("encrypted_signed_cookie_salt", "signed encrypted cookie");
        let secrets = settings.secrets()?;
        let gcm = derivation.all(&secrets, &authenticated, cipher.key_length());
        let cbc = derivation.all(&secrets, &older, Cipher::Aes256Gcm.key_length());
        let mac = derivation.all(&secrets, &older_mac, 64);
        let macs = mac.iter().map(|key| MacKey::new(Hash::Sha1, key.bytes()));
        let older = cbc.into_iter().zip(macs).map(|(cbc, mac)| Older { cbc, mac });
        Some(Self { keys: Keys::Encrypted(gcm, older.collect()), secrets: secrets.len() })
    }

    fn signed(settings: &mut Settings<'_, '_>, derivation: &Derivation) -> Option<Self> {
        let digest = settings.get("signed_cookie_digest").unwrap_or(Hash::Sha1);
        let salt: Option<String> = settings.get("signed_cookie_salt");
        let secrets = settings.secrets()?;
        let keys = derivation.all(&secrets, salt.as_deref().unwrap_or("signed cookie"), 64);
        let keys = keys.iter().map(|key| MacKey::new(digest, key.bytes()));
        Some(Self { keys: Keys::Signed(keys.collect()), secrets: secrets.len() })
    }

    pub(super) fn is_signed(&self) -> bool {
        matches!(self.keys, Keys::Signed(_))
    }

    /// The verified text inside a cookie.
    pub(super) fn open(&self, value: &str) -> Result<Vec<u8>, Rejected> {
        let parts: Vec<_> = value.split("--").collect();
        let opened = match (&self.keys, parts.as_slice()) {
            (Keys::Encrypted(keys, _), &[ciphertext, iv, tag]) => {
                let sealed = [decode(ciphertext)?, decode(iv)?, decode(tag)?];
                check_lengths(&sealed)?;
                decrypt(keys, &sealed)
            }
            (Keys::Encrypted(_, older), &[signed, mac]) => decrypt_older(older, signed, mac)?,
            (Keys::Encrypted(..), _) => {
                return Err(Rejected::malformed(
                    "the value is not ciphertext, vector and tag with `--` between",
                ));
            }
            (Keys::Signed(keys), &[signed, mac]) => match verify(keys.iter(), signed, mac) {
                Some(_) => Some(decode(signed)?),
                None => None,
            },
            (Keys::Signed(_), &[_, _, _]) => {
                return Err(Rejected::malformed(
                    "the value is encrypted, not signed; leave out `jar`",
                ));
            }
            (Keys::Signed(_), _) => {
                return Err(Rejected::malformed(
                    "the value is not text and signature with `--` between",
                ));
            }
        };
        opened.ok_or_else(|| Rejected::bad_signature(self.secrets))
    }
}

/// OpenSSL would accept a shorter tag, which is easier to guess.
fn check_lengths([_, iv, tag]: &[Vec<u8>; 3]) -> Result<(), Rejected> {
    if iv.len() == 12 && tag.len() == 16 {
        return Ok(());
    }
    Err(Rejected::malformed("the vector is not 12 bytes or the tag not 16"))
}

fn decrypt(keys: &[Secret], [ciphertext, iv, tag]: &[Vec<u8>; 3]) -> Option<Vec<u8>> {
    keys.iter().find_map(|key| open_gcm(key.bytes(), iv, b"", ciphertext, tag))
}

/// `None` if none of the keys signed.
fn decrypt_older(
    keys: &[Older],
    signed: &str,
    signature: &str,
) -> Result<Option<Vec<u8>>, Rejected> {
    let at = verify(keys.iter().map(|key| &key.mac), signed, signature);
    let Some(key) = at.and_then(|at| keys.get(at)) else { return Ok(None) };
    let sealed = decode(signed)?;
    let parts = std::str::from_utf8(&sealed).ok().and_then(|text| text.split_once("--"));
    let Some((ciphertext, iv)) = parts else {
        return Err(Rejected::malformed("the signed text is not ciphertext and vector"));
    };
    let (ciphertext, iv) = (decode(ciphertext)?, decode(iv)?);
    let opened = open_cbc(key.cbc.bytes(), &iv, &ciphertext);
    opened.map(Some).ok_or_else(|| Rejected::malformed("the signed text cannot be decrypted"))
}

/// The index of the key that signed.
fn verify<'k>(
    mut keys: impl Iterator<Item = &'k MacKey>,
    signed: &str,
    signature: &str,
) -> Option<usize> {
    let signature = base64::hex_decode(signature.as_bytes())?;
    keys.position(|key| key.verifies(signed.as_bytes(), &signature))
}

fn decode(text: &str) -> Result<Vec<u8>, Rejected> {
    base64::decode_padded(text).ok_or_else(|| {
        Rejected::malformed(if text.contains(' ') {
            "a part of the value has spaces; to Rack a `+` in a cookie is one, so Rails sends `%2B`"
        } else {
            "a part of the value is not base64"
        })
    })
}

impl FromNode for Cipher {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("aes-256-gcm", Self::Aes256Gcm), ("aes-128-gcm", Self::Aes128Gcm)])
    }
}

impl FromNode for Which {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("encrypted", Self::Encrypted), ("signed", Self::Signed)])
    }
}
