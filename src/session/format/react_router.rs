//! React Router and Remix `createCookieSessionStorage`: signed JSON.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::base::secret::Secret;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::{base64, json, signed_cookie, spelling};
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
    is_as_written: spelling::signed_text,
    read,
    hints: Hints { look, ..Hints::NONE },
    remember_cookies: &[],
    risks: Risks::NO_END,
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
        let value = signed_cookie::verify(found.text()?, &self.keys)?;
        let text =
            base64::decode(value).ok_or_else(|| Rejected::malformed("the value is not base64"))?;
        Ok(Check::Known(OpenedSession { session: json::parse(&text)?, expires_at: None }))
    }

    fn advice(&self, sent: SentCookies<'_>, why: &Rejected, _secrets: &[Secret]) -> Vec<String> {
        let opened = self.open(sent, 0);
        let is_id = matches!(&opened, Ok(Check::Known(opened)) if opened.session.is_string());
        let is_id = is_id && why.reason == Reason::NoUser;
        let advice = "the cookie holds only a session's id: the app keeps its sessions in memory, \
                      in files or in a storage of its own (createSessionStorage), which the \
                      gateway cannot read; let it ask the app with kind = \"introspect\"";
        is_id.then(|| advice.to_owned()).into_iter().collect()
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
