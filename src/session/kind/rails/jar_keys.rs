//! The keys of Rails' encrypted and signed cookie jars.

use std::num::NonZeroU32;

use crate::document::{At, FromNode};
use crate::secret::Secret;
use crate::session::Rejected;
use crate::session::codec::base64;
use crate::session::codec::crypto::{Hash, MacKey, open_cbc, open_gcm, pbkdf2};
use crate::session::settings::Settings;

/// Key digests by `load_defaults`: 7.0 and later, and before.
const DIGESTS: [Hash; 2] = [Hash::Sha256, Hash::Sha1];

pub(super) enum JarKeys {
    Encrypted(Vec<Encrypted>),
    Signed(Vec<MacKey>),
}

/// What `secret_key_base` becomes for the encrypted jar.
pub(super) struct Encrypted {
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
    pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Self> {
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
        Some(match which {
            Which::Encrypted => Self::Encrypted(
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
            Which::Signed => Self::Signed(
                pairs
                    .into_iter()
                    .map(|pair| {
                        MacKey::new(signed_digest, derive(pair, "signed cookie", 64).bytes())
                    })
                    .collect(),
            ),
        })
    }

    pub(super) fn is_signed(&self) -> bool {
        matches!(self, Self::Signed(_))
    }

    /// The verified text inside a cookie.
    pub(super) fn open(&self, value: &str) -> Result<Vec<u8>, Rejected> {
        let parts: Vec<_> = value.split("--").collect();
        match (self, parts.as_slice()) {
            (Self::Encrypted(keys), &[ciphertext, iv, tag]) => {
                let sealed = [decode(ciphertext)?, decode(iv)?, decode(tag)?];
                decrypt(keys, &sealed)
            }
            (Self::Encrypted(keys), &[signed, signature]) => decrypt_older(keys, signed, signature),
            (Self::Encrypted(_), _) => Err(Rejected::malformed(
                "the value is not ciphertext, vector and tag with `--` between",
            )),
            (Self::Signed(keys), &[signed, signature]) => {
                verify(keys.iter(), signed, signature)?;
                decode(signed)
            }
            (Self::Signed(_), _) => {
                Err(Rejected::malformed("the value is not text and signature with `--` between"))
            }
        }
    }
}

fn decrypt(keys: &[Encrypted], [ciphertext, iv, tag]: &[Vec<u8>; 3]) -> Result<Vec<u8>, Rejected> {
    // OpenSSL would accept a shorter tag, which is easier to guess.
    if iv.len() != 12 || tag.len() != 16 {
        return Err(Rejected::malformed("the vector is not 12 bytes or the tag not 16"));
    }
    let opened = keys.iter().find_map(|key| open_gcm(key.gcm.bytes(), iv, b"", ciphertext, tag));
    opened.ok_or_else(|| Rejected::bad_signature(keys.len()))
}

fn decrypt_older(keys: &[Encrypted], signed: &str, signature: &str) -> Result<Vec<u8>, Rejected> {
    let at = verify(keys.iter().map(|key| &key.mac), signed, signature)?;
    let sealed = decode(signed)?;
    let parts = std::str::from_utf8(&sealed).ok().and_then(|text| text.split_once("--"));
    let Some((ciphertext, iv)) = parts else {
        return Err(Rejected::malformed("the signed text is not ciphertext and vector"));
    };
    let (ciphertext, iv) = (decode(ciphertext)?, decode(iv)?);
    let opened = keys.get(at).and_then(|key| open_cbc(key.cbc.bytes(), &iv, &ciphertext));
    opened.ok_or_else(|| Rejected::malformed("the signed text cannot be decrypted"))
}

/// Which of the keys signed.
fn verify<'k>(
    keys: impl ExactSizeIterator<Item = &'k MacKey>,
    signed: &str,
    signature: &str,
) -> Result<usize, Rejected> {
    let tried = keys.len();
    let signature = base64::hex_decode(signature.as_bytes()).unwrap_or_default();
    let mut keys = keys;
    keys.position(|key| key.verifies(signed.as_bytes(), &signature))
        .ok_or_else(|| Rejected::bad_signature(tried))
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
