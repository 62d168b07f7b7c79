//! Flask: JSON with tags for Python's types, signed by itsdangerous.

use serde_json::Value;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::base::secret::Secret;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::itsdangerous::KeyDerivation;
use crate::session::codec::{itsdangerous, json, spelling};
use crate::session::cookie::Encoding;
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["session"], encoding: Encoding::Raw, ..CookieConventions::NODE };

/// `PERMANENT_SESSION_LIFETIME`, which limits every session, permanent or not.
const MAX_AGE: u64 = 31 * 86400;

struct Flask {
    keys: Vec<MacKey>,
    max_age: u64,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "flask",
    is_as_written: spelling::timed,
    read,
    hints: Hints {
        look,
        also_check: "; or the app is one of Starlette (FastAPI), whose sessions can look the same; \
                     or the app's session interface has its own `salt`, `digest` or \
                     `key_derivation`",
        ..Hints::NONE
    },
    // Flask-Login.
    remember_cookies: &["remember_token"],
    risks: Risks::NONE,
    schema: include_str!("flask.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let max_age = settings.seconds("max_age").unwrap_or(MAX_AGE);
    let salt = settings.get::<String>("salt").unwrap_or_else(|| "cookie-session".to_owned());
    let hash = settings.get("digest").unwrap_or(Hash::Sha1);
    let derivation = settings.get("key_derivation").unwrap_or(KeyDerivation::Hmac);
    let secrets = settings.secrets()?;
    let keys = secrets.iter().map(|secret| derivation.key(hash, secret, salt.as_bytes()));
    let verifier = Flask { keys: keys.collect(), max_age };
    Some(Compiled::new(jar?, verifier).with_user_id("/_user_id"))
}

impl Verify for Flask {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let signed = itsdangerous::verify(found.text()?, '.', &self.keys)?;
        let issued = itsdangerous::timestamp_bytes(signed.timestamp)?;
        let expires_at = itsdangerous::expires_at(issued, Some(self.max_age), now)?;
        let session = untag(json::parse_python(&signed.content()?)?);
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }

    fn dates_its_end(&self) -> bool {
        true
    }

    fn advice(&self, sent: SentCookies<'_>, why: &Rejected, _secrets: &[Secret]) -> Vec<String> {
        let found = sent.find().ok().filter(|_| why.reason == Reason::Malformed);
        let id = found.as_ref().and_then(|found| found.text().ok()).filter(|it| is_stored_id(it));
        let advice = |id: &str| {
            let secret = match id.contains('.') {
                true => "keep `secret`, which signs the id",
                false => "leave out `secret`, since the id is not signed",
            };
            format!(
                "the value is only an id, as Flask-Session keeps its sessions in a store: write \
                 kind = \"flask-session\" with [session.store], and {secret}"
            )
        };
        id.map(advice).into_iter().collect()
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let Notation::Timed { payload, separator: '.', .. } = sample.notation else { return None };
    if payload.starts_with('.') || payload.len() % 4 != 0 {
        return Look::sure("a Flask session");
    }
    let text = "a value signed by itsdangerous (Flask, Starlette)";
    Some(Look::new(Fit::Likely, text))
}

/// An id of Flask-Session, which may be signed.
fn is_stored_id(text: &str) -> bool {
    let id = text.split_once('.').map_or(text, |(id, _)| id);
    let is_id = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    text.matches('.').count() <= 1 && (22..=64).contains(&id.len()) && id.bytes().all(is_id)
}

/// Takes Flask's tags off: `{" u": hex}` is a UUID, `{" t": […]}` a tuple,
/// and so on; an object of one member that only looks tagged is `{" di": …}`
/// with `__` behind its key.
fn untag(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(untag).collect(),
        Value::Object(mut members) => {
            let tag = if members.len() == 1 { members.keys().next().cloned() } else { None };
            let tagged = tag.filter(|tag| tag.starts_with(' ')).and_then(|tag| {
                let content = members.remove(&tag)?;
                Some((tag, content))
            });
            match tagged {
                Some((tag, content)) => untag_one(&tag, content),
                None => Value::Object(
                    members.into_iter().map(|(name, value)| (name, untag(value))).collect(),
                ),
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value,
    }
}

fn untag_one(tag: &str, content: Value) -> Value {
    match (tag, content) {
        (" u", Value::String(hex)) => hyphenated(&hex).map_or(Value::Null, Value::String),
        (" di", Value::Object(members)) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    (name.strip_suffix("__").unwrap_or(&name).to_owned(), untag(value))
                })
                .collect(),
        ),
        (" t", content) => untag(content),
        (" m", content) => content,
        // Bytes and dates are not texts to the app. They keep their tags here, so
        // that they never pass for an id.
        (tag, content) => serde_json::json!({ tag: untag(content) }),
    }
}

/// A UUID as Python prints it.
fn hyphenated(hex: &str) -> Option<String> {
    if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let part = |range| hex.get(range);
    Some(format!(
        "{}-{}-{}-{}-{}",
        part(0..8)?,
        part(8..12)?,
        part(12..16)?,
        part(16..20)?,
        part(20..32)?
    ))
}
