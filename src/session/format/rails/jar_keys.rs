//! The keys of Rails' encrypted and signed cookie jars.

use std::num::NonZeroU32;

use crate::base::secret::Secret;
use crate::document::{At, FromNode};
use crate::session::Rejected;
use crate::session::codec::base64;
use crate::session::codec::crypto::{Hash, MacKey, open_cbc, open_gcm, pbkdf2};
use crate::session::settings::Settings;

/// Key digests by `load_defaults`: 7.0 and later, and before.
const DIGESTS: [Hash; 2] = [Hash::Sha256, Hash::Sha1];

pub(super) struct JarKeys {
    keys: Keys,
    /// Each secret makes a key for each digest.
    secrets: usize,
}

enum Keys {
    Encrypted(Vec<Encrypted>),
    Signed(Vec<MacKey>),
}

/// The keys that `secret_key_base` yields for the encrypted jar.
struct Encrypted {
    gcm: Secret,
    /// Cookies from before Rails 5.2: CBC, and a signature around it.
    cbc: Secret,
    mac: MacKey,
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
        let signed_digest = match which {
            Which::Encrypted => Hash::Sha1,
            Which::Signed => settings.get("signed_cookie_digest").unwrap_or(Hash::Sha1),
        };
        let rounds = settings.get::<u64>("iterations").unwrap_or(1000);
        let secrets = settings.secrets()?;
        let Some(rounds) = u32::try_from(rounds).ok().and_then(NonZeroU32::new) else {
            settings.problem("`iterations` must be between 1 and 4294967295");
            return None;
        };
        let pairs: Vec<_> =
            secrets.iter().flat_map(|secret| digests.iter().map(move |&d| (secret, d))).collect();
        let derive = |(secret, digest): (&Secret, Hash), salt: &str, length| {
            pbkdf2(digest, secret.bytes(), salt.as_bytes(), rounds, length)
        };
        let keys = match which {
            Which::Encrypted => Keys::Encrypted(
                pairs
                    .into_iter()
                    .map(|pair| Encrypted {
                        gcm: derive(pair, "authenticated encrypted cookie", 32),
                        cbc: derive(pair, "encrypted cookie", 32),
                        mac: MacKey::new(
                            Hash::Sha1,
                            derive(pair, "signed encrypted cookie", 64).bytes(),
                        ),
                    })
                    .collect(),
            ),
            Which::Signed => Keys::Signed(
                pairs
                    .into_iter()
                    .map(|pair| {
                        MacKey::new(signed_digest, derive(pair, "signed cookie", 64).bytes())
                    })
                    .collect(),
            ),
        };
        Some(Self { keys, secrets: secrets.len() })
    }

    pub(super) fn is_signed(&self) -> bool {
        matches!(self.keys, Keys::Signed(_))
    }

    /// The verified text inside a cookie.
    pub(super) fn open(&self, value: &str) -> Result<Vec<u8>, Rejected> {
        let parts: Vec<_> = value.split("--").collect();
        let opened = match (&self.keys, parts.as_slice()) {
            (Keys::Encrypted(keys), &[ciphertext, iv, tag]) => {
                let sealed = [decode(ciphertext)?, decode(iv)?, decode(tag)?];
                check_lengths(&sealed)?;
                decrypt(keys, &sealed)
            }
            (Keys::Encrypted(keys), &[signed, mac]) => decrypt_older(keys, signed, mac)?,
            (Keys::Encrypted(_), _) => {
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

fn decrypt(keys: &[Encrypted], [ciphertext, iv, tag]: &[Vec<u8>; 3]) -> Option<Vec<u8>> {
    keys.iter().find_map(|key| open_gcm(key.gcm.bytes(), iv, b"", ciphertext, tag))
}

/// `None` if none of the keys signed.
fn decrypt_older(
    keys: &[Encrypted],
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

impl FromNode for Which {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("encrypted", Self::Encrypted), ("signed", Self::Signed)])
    }
}
