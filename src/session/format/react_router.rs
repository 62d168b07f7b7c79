//! React Router and Remix `createCookieSessionStorage`: signed JSON.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::{base64, json};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["__session"], ..CookieConventions::NODE };

struct ReactRouter {
    keys: Vec<MacKey>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "react-router",
    read,
    hints: Hints { look, ..Hints::NONE },
    schema: include_str!("react_router.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let secrets = settings.secrets()?;
    let keys = secrets.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes()));
    Some(Compiled::new(jar?, ReactRouter { keys: keys.collect() }))
}

impl Verify for ReactRouter {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
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
        Ok(Check::Known(OpenedSession { session: json::parse(&text)?, expires_at: None }))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    match sample.notation {
        Notation::Json(_) => Some(Look::new(Fit::Unsigned, "an unsigned session of React Router")),
        Notation::Signed { content, mac } if mac.len() == 43 => {
            base64::decode(content)?;
            Look::sure("a session of React Router or Remix")
        }
        _ => None,
    }
}
