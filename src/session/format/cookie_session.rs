//! cookie-session (Express): JSON in one cookie, its signature in another.

use super::Format;
use crate::session::codec::keygrip::{self, Keygrip};
use crate::session::codec::{base64, json};
use crate::session::cookie::Encoding;
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Rejected};

const HABITS: Habits = Habits { names: &["session"], encoding: Encoding::Raw, ..Habits::NODE };

struct CookieSession {
    jar: Jar,
    keys: Keygrip,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let keys = Keygrip::read(settings)?;
    Some(Box::new(CookieSession { jar: jar?, keys }))
}

impl Format for CookieSession {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.keys.find(&self.jar, cookies)?;
        let text = base64::decode(&found.value)
            .ok_or_else(|| Rejected::malformed("the value is not base64"))?;
        // `maxAge` is an attribute for the browser; the value itself never ends.
        Ok(Check::Known(Opened { session: json::parse(&text)?, expires_at: None }))
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        None
    }

    fn looks_at(&self, name: &[u8]) -> bool {
        self.jar.looks_at(name) || keygrip::is_companion(&self.jar, name)
    }

    fn resembles(&self, folded: &[u8]) -> bool {
        self.jar.resembles(folded) || keygrip::resembles_companion(&self.jar, folded)
    }
}
