//! `Illuminate\Encryption`: base64 JSON of vector, ciphertext and MAC, under
//! `APP_KEY` or one of `APP_PREVIOUS_KEYS`.

use serde_json::Value;

use crate::base::secret::{Secret, same_bytes};
use crate::document::{At, FromNode};
use crate::session::codec::crypto::{Hash, MacKey, open_cbc, open_gcm};
use crate::session::codec::{base64, claims, json};
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;

pub(super) struct Encrypter {
    keys: Vec<Secret>,
    cipher: Cipher,
}

/// `cipher` in config/app.php; the key's length tells 128 from 256 bits.
#[derive(Clone, Copy)]
enum Cipher {
    Cbc,
    Gcm,
}

impl Encrypter {
    pub(super) fn from_settings(settings: &mut Settings<'_, '_>) -> Option<Self> {
        let cipher = settings.get("cipher").unwrap_or(Cipher::Cbc);
        let keys = settings.secrets()?;
        if keys.iter().any(|key| ![16, 32].contains(&key.bytes().len())) {
            settings.problem(
                "an application key is not 16 or 32 bytes long; write APP_KEY as it stands in \
                 the app's .env, with its `base64:`",
            );
            return None;
        }
        Some(Self { keys, cipher })
    }

    /// The content of a cookie. A MAC of the cookie's name precedes it, so that no cookie
    /// passes for another.
    pub(super) fn open_cookie(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, Rejected> {
        let plaintext = self.decrypt(value)?;
        let named = format!("{name}v2");
        let parts = plaintext.split_at_checked(40).and_then(|(prefix, rest)| {
            Some((base64::hex_decode(prefix)?, rest.strip_prefix(b"|")?.to_vec()))
        });
        let content = parts.and_then(|(prefix, content)| {
            let written_for = |key: &Secret| {
                let mac = MacKey::new(Hash::Sha1, key.bytes()).sign(named.as_bytes());
                same_bytes(&mac, &prefix)
            };
            self.keys.iter().any(written_for).then_some(content)
        });
        content.ok_or_else(|| {
            Rejected::new(Reason::WrongPurpose, "the value was written for another cookie")
        })
    }

    pub(super) fn decrypt(&self, payload: &[u8]) -> Result<Vec<u8>, Rejected> {
        let envelope = base64::decode(payload)
            .ok_or_else(|| Rejected::malformed("the value is not base64"))?;
        let envelope = json::parse(&envelope)?;
        let member = |name| {
            claims::text(&envelope, name)
                .ok_or_else(|| Rejected::malformed(format!("the envelope has no `{name}`")))
        };
        let (iv, value) = (member("iv")?, member("value")?);
        match self.cipher {
            Cipher::Cbc if claims::text(&envelope, "tag").is_some_and(|tag| !tag.is_empty()) => {
                Err(Rejected::malformed(
                    "the envelope has a `tag`; write cipher = \"aes-256-gcm\" if that is the app's",
                ))
            }
            Cipher::Cbc => self.decrypt_cbc(iv, value, member("mac")?),
            Cipher::Gcm => self.decrypt_gcm(iv, value, &envelope),
        }
    }

    fn decrypt_cbc(&self, iv: &str, value: &str, mac: &str) -> Result<Vec<u8>, Rejected> {
        let authenticated = [iv.as_bytes(), value.as_bytes()].concat();
        let mac = base64::hex_decode(mac.as_bytes()).unwrap_or_default();
        let signed =
            |key: &&Secret| MacKey::new(Hash::Sha256, key.bytes()).verifies(&authenticated, &mac);
        let key = self
            .keys
            .iter()
            .find(signed)
            .ok_or_else(|| Rejected::bad_signature(self.keys.len()))?;
        let opened = open_cbc(key.bytes(), &decode(iv)?, &decode(value)?);
        opened.ok_or_else(|| Rejected::malformed("the value cannot be decrypted"))
    }

    fn decrypt_gcm(&self, iv: &str, value: &str, envelope: &Value) -> Result<Vec<u8>, Rejected> {
        let tag = decode(claims::text(envelope, "tag").unwrap_or_default())?;
        if tag.len() != 16 {
            return Err(Rejected::malformed(
                "the tag is not 16 bytes; leave out `cipher` if the app's is AES-CBC",
            ));
        }
        let (iv, value) = (decode(iv)?, decode(value)?);
        let opened = self.keys.iter().find_map(|key| open_gcm(key.bytes(), &iv, b"", &value, &tag));
        opened.ok_or_else(|| Rejected::bad_signature(self.keys.len()))
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Rejected> {
    base64::decode(text).ok_or_else(|| Rejected::malformed("a part of the envelope is not base64"))
}

impl FromNode for Cipher {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[
            ("aes-256-cbc", Self::Cbc),
            ("aes-256-gcm", Self::Gcm),
            ("aes-128-cbc", Self::Cbc),
            ("aes-128-gcm", Self::Gcm),
        ])
    }
}
