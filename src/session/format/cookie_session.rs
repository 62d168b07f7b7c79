//! cookie-session (Express): JSON in one cookie, its signature in another.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::session::codec::keygrip::{self, Keygrip};
use crate::session::codec::{base64, json, spelling};
use crate::session::cookie::Encoding;
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["session"], encoding: Encoding::Raw, ..CookieConventions::NODE };

struct CookieSession {
    keys: Keygrip,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "cookie-session",
    is_as_written: spelling::base64_text,
    read,
    hints: Hints {
        look,
        also_check: "; or `digest` is not that of the app's Keygrip",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks::NO_END,
    schema: include_str!("cookie_session.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let keys = key_settings::keygrip(settings)?;
    Some(Compiled::new(keygrip::with_signatures(jar?), CookieSession { keys }))
}

impl Verify for CookieSession {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = self.keys.find(sent)?;
        let text = base64::decode(&found.value)
            .ok_or_else(|| Rejected::malformed("the value is not base64"))?;
        // `maxAge` is an attribute for the browser; the value itself never ends.
        Ok(Check::Known(OpenedSession { session: json::parse(&text)?, expires_at: None }))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let Notation::Json(_) = &sample.notation else { return None };
    Some(Look::new(Fit::Possible, "JSON in base64, as cookie-session writes it"))
}
