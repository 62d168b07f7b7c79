//! koa-session: as cookie-session, with its end written into the JSON.

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
use crate::session::store::{self, Check, Engine, Question, StoreAnswer};
use crate::session::value_notation::{Look, Notation, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["koa.sess"], encoding: Encoding::Raw, ..CookieConventions::NODE };

struct KoaSession {
    keys: Keygrip,
    /// The prefix in an external store: the cookie is then the key to it.
    prefix: Option<String>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "koa-session",
    is_as_written: spelling::base64_text,
    read,
    hints: Hints {
        names: &["koa.sess"],
        look,
        also_check: "; or `digest` is not that of the app's Keygrip",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("koa_session.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let external = settings.store(&[Engine::Redis]).map(|mut store| {
        let prefix = store.text("prefix", "");
        (store.finish(), prefix)
    });
    let keys = key_settings::keygrip(settings)?;
    let (store, prefix) = external.unzip();
    let verifier = KoaSession { keys, prefix };
    Some(Compiled::new(keygrip::with_signatures(jar?), verifier).with_store(store))
}

impl Verify for KoaSession {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = self.keys.find(sent)?;
        if let Some(prefix) = &self.prefix {
            let id = found.text()?;
            store::check_signed_id(id)?;
            return Ok(Question::redis(prefix, id));
        }
        let text = base64::decode(&found.value)
            .ok_or_else(|| Rejected::malformed("the value is not base64"))?;
        open_json(&text).map(Check::Known)
    }

    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let (value, key_end) = answer.redis(now)?;
        let OpenedSession { session, expires_at } = open_json(&value)?;
        let expires_at = [expires_at, key_end].into_iter().flatten().min();
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    match &sample.notation {
        Notation::Json(members)
            if members.contains_key("_expire") || members.contains_key("_maxAge") =>
        {
            Look::sure("a session of koa-session")
        }
        _ => None,
    }
}

fn open_json(text: &[u8]) -> Result<OpenedSession, Rejected> {
    let session = json::parse(text)?;
    let expires_at = match session.get("_expire") {
        None => None,
        Some(_) => Some(
            json::milliseconds(&session, "_expire")
                .ok_or_else(|| Rejected::malformed("`_expire` is not a number"))?
                / 1000,
        ),
    };
    Ok(OpenedSession { session, expires_at })
}
