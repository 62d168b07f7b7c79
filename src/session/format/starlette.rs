//! Starlette's and FastAPI's `SessionMiddleware`: JSON signed by itsdangerous.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::{Risks, is_zero};
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::itsdangerous::KeyDerivation;
use crate::session::codec::{base64, itsdangerous, json, spelling};
use crate::session::cookie::{Duplicate, Encoding};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Notation, Sample};

const CONVENTIONS: CookieConventions = CookieConventions {
    names: &["session"],
    duplicate: Duplicate::Last,
    encoding: Encoding::Raw,
    ..CookieConventions::NODE
};

const MAX_AGE: u64 = 14 * 86400;

struct Starlette {
    keys: Vec<MacKey>,
    /// `None` is the app's `max_age=None`, written 0 in the settings.
    max_age: Option<u64>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "starlette",
    is_as_written: spelling::timed,
    read,
    hints: Hints {
        look,
        also_check: "; or the app is one of Flask, whose sessions can look the same",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks { never_ends: |at| is_zero(at, "max_age"), ..Risks::NONE },
    schema: include_str!("starlette.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let max_age = settings.seconds("max_age").unwrap_or(MAX_AGE);
    let secrets = settings.secrets()?;
    let key = |secret| KeyDerivation::DjangoConcat.key(Hash::Sha1, secret, b"itsdangerous.Signer");
    let keys = secrets.iter().map(key);
    let max_age = (max_age > 0).then_some(max_age);
    Some(Compiled::new(jar?, Starlette { keys: keys.collect(), max_age }))
}

impl Verify for Starlette {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let signed = itsdangerous::verify(found.text()?, '.', &self.keys)?;
        let issued = itsdangerous::timestamp_bytes(signed.timestamp)?;
        let expires_at = itsdangerous::expires_at(issued, self.max_age, now)?;
        let text = base64::decode(signed.payload)
            .ok_or_else(|| Rejected::malformed("the payload is not base64"))?;
        Ok(Check::Known(OpenedSession { session: json::parse_python(&text)?, expires_at }))
    }

    fn dates_its_end(&self) -> bool {
        true
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let Notation::Timed { payload, separator: '.', .. } = sample.notation else { return None };
    if payload.starts_with('.') || payload.len() % 4 != 0 {
        return None;
    }
    if payload.contains(['=', '+', '/']) {
        return Look::sure("a session of Starlette (FastAPI)");
    }
    let text = "a value signed by itsdangerous (Flask, Starlette)";
    Some(Look::new(Fit::Possible, text))
}
