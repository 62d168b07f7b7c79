//! better-auth's cookie cache, in its three notations.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::stored::session_end;
use crate::base::secret::Secret;
use crate::document::{At, FromNode, Table};
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::claims::Expected;
use crate::session::codec::crypto::{self, Hash, MacKey};
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::{Key, KeySet, Keys};
use crate::session::codec::{base64, claims, json, jwe, jws};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;

/// The cache as `[session.cookie_cache]` describes it.
pub(super) struct Cache {
    notation: Notation,
    version: String,
    /// `advanced.cookies.session_data.name`, if the app renames it.
    cookie: Option<String>,
}

enum Notation {
    Compact(Vec<MacKey>),
    Jwe(Vec<jwe::Key>),
    Jwt(KeySet),
    /// Signed by the jwt plugin (`sessionCookieCache`), under keys the app publishes.
    Published(Published),
}

struct Published {
    keys: Keys,
    types: TokenTypes,
    expected: Expected,
}

/// Settings that give the keys of the jwt plugin.
const KEYS: [&str; 3] = ["public_key", "jwks", "jwks_url"];

/// Algorithms of the jwt plugin's keys.
const ASYMMETRIC: [Algorithm; 5] =
    [Algorithm::EdDSA, Algorithm::ES256, Algorithm::ES512, Algorithm::RS256, Algorithm::PS256];

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
        let keys = KEYS.iter().filter(|key| settings.table().take(key).is_some()).count();
        let Some(at) = settings.table().take("cookie_cache") else {
            if keys > 0 {
                settings
                    .problem("published keys sign the cookie cache; write [session.cookie_cache]");
            }
            return None;
        };
        let mut table: Table<'_> = at.table()?;
        let strategy = table.get("strategy").unwrap_or(Strategy::Compact);
        if keys > 0 && !matches!(strategy, Strategy::Jwt) {
            at.problem("published keys need strategy = \"jwt\"");
        }
        let version = table.get("version").unwrap_or_else(|| "1".to_owned());
        let cookie = table.get("cookie");
        let issuer = table.get("issuer").map(|issuer: String| vec![issuer]);
        table.finish();
        let notation = match strategy {
            Strategy::Jwt if keys > 0 => {
                Notation::Published(Published::from_settings(settings, issuer)?)
            }
            Strategy::Compact => Notation::Compact(
                secrets.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes())).collect(),
            ),
            Strategy::Jwe => Notation::Jwe(secrets.iter().filter_map(jwe_key).collect()),
            Strategy::Jwt => {
                Notation::Jwt(KeySet::new(secrets.iter().map(Key::from_secret).collect()))
            }
        };
        Some(Self { notation, version, cookie })
    }

    pub(super) fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Whether a cookie's value is a cached session, in any of the notations.
    pub(super) fn is_like(value: &[u8]) -> bool {
        Self::strategy_of(value).is_some()
    }

    /// The setting for the notation of this value, if it is not the one that is read.
    pub(super) fn other_strategy(&self, value: &[u8], why: &Rejected) -> Option<String> {
        const UNREAD: [Reason; 3] =
            [Reason::AlgNotAllowed, Reason::Malformed, Reason::WrongPurpose];
        if !UNREAD.contains(&why.reason) {
            return None;
        }
        let (found, setting) = Self::strategy_of(value)?;
        let own = match self.notation {
            Notation::Compact(_) => "compact",
            Notation::Jwe(_) => "jwe",
            Notation::Jwt(_) => "jwt",
            Notation::Published(_) => "published",
        };
        (found != own).then(|| format!("the cache has another format; {setting}"))
    }

    /// The notation of a value, and what to write for it.
    fn strategy_of(value: &[u8]) -> Option<(&'static str, &'static str)> {
        const PUBLISHED: &str = "the app's jwt plugin signs it: write strategy = \"jwt\" in \
             [session.cookie_cache], and in [session] jwks_url = \
             \"https://app.example/api/auth/jwks\" with the app's own address";
        let parts: Vec<_> = value.split(|&b| b == b'.').collect();
        let header = parts.first().and_then(base64::url_decode);
        let header = header.and_then(|header| claims::object(&header).ok());
        Some(match (parts.len(), header) {
            (3, Some(header)) if claims::text(&header, "alg") == Some("HS256") => {
                ("jwt", "write strategy = \"jwt\" in [session.cookie_cache]")
            }
            (3, Some(_)) => ("published", PUBLISHED),
            (5, Some(_)) => ("jwe", "write strategy = \"jwe\" in [session.cookie_cache]"),
            (1, _) => {
                let text = base64::url_decode(value)?;
                serde_json::from_slice::<Compact<'_>>(&text).ok()?;
                ("compact", "leave out `strategy` in [session.cookie_cache]")
            }
            _ => return None,
        })
    }

    pub(super) fn published_keys(&self) -> Option<Keys> {
        match &self.notation {
            Notation::Published(published) => Some(published.keys.clone()),
            Notation::Compact(_) | Notation::Jwe(_) | Notation::Jwt(_) => None,
        }
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
            Notation::Published(published) => published.open(data, now)?,
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
            return Err(Rejected::new(Reason::MissingExp, "the cached session has no `expiresAt`"));
        };
        let end = cache_end.min(session_end(&session)?);
        if end <= now {
            return Err(Rejected::expired(end, now));
        }
        Ok(OpenedSession { session, expires_at: Some(end) })
    }
}

impl Published {
    fn from_settings(settings: &mut Settings<'_, '_>, issuer: Option<Vec<String>>) -> Option<Self> {
        let keys = key_settings::public(settings)?;
        let audience = Some(vec!["better-auth:session-cache".to_owned()]);
        let types = TokenTypes::only("better-auth.session-cache+jwt");
        Some(Self { keys, types, expected: Expected { issuer, audience } })
    }

    fn open(&self, data: &[u8], now: u64) -> Result<OpenedSession, Rejected> {
        let token = jws::verify(data, &*self.keys.current()?, &ASYMMETRIC, &self.types)?;
        let opened = token.session(now)?;
        self.expected.check(&opened.session)?;
        let text = |at| opened.session.pointer(at).and_then(Value::as_str);
        // The issuer is the app's own address, which only the app knows.
        let has_issuer = text("/iss").is_some_and(|issuer| !issuer.is_empty());
        let is_whole = text("/sub").is_some()
            && text("/sub") == text("/user/id")
            && text("/sid") == text("/session/token");
        if !has_issuer || !is_whole {
            let detail = "the cached session's `iss`, `sub` or `sid` is not that of its content";
            return Err(Rejected::new(Reason::TokenMismatch, detail));
        }
        Ok(opened)
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
        .map_err(|_| Rejected::malformed("the cached session is not valid JSON"))?;
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
