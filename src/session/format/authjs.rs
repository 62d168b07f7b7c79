//! Auth.js 5: an encrypted token under a key bound to the cookie's name.

use super::Format;
use crate::session::codec::{claims, crypto, jwe};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Rejected};

const HABITS: Habits = Habits {
    names: &["__Secure-authjs.session-token", "authjs.session-token"],
    chunks: Some("."),
    reads_prefix: true,
    ..Habits::NODE
};

struct AuthJs {
    jar: Jar,
    /// For each name of the jar, because the name is the salt: a `__Secure-`
    /// token does not open under the plain name.
    keys: Vec<(String, Vec<jwe::Key>)>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let secrets = settings.secrets()?;
    let jar = jar?;
    let keys = |name: &String| {
        let info = format!("Auth.js Generated Encryption Key ({name})");
        // Betas up to 2024 wrote A256GCM.
        let encryptions = [jwe::Encryption::A256CbcHs512, jwe::Encryption::A256Gcm];
        let keys = secrets.iter().flat_map(|secret| {
            encryptions.into_iter().filter_map(|encryption| {
                let (salt, length) = (name.as_bytes(), encryption.key_length());
                let secret = crypto::hkdf(secret, salt, info.as_bytes(), length)?;
                Some(jwe::Key { encryption, secret })
            })
        });
        (name.clone(), keys.collect())
    };
    Some(Box::new(AuthJs { keys: jar.names().iter().map(keys).collect(), jar }))
}

impl Format for AuthJs {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let keys = self.keys.iter().filter(|(name, _)| name == found.name);
        let token = jwe::open(&found.value, keys.flat_map(|(_, keys)| keys))?;
        claims::session(&token.plaintext, now).map(Check::Known)
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        Some("/sub")
    }
}
