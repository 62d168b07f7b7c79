//! h3's `useSession` (nuxt-auth-utils, TanStack Start, SolidStart): a seal
//! around the session's id, its birth and the app's data.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use crate::session::codec::{iron, json};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["nuxt-session", "h3"], ..CookieConventions::NODE };

struct H3Session {
    passwords: iron::Passwords,
    max_age: Option<u64>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "h3-session",
    read,
    hints: Hints { names: &["h3", "nuxt-session"], look, ..Hints::NONE },
    schema: include_str!("h3_session.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    // h3 takes 0 for no `maxAge`.
    let max_age = settings.seconds("max_age").filter(|&max_age| max_age > 0);
    let passwords = key_settings::passwords(settings, None)?;
    Some(Compiled::new(jar?, H3Session { passwords, max_age }))
}

impl Verify for H3Session {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
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
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    if sample.starts_with("Fe26.2**") {
        return Some(Look::new(Fit::Possible, "an iron seal of h3 or yar"));
    }
    let text = "an iron-session seal";
    sample.starts_with("Fe26.2*").then_some(Look::new(Fit::Possible, text))
}
