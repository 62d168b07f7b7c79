//! Starlette's and FastAPI's `SessionMiddleware`: JSON signed by itsdangerous.

use aws_lc_rs::digest;

use super::Format;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::{base64, itsdangerous, json};
use crate::session::cookie::{Duplicate, Encoding};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Rejected};

const HABITS: Habits = Habits {
    names: &["session"],
    duplicate: Duplicate::Last,
    encoding: Encoding::Raw,
    ..Habits::NODE
};

const MAX_AGE: u64 = 14 * 86400;

struct Starlette {
    jar: Jar,
    keys: Vec<MacKey>,
    /// `None` is the app's `max_age=None`, written 0 in the settings.
    max_age: Option<u64>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let max_age = settings.seconds("max_age").unwrap_or(MAX_AGE);
    let secrets = settings.secrets()?;
    let keys = secrets.iter().map(|secret| {
        let salted = [b"itsdangerous.Signer", b"signer".as_slice(), secret.bytes()].concat();
        let derived = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &salted);
        MacKey::new(Hash::Sha1, derived.as_ref())
    });
    let max_age = (max_age > 0).then_some(max_age);
    Some(Box::new(Starlette { keys: keys.collect(), jar: jar?, max_age }))
}

impl Format for Starlette {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let signed = itsdangerous::verify(found.text()?, '.', &self.keys)?;
        let issued = itsdangerous::timestamp_bytes(signed.timestamp)?;
        let expires_at = itsdangerous::expires_at(issued, self.max_age, now)?;
        let text = base64::decode(signed.payload)
            .ok_or_else(|| Rejected::malformed("the payload is not base64"))?;
        Ok(Check::Known(Opened { session: json::parse(&text)?, expires_at }))
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        None
    }
}
