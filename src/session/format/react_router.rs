//! React Router and Remix `createCookieSessionStorage`: signed JSON.

use super::Format;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::{base64, json};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Reason, Rejected};

const HABITS: Habits = Habits { names: &["__session"], ..Habits::NODE };

struct ReactRouter {
    jar: Jar,
    keys: Vec<MacKey>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let secrets = settings.secrets()?;
    let keys = secrets.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes()));
    Some(Box::new(ReactRouter { keys: keys.collect(), jar: jar? }))
}

impl Format for ReactRouter {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let Some((value, signature)) = found.text()?.rsplit_once('.') else {
            let detail = "the value is not signed; give the app's session storage `secrets`";
            return Err(Rejected::new(Reason::BadSignature, detail));
        };
        let signature = base64::decode(signature).unwrap_or_default();
        if !self.keys.iter().any(|key| key.verifies(value.as_bytes(), &signature)) {
            return Err(Rejected::bad_signature(self.keys.len()));
        }
        let text =
            base64::decode(value).ok_or_else(|| Rejected::malformed("the value is not base64"))?;
        Ok(Check::Known(Opened { session: json::parse(&text)?, expires_at: None }))
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        None
    }
}
