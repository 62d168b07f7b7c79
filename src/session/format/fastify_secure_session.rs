//! @fastify/secure-session: JSON in a libsodium secretbox, with the time of its
//! last write inside.

use argon2::{Algorithm, Argon2, Params, Version};
use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Key, Nonce, XSalsa20Poly1305};

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::base::secret::Secret;
use crate::base::text::from_hex;
use crate::session::codec::{base64, json, spelling};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["session"], ..CookieConventions::NODE };

/// A day and a second: the library's default.
const MAX_AGE: u64 = 86401;

/// The salt in the library's source, for apps that set none.
const SALT: [u8; 16] = [
    0x9a, 0xaf, 0x61, 0x0f, 0x10, 0x55, 0x0d, 0xbb, 0x29, 0x0d, 0x1e, 0xa7, 0x2d, 0xf1, 0x53, 0xd6,
];

struct SecureSession {
    boxes: Vec<XSalsa20Poly1305>,
    max_age: u64,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "fastify-secure-session",
    is_as_written: spelling::boxed,
    read,
    hints: Hints { look, also_check: "; or `salt` is not the app's", ..Hints::NONE },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("fastify_secure_session.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let max_age = settings.seconds("max_age").unwrap_or(MAX_AGE);
    let keys = read_keys(settings)?;
    let boxes = keys.iter().map(|key| XSalsa20Poly1305::new(Key::from_slice(key)));
    Some(Compiled::new(jar?, SecureSession { boxes: boxes.collect(), max_age }))
}

/// `keys` of 32 bytes, or `secret` stretched with `salt`.
fn read_keys(settings: &mut Settings<'_, '_>) -> Option<Vec<[u8; 32]>> {
    let salt: Option<String> = settings.get("salt");
    let Some(at) = settings.table().take("keys") else {
        let secrets = settings.secrets()?;
        let salt = match salt.as_deref().map(|salt| salt.as_bytes().try_into()) {
            None => SALT,
            Some(Ok(salt)) => salt,
            Some(Err(_)) => {
                settings.problem("`salt` must be 16 characters long, as libsodium requires");
                return None;
            }
        };
        return secrets.iter().map(|secret| stretch(secret, &salt)).collect();
    };
    for unused in ["secret", "secrets"] {
        if settings.table().take(unused).is_some() {
            settings.problem(format!("`keys` and `{unused}` are both set; keep one of them"));
        }
    }
    let keys = settings.secrets_in(&at)?;
    let keys: Option<Vec<_>> = keys.iter().map(|(_, key)| key_bytes(key)).collect();
    if keys.is_none() {
        at.problem("found a key that is not 32 bytes (raw, base64 or hex)");
    }
    keys
}

fn key_bytes(key: &Secret) -> Option<[u8; 32]> {
    let bytes = key.bytes();
    let decoded = match bytes.len() {
        32 => Some(bytes.to_vec()),
        64 => from_hex(bytes),
        _ => base64::decode(bytes),
    };
    decoded?.try_into().ok()
}

/// Argon2id with libsodium's MODERATE limits: 256 MiB and seconds of work, which
/// is why it is done when the settings are read and never for a request.
fn stretch(secret: &Secret, salt: &[u8; 16]) -> Option<[u8; 32]> {
    let limits = Params::new(256 * 1024, 3, 1, Some(32)).ok()?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, limits)
        .hash_password_into(secret.bytes(), salt, &mut key)
        .ok()?;
    Some(key)
}

impl Verify for SecureSession {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let parts = found.text()?.split_once(';');
        let (sealed, nonce) =
            parts.ok_or_else(|| Rejected::malformed("the value has no nonce after `;`"))?;
        let (Some(sealed), Some(nonce)) = (base64::decode(sealed), base64::decode(nonce)) else {
            return Err(Rejected::malformed("the value is not base64"));
        };
        let nonce: [u8; 24] =
            nonce.try_into().map_err(|_| Rejected::malformed("the nonce is not 24 bytes"))?;
        let nonce = Nonce::from(nonce);
        let opened = self.boxes.iter().find_map(|key| key.decrypt(&nonce, &*sealed).ok());
        let text = opened.ok_or_else(|| Rejected::bad_signature(self.boxes.len()))?;
        let mut session = json::parse(&text)?;
        let written = session.as_object_mut().and_then(|members| members.remove("__ts"));
        let written = written
            .and_then(|time| time.as_u64())
            .ok_or_else(|| Rejected::malformed("the session has no time (`__ts`)"))?;
        let expires_at = Some(written.saturating_add(self.max_age));
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    match sample.notation {
        Notation::Boxed => Look::sure("a session of @fastify/secure-session"),
        _ => None,
    }
}
