//! h3's `useSession` (nuxt-auth-utils, TanStack Start, SolidStart): a seal
//! around the session's id, its birth and the app's data.

use super::Format;
use crate::session::codec::{iron, json};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Rejected};

const HABITS: Habits = Habits { names: &["nuxt-session", "h3"], ..Habits::NODE };

struct H3Session {
    jar: Jar,
    passwords: iron::Passwords,
    max_age: Option<u64>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    // h3 takes 0 for no `maxAge`.
    let max_age = settings.seconds("max_age").filter(|&max_age| max_age > 0);
    let passwords = iron::Passwords::read(settings, None)?;
    Some(Box::new(H3Session { jar: jar?, passwords, max_age }))
}

impl Format for H3Session {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let unsealed = iron::unseal(found.text()?, &self.passwords)?;
        let mut whole = json::parse(&unsealed.plaintext)?;
        let by_age = match self.max_age {
            None => None,
            Some(max_age) => {
                let created = json::milliseconds(&whole, "createdAt")
                    .ok_or_else(|| Rejected::malformed("the session has no `createdAt`"))?;
                Some((created / 1000).saturating_add(max_age))
            }
        };
        let expires_at = [unsealed.expires_at(), by_age].into_iter().flatten().min();
        let session = whole.get_mut("data").map(serde_json::Value::take).unwrap_or_default();
        Ok(Check::Known(Opened { session, expires_at }))
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        None
    }
}
