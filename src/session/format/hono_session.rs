//! @hono/session: an encrypted token that holds the session, or its id.

use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use crate::session::codec::{claims, crypto, json, jwe, spelling};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::{self, Check, Engine, Question, StoreAnswer};
use crate::session::value_notation::{Fit, Look, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["sid"], ..CookieConventions::NODE };

struct HonoSession {
    keys: Vec<jwe::Key>,
    /// The text before the id in a key, where the app has a storage.
    prefix: Option<String>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "hono-session",
    is_as_written: spelling::token,
    read,
    hints: Hints {
        look,
        also_check: "; kind = \"auth0\" and kind = \"next-auth\" have the same form",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("hono_session.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let store = settings.store(&[Engine::Redis]).map(|mut store| {
        let prefix = store.text("prefix", "");
        (store.finish(), prefix)
    });
    let secrets = settings.secrets()?;
    let encryption = jwe::Encryption::A256Gcm;
    let keys = secrets.iter().filter_map(|secret| {
        let secret = crypto::hkdf(secret, b"", b"session jwe cek", encryption.key_length())?;
        Some(jwe::Key { encryption, secret })
    });
    let (store, prefix) = store.unzip();
    let compiled = Compiled::new(jar?, HonoSession { keys: keys.collect(), prefix });
    Some(match store {
        Some(store) => compiled.with_store(Some(store)),
        None => compiled,
    })
}

impl Verify for HonoSession {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let token = jwe::open(&found.value, self.keys.iter())?;
        let opened = claims::session(&token.plaintext, now)?;
        let Some(id) = claims::text(&opened.session, "sid") else {
            return Err(Rejected::new(Reason::WrongPurpose, "the token holds no session (`sid`)"));
        };
        let Some(prefix) = &self.prefix else { return Ok(Check::Known(opened)) };
        store::check_signed_id(id)?;
        Ok(Question::redis(prefix, id).carrying(opened.expires_at.into()))
    }

    fn answered(
        &self,
        question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let (content, expires_at) = answer.redis(now)?;
        let ends = [expires_at, question.carried.as_u64()];
        let expires_at = ends.into_iter().flatten().min();
        Ok(Check::Known(OpenedSession { session: json::parse(&content)?, expires_at }))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    let text = "an encrypted token, as next-auth 4, Auth0 and @hono/session write them";
    sample.is_encrypted_with("A256GCM").then_some(Look::new(Fit::Possible, text))
}
