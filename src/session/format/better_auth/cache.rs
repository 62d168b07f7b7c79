//! better-auth's cookie cache, in its three notations.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::stored::session_end;
use crate::base::secret::Secret;
use crate::document::{At, FromNode, Table};
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::crypto::{self, Hash, MacKey};
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::{Key, KeySet};
use crate::session::codec::{base64, claims, json, jwe, jws};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;

/// The cache as `[session.cookie_cache]` describes it.
pub(super) struct Cache {
    notation: Notation,
    version: String,
}

enum Notation {
    Compact(Vec<MacKey>),
    Jwe(Vec<jwe::Key>),
    Jwt(KeySet),
}

#[derive(Clone, Copy)]
enum Strategy {
    Compact,
    Jwe,
    Jwt,
}

/// The compact notation. What was signed is the source text of `session`, so it
/// is kept as it came.
#[derive(Deserialize)]
struct Compact<'a> {
    #[serde(borrow)]
    session: &'a RawValue,
    #[serde(borrow, rename = "expiresAt")]
    expires_at: &'a RawValue,
    signature: String,
}

impl Cache {
    /// `None` if the app does not cache (or a problem was noted).
    pub(super) fn from_settings(
        settings: &mut Settings<'_, '_>,
        secrets: &[Secret],
    ) -> Option<Self> {
        let mut table: Table<'_> = settings.table().take("cookie_cache")?.table()?;
        let strategy = table.get("strategy").unwrap_or(Strategy::Compact);
        let version = table.get("version").unwrap_or_else(|| "1".to_owned());
        table.finish();
        let notation = match strategy {
            Strategy::Compact => Notation::Compact(
                secrets.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes())).collect(),
            ),
            Strategy::Jwe => Notation::Jwe(secrets.iter().filter_map(jwe_key).collect()),
            Strategy::Jwt => {
                Notation::Jwt(KeySet::new(secrets.iter().map(Key::from_secret).collect()))
            }
        };
        Some(Self { notation, version })
    }

    /// The cached session of the session token, while it may be used.
    pub(super) fn open(
        &self,
        data: &[u8],
        token: &str,
        now: u64,
    ) -> Result<OpenedSession, Rejected> {
        let OpenedSession { session, expires_at } = match &self.notation {
            Notation::Compact(keys) => open_compact(data, keys)?,
            Notation::Jwe(keys) => claims::session(&jwe::open(data, keys.iter())?.plaintext, now)?,
            Notation::Jwt(keys) => {
                jws::verify(data, keys, &[Algorithm::HS256], &TokenTypes::default())?
                    .session(now)?
            }
        };
        if session.pointer("/session/token").and_then(Value::as_str) != Some(token) {
            let detail = "the cached session belongs to another session token";
            return Err(Rejected::new(Reason::TokenMismatch, detail));
        }
        if claims::text(&session, "version").unwrap_or("1") != self.version {
            let detail = "the cached session has another `version` than the settings";
            return Err(Rejected::new(Reason::WrongVersion, detail));
        }
        let Some(cache_end) = expires_at else {
            return Err(Rejected::new(Reason::MissingExp, "the cached session has no end"));
        };
        let end = cache_end.min(session_end(&session)?);
        if end <= now {
            return Err(Rejected::expired(end, now));
        }
        Ok(OpenedSession { session, expires_at: Some(end) })
    }
}

fn jwe_key(secret: &Secret) -> Option<jwe::Key> {
    const INFO: &[u8] = b"BetterAuth.js Generated Encryption Key";
    let encryption = jwe::Encryption::A256CbcHs512;
    let length = encryption.key_length();
    let secret = crypto::hkdf(secret, b"better-auth-session", INFO, length)?;
    Some(jwe::Key { encryption, secret })
}

fn open_compact(data: &[u8], keys: &[MacKey]) -> Result<OpenedSession, Rejected> {
    let text = base64::url_decode(data)
        .ok_or_else(|| Rejected::malformed("the cached session is not base64url"))?;
    let compact: Compact<'_> = serde_json::from_slice(&text)
        .map_err(|_| Rejected::malformed("the cached session is not its JSON"))?;
    let (session, end) = (compact.session.get(), compact.expires_at.get());
    let open = session
        .strip_suffix('}')
        .ok_or_else(|| Rejected::malformed("the cached session is not an object"))?;
    let signed = format!("{open},\"expiresAt\":{end}}}");
    let signature = base64::url_decode(&compact.signature).unwrap_or_default();
    if !keys.iter().any(|key| key.verifies(signed.as_bytes(), &signature)) {
        return Err(Rejected::bad_signature(keys.len()));
    }
    let end: u64 =
        end.parse().map_err(|_| Rejected::malformed("`expiresAt` is not a whole number"))?;
    Ok(OpenedSession { session: json::parse(session.as_bytes())?, expires_at: Some(end / 1000) })
}

impl FromNode for Strategy {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("compact", Self::Compact), ("jwt", Self::Jwt), ("jwe", Self::Jwe)])
    }
}
