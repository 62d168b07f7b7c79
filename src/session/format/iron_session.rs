//! iron-session 8 and 9: the app's own object under a seal. WorkOS AuthKit seals
//! a token inside it.

use serde_json::Value;

use super::Format;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::keys::{Keys, RemoteKeys};
use crate::session::codec::{iron, json, jws};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::key_settings;
use crate::session::settings::Settings;
use crate::session::store::Check;
use crate::session::{Cookies, Opened, Pointer, Reason, Rejected};

const HABITS: Habits = Habits { chunks: Some("."), ..Habits::NODE };

struct IronSession {
    jar: Jar,
    passwords: iron::Passwords,
    token: Option<Token>,
}

/// A signed token inside the seal. AuthKit's seals never end; the token does.
struct Token {
    at: Pointer,
    keys: Keys,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let token = read_token(settings);
    let passwords = iron::Passwords::read(settings, Some("1"))?;
    Some(Box::new(IronSession { jar: jar?, passwords, token }))
}

fn read_token(settings: &mut Settings<'_, '_>) -> Option<Token> {
    let at = settings.table().take("access_token")?;
    let keys = key_settings::public(settings);
    Some(Token { at: at.read()?, keys: keys? })
}

impl Format for IronSession {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        // The version after `~` is not authenticated and decides nothing.
        let seal = found.text()?.split('~').next().unwrap_or_default();
        let unsealed = iron::unseal(seal, &self.passwords)?;
        let session = json::parse(&unsealed.plaintext)?;
        let token_end = match &self.token {
            Some(token) => Some(token.expires_at(&session, now)?),
            None => None,
        };
        let expires_at = [unsealed.expires_at(), token_end].into_iter().flatten().min();
        Ok(Check::Known(Opened { session, expires_at }))
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        None
    }

    fn remote_keys(&self) -> Option<&RemoteKeys> {
        self.token.as_ref()?.keys.remote()
    }
}

impl Token {
    /// When the token ends, once it is verified.
    fn expires_at(&self, session: &Value, now: u64) -> Result<u64, Rejected> {
        let token = self.at.find(session).and_then(Value::as_str).ok_or_else(|| {
            let detail = format!("the session is valid, but has no token at `{}`", self.at);
            Rejected::new(Reason::NoUser, detail)
        })?;
        let allowed = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        let opened =
            jws::verify(token.as_bytes(), &*self.keys.current()?, &allowed)?.session(now)?;
        let missing = || Rejected::new(Reason::MissingExp, "the token in the session has no `exp`");
        opened.expires_at.ok_or_else(missing)
    }
}
