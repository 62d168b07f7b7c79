//! One signed value in a cookie: those of Express' cookie-parser, and of Hono.
//!
//! The value is the user's id, or an object in JSON. It does not expire by itself.

use serde_json::Value;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::document::{At, FromNode};
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::{base64, json};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Notation, Sample};

struct SignedCookie {
    keys: Vec<MacKey>,
    form: Form,
}

/// The library that signs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `s:VALUE.MAC`, the MAC without padding; an object begins with `j:`.
    CookieParser,
    /// `VALUE.MAC`, the MAC with padding.
    Hono,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "signed-cookie",
    read,
    hints: Hints { look, ..Hints::NONE },
    remember_cookies: &[],
    risks: Risks::NO_END,
    schema: include_str!("signed_cookie.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CookieConventions::NODE);
    let form = settings.get("format").unwrap_or(Form::CookieParser);
    let secrets = settings.secrets()?;
    let keys = secrets.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes()));
    let compiled = Compiled::new(jar?, SignedCookie { keys: keys.collect(), form });
    Some(compiled.with_user_id(""))
}

impl Verify for SignedCookie {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let signed = match self.form {
            Form::CookieParser => found.text()?.strip_prefix("s:").ok_or_else(|| {
                let detail = "the value is not signed: it does not start with `s:`";
                Rejected::new(Reason::BadSignature, detail)
            })?,
            Form::Hono => found.text()?,
        };
        let (value, signature) = signed
            .rsplit_once('.')
            .ok_or_else(|| Rejected::malformed("the value has no signature after `.`"))?;
        let signature = match self.form {
            Form::CookieParser => base64::decode_unpadded(signature),
            Form::Hono => base64::decode_padded(signature),
        };
        let signature = signature.unwrap_or_default();
        if !self.keys.iter().any(|key| key.verifies(value.as_bytes(), &signature)) {
            return Err(Rejected::bad_signature(self.keys.len()));
        }
        Ok(Check::Known(OpenedSession { session: self.content(value)?, expires_at: None }))
    }
}

impl SignedCookie {
    fn content(&self, value: &str) -> Result<Value, Rejected> {
        let document = match self.form {
            Form::CookieParser => value.strip_prefix("j:"),
            Form::Hono => Some(value).filter(|value| value.starts_with('{')),
        };
        document.map_or_else(|| Ok(Value::from(value)), |text| json::parse(text.as_bytes()))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    match sample.notation {
        Notation::Signed { content, mac } if mac.len() == 43 && content.starts_with("s:j:") => {
            Look::sure("a signed value of cookie-parser")
        }
        Notation::Signed { mac, .. } if mac.len() == 44 => {
            Some(Look::new(Fit::Remote, "a signed value, as Hono writes them"))
        }
        _ => None,
    }
}

impl FromNode for Form {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("cookie-parser", Self::CookieParser), ("hono", Self::Hono)])
    }
}
