//! iron-session 8 and 9: the app's own object under a seal. WorkOS AuthKit seals
//! a token inside it.

use serde_json::Value;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::Keys;
use crate::session::codec::{iron, json, jws};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::key_settings;
use crate::session::pointer::Pointer;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::value_notation::{Fit, Look, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { chunks: Some("."), ..CookieConventions::NODE };

struct IronSession {
    passwords: iron::Passwords,
    token: Option<Token>,
}

/// A signed token inside the seal. AuthKit's seals never end; the token does.
struct Token {
    at: Pointer,
    keys: Keys,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "iron-session",
    read,
    hints: Hints {
        names: &["wos-session"],
        look,
        also_check: "; or `secrets` names it by another id",
        ..Hints::NONE
    },
    schema: include_str!("iron_session.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let token = read_token(settings);
    let passwords = key_settings::passwords(settings, Some("1"))?;
    let keys = token.as_ref().map(|token| token.keys.clone());
    Some(Compiled::new(jar?, IronSession { passwords, token }).with_keys(keys))
}

fn read_token(settings: &mut Settings<'_, '_>) -> Option<Token> {
    let at = settings.table().take("access_token")?;
    let keys = key_settings::public(settings);
    Some(Token { at: at.read()?, keys: keys? })
}

impl Verify for IronSession {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        // The version after `~` is not authenticated and decides nothing.
        let seal = found.text()?.split('~').next().unwrap_or_default();
        let unsealed = iron::unseal(seal, &self.passwords)?;
        let session = json::parse(&unsealed.plaintext)?;
        let token_end = match &self.token {
            Some(token) => Some(token.expires_at(&session, now)?),
            None => None,
        };
        let expires_at = [unsealed.expires_at(), token_end].into_iter().flatten().min();
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }

    fn dates_its_end(&self) -> bool {
        self.token.is_none()
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    // A seal without a password id is one of h3 or yar.
    let is_own = sample.starts_with("Fe26.2*") && !sample.starts_with("Fe26.2**");
    is_own.then_some(Look::new(Fit::Likely, "an iron-session seal"))
}

impl Token {
    /// Verifies the token and returns its end.
    fn expires_at(&self, session: &Value, now: u64) -> Result<u64, Rejected> {
        let token = self.at.find(session).and_then(Value::as_str).ok_or_else(|| {
            let detail = format!("the session is valid, but has no token at `{}`", self.at);
            Rejected::new(Reason::NoUser, detail)
        })?;
        let allowed = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        let opened = jws::verify(
            token.as_bytes(),
            &*self.keys.current()?,
            &allowed,
            &TokenTypes::default(),
        )?
        .session(now)?;
        let missing = || Rejected::new(Reason::MissingExp, "the token in the session has no `exp`");
        opened.expires_at.ok_or_else(missing)
    }
}
