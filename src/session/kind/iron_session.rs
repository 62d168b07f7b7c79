//! iron-session 8 and 9: the app's own object under a seal.

use super::Format;
use crate::secret::Secret;
use crate::session::codec::{iron, json};
use crate::session::jar::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Rejected};

const HABITS: Habits = Habits { chunks: Some("."), ..Habits::NODE };

struct IronSession {
    jar: Jar,
    passwords: Vec<(String, Secret)>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let passwords = settings.secrets_by_id()?;
    Some(Box::new(IronSession { jar: jar?, passwords }))
}

impl Format for IronSession {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        // The version after `~` is not authenticated and decides nothing.
        let seal = found.text()?.split('~').next().unwrap_or_default();
        let unsealed = iron::unseal(seal, &self.passwords)?;
        let session = json::parse(&unsealed.plaintext)?;
        Ok(Check::Known(Opened { session, expires_at: unsealed.expires_at() }))
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        None
    }
}
