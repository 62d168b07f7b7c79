//! nextjs-auth0: an encrypted token. Version 4 keeps its times in the payload,
//! version 3 and express-openid-connect in the header.

use super::Format;
use crate::session::codec::{claims, crypto, json, jwe};
use crate::session::cookie::Duplicate;
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Rejected};

/// Next.js picks the last of several cookies.
const HABITS: Habits = Habits {
    names: &["__session"],
    chunks: Some("__"),
    duplicate: Duplicate::Last,
    ..Habits::NODE
};
/// The layout of version 3.
const OLDER: Habits = Habits { names: &["appSession"], chunks: Some("."), ..HABITS };

struct Auth0 {
    jar: Jar,
    older: Jar,
    keys: Vec<jwe::Key>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let (jar, older) = (settings.jar(HABITS), settings.jar(OLDER));
    let secrets = settings.secrets()?;
    let encryption = jwe::Encryption::A256Gcm;
    let keys = secrets.iter().filter_map(|secret| {
        let secret = crypto::hkdf(secret, b"", b"JWE CEK", encryption.key_length())?;
        Some(jwe::Key { encryption, secret })
    });
    Some(Box::new(Auth0 { keys: keys.collect(), jar: jar?, older: older? }))
}

impl Format for Auth0 {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = match self.jar.find_optional(cookies)? {
            Some(found) => found,
            None => self.older.find_optional(cookies)?.ok_or_else(|| self.jar.missing())?,
        };
        let token = jwe::open(&found.value, self.keys.iter())?;
        let session = json::parse(&token.plaintext)?;
        let ends = [claims::expires_at(&token.header, now)?, claims::expires_at(&session, now)?];
        let expires_at = ends.into_iter().flatten().min();
        Ok(Check::Known(Opened { session, expires_at }))
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        Some("/user/sub")
    }

    fn looks_at(&self, name: &[u8]) -> bool {
        self.jar.looks_at(name) || self.older.looks_at(name)
    }

    fn resembles(&self, folded: &[u8]) -> bool {
        self.jar.resembles(folded) || self.older.resembles(folded)
    }

    fn is_judged(&self, name: &[u8]) -> bool {
        self.looks_at(name)
    }

    fn picked(&self, cookies: Cookies<'_>) -> Vec<String> {
        let picked = self.jar.picked(cookies);
        if picked.is_empty() { self.older.picked(cookies) } else { picked }
    }
}
