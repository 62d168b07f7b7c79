//! next-auth 4: an encrypted token under a key derived from the secret alone.

use super::Format;
use crate::session::codec::{claims, crypto, jwe};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Rejected};

const HABITS: Habits = Habits {
    names: &["__Secure-next-auth.session-token", "next-auth.session-token"],
    chunks: Some("."),
    reads_prefix: true,
    ..Habits::NODE
};

/// With a salt, as for its CSRF and state tokens, the library appends it here:
/// those tokens open under another key and never as a session.
const INFO: &[u8] = b"NextAuth.js Generated Encryption Key";

struct NextAuth {
    jar: Jar,
    keys: Vec<jwe::Key>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let secrets = settings.secrets()?;
    let encryption = jwe::Encryption::A256Gcm;
    let keys = secrets.iter().filter_map(|secret| {
        let secret = crypto::hkdf(secret, b"", INFO, encryption.key_length())?;
        Some(jwe::Key { encryption, secret })
    });
    Some(Box::new(NextAuth { keys: keys.collect(), jar: jar? }))
}

impl Format for NextAuth {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let token = jwe::open(&found.value, self.keys.iter())?;
        claims::session(&token.plaintext, now).map(Check::Known)
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        Some("/sub")
    }
}
