//! One signed value in a cookie: those of Express' cookie-parser, and of Hono.
//!
//! The value is the user's id, or an object in JSON. It does not expire by itself.

use serde_json::Value;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::base::secret::Secret;
use crate::document::{At, FromNode};
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::{base64, json, spelling};
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
    is_as_written: spelling::signed_id,
    read,
    hints: Hints {
        look,
        also_check: "; or `format` does not name the library that signs",
        ..Hints::NONE
    },
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
        let value = self.verified(self.form, found.text()?)?;
        Ok(Check::Known(OpenedSession { session: self.content(value)?, expires_at: None }))
    }

    /// The other library signed it, with the same secret.
    fn advice(&self, sent: SentCookies<'_>, why: &Rejected, _secrets: &[Secret]) -> Vec<String> {
        let found = sent.find().ok();
        let text = found.as_ref().and_then(|found| found.text().ok());
        let is_unread = [Reason::BadSignature, Reason::Malformed].contains(&why.reason);
        let Some(text) = text.filter(|_| is_unread) else { return Vec::new() };
        let (other, advice) = match self.form {
            Form::CookieParser => {
                (Form::Hono, "Hono signed the value, with this secret: write format = \"hono\"")
            }
            Form::Hono => {
                let advice = "cookie-parser signed the value, with this secret: leave out `format`";
                (Form::CookieParser, advice)
            }
        };
        let is_others = self.verified(other, text).is_ok();
        Vec::from_iter(is_others.then(|| advice.to_owned()))
    }
}

impl SignedCookie {
    /// The value, if one of the keys signed it in this form.
    fn verified<'t>(&self, form: Form, text: &'t str) -> Result<&'t str, Rejected> {
        let signed = match form {
            Form::CookieParser => text.strip_prefix("s:").ok_or_else(|| {
                let detail = "the value is not signed: it does not start with `s:`";
                Rejected::new(Reason::BadSignature, detail)
            })?,
            Form::Hono => text,
        };
        let (value, signature) = signed
            .rsplit_once('.')
            .ok_or_else(|| Rejected::malformed("the value has no signature after `.`"))?;
        let signature = match form {
            Form::CookieParser => base64::decode_unpadded(signature),
            Form::Hono => base64::decode_padded(signature),
        };
        let signature = signature.unwrap_or_default();
        if !self.keys.iter().any(|key| key.verifies(value.as_bytes(), &signature)) {
            return Err(Rejected::bad_signature(self.keys.len()));
        }
        Ok(value)
    }

    fn content(&self, value: &str) -> Result<Value, Rejected> {
        let document = match self.form {
            Form::CookieParser => value.strip_prefix("j:"),
            Form::Hono => Some(value).filter(|value| value.starts_with('{')),
        };
        document.map_or_else(|| Ok(Value::from(value)), |text| json::parse(text.as_bytes()))
    }
}

/// Other libraries sign a session's id in the same forms. Read here, it would be the user's.
fn look(sample: &Sample<'_>) -> Option<Look> {
    const LONGEST_PLAIN: usize = 15;
    let Notation::Signed { content, mac } = sample.notation else { return None };
    let (value, text) = match (mac.len(), content.strip_prefix("s:")) {
        (43, Some(value)) => (value, "a signed value of cookie-parser"),
        (44, _) => (content, "a signed value, as Hono writes them"),
        _ => return None,
    };
    let is_no_id =
        value.len() <= LONGEST_PLAIN || value.starts_with("j:") || value.starts_with('{');
    Some(Look::new(if is_no_id { Fit::Sure } else { Fit::Shared }, text))
}

impl FromNode for Form {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("cookie-parser", Self::CookieParser), ("hono", Self::Hono)])
    }
}
