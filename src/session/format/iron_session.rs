//! iron-session 8 and 9: the app's own object under a seal. WorkOS AuthKit seals
//! a token inside it, and in React Router apps signs a cookie around it.

use std::borrow::Cow;

use serde_json::Value;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use super::sealed_form::SealedForm;
use crate::base::secret::Secret;
use crate::session::codec::algorithm::Algorithm;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::token_types::TokenTypes;
use crate::session::codec::verifying_keys::Keys;
use crate::session::codec::{base64, claims, iron, json, jws, signed_cookie, spelling, token_text};
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

/// The ids of a password that stands alone: iron-session's own; and iron's, for hapi and what
/// builds on it.
const ALONE: [&str; 2] = ["1", iron::UNNAMED];
/// The beginnings of seals whose password has iron's id.
const OF_IRON: [&str; 2] = ["Fe26.2**", "Fe26.2*default*"];

struct IronSession {
    passwords: iron::Passwords,
    /// The same passwords, where a signed cookie wraps the seal.
    signers: Vec<MacKey>,
    token: Option<Token>,
}

/// A signed token inside the seal. AuthKit's seals never end; the token does.
struct Token {
    at: Pointer,
    keys: Keys,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "iron-session",
    is_as_written: spelling::seal,
    read,
    hints: Hints {
        names: &["wos-session"],
        companions: &["wos-auth-verifier*"],
        look,
        also_check: "; or `secrets` lists it under another id, or the app sets its own `iterations`",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("iron_session.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let token = read_token(settings);
    let passwords = key_settings::passwords(settings, Some(&ALONE))?;
    let signers =
        passwords.secrets().map(|secret| MacKey::new(Hash::Sha256, secret.bytes())).collect();
    let keys = token.as_ref().map(|token| token.keys.clone());
    let opens_slowly = passwords.are_slow();
    let compiled = Compiled::new(jar?, IronSession { passwords, signers, token }).with_keys(keys);
    Some(Compiled { opens_slowly, ..compiled })
}

fn read_token(settings: &mut Settings<'_, '_>) -> Option<Token> {
    let at = settings.table().take("access_token")?;
    let keys = key_settings::public(settings);
    Some(Token { at: at.read()?, keys: keys? })
}

impl Verify for IronSession {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let text = found.text()?;
        let seal = match text.starts_with("Fe26.2*") {
            true => Cow::Borrowed(text),
            false => self.seal_inside(text)?,
        };
        // The version after `~` is not authenticated and decides nothing.
        let seal = seal.split('~').next().unwrap_or_default();
        let unsealed = iron::unseal(seal, &self.passwords)?;
        let session = json::parse(&unsealed.plaintext)?;
        if OF_IRON.iter().any(|start| seal.starts_with(start)) {
            let form = SealedForm::of(&session);
            // Their `id` is the session's: as a user's it would let in every visitor.
            if [SealedForm::H3, SealedForm::Yar].contains(&form) {
                return Err(form.refusal());
            }
        }
        let token_end = match &self.token {
            Some(token) => Some(token.expires_at(&session, now)?),
            None => None,
        };
        let expires_at = [unsealed.expires_at(), token_end].into_iter().flatten().min();
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }

    fn advice(&self, sent: SentCookies<'_>, why: &Rejected, _secrets: &[Secret]) -> Vec<String> {
        let found = sent.find().ok().filter(|_| why.reason == Reason::Malformed);
        let document = found.and_then(|found| json::parse(&found.value).ok());
        let advise = |at| {
            format!(
                "the cookie holds plain JSON, in which only the token is signed: write kind = \
                 \"jwt\" with token = {at:?}, and leave out `secret` and `access_token`"
            )
        };
        document.and_then(|it| token_text::place(&it)).map(advise).into_iter().collect()
    }

    fn dates_its_end(&self) -> bool {
        self.token.is_none()
    }
}

impl IronSession {
    /// The seal in a cookie session of React Router (authkit-react-router and
    /// authkit-remix): signed JSON with the seal in its member `jwt`.
    fn seal_inside<'v>(&self, text: &'v str) -> Result<Cow<'v, str>, Rejected> {
        let is_signed = text.rsplit_once('.').and_then(|(value, _)| base64::decode(value));
        if is_signed.is_none() {
            // `unseal` reports its mistake.
            return Ok(Cow::Borrowed(text));
        }
        let value = signed_cookie::verify(text, &self.signers)?;
        let session = json::parse(&base64::decode(value).unwrap_or_default())?;
        let seal = claims::text(&session, "jwt").ok_or_else(|| {
            let detail = "the signed session is valid, but has no seal in `jwt`: signed out, or \
                          not a session of AuthKit";
            Rejected::new(Reason::NoUser, detail)
        })?;
        Ok(Cow::Owned(seal.to_owned()))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    if OF_IRON.iter().any(|start| sample.starts_with(start)) {
        let also_check = "; or the app is one of h3 (Nuxt, SolidStart) or yar, whose seals look the \
                          same: kind = \"h3-session\" or kind = \"yar\"";
        let look = Look::new(Fit::Possible, "an iron seal, as hapi writes it");
        return Some(Look { also_check: Some(also_check), ..look });
    }
    let is_own = sample.starts_with("Fe26.2*");
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
