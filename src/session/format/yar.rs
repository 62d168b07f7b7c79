//! yar (hapi): a seal around the session while it is small, around its id
//! otherwise.

use crate::session::key_settings;
use serde_json::Value;

use super::h3_session;
use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::risks::Risks;
use super::sealed_form::SealedForm;
use crate::session::codec::{claims, iron, json, spelling};
use crate::session::cookie::{Duplicate, Encoding};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::Settings;
use crate::session::store::{self, Check, Engine, Question, StoreAnswer};

/// hapi makes a list of several cookies, and yar then sees no session.
const CONVENTIONS: CookieConventions = CookieConventions {
    names: &["session"],
    duplicate: Duplicate::Reject,
    encoding: Encoding::Raw,
    ..CookieConventions::NODE
};

struct Yar {
    passwords: iron::Passwords,
    /// The prefix in the server's cache, if the gateway may ask it.
    prefix: Option<String>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "yar",
    is_as_written: spelling::seal,
    read,
    hints: Hints {
        look: h3_session::look,
        also_check: "; or the app is one of h3 (Nuxt, SolidStart), whose seals look the same: kind = \
                     \"h3-session\"",
        ..Hints::NONE
    },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("yar.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let cache = settings.store(&[Engine::Redis]).map(|mut store| {
        // catbox-redis: partition, segment (the plugin's name), id, each escaped.
        let prefix = store.text("prefix", "hapi-cache:!%40hapi%2Fyar:");
        (store.finish(), prefix)
    });
    let passwords = key_settings::passwords(settings, None)?;
    let (store, prefix) = cache.unzip();
    let opens_slowly = passwords.are_slow();
    let compiled = Compiled::new(jar?, Yar { passwords, prefix }).with_store(store);
    Some(Compiled { opens_slowly, ..compiled })
}

impl Verify for Yar {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        Ok(self.open_with_id(sent, now)?.0)
    }

    fn open_with_id(
        &self,
        sent: SentCookies<'_>,
        _now: u64,
    ) -> Result<(Check<OpenedSession>, Option<String>), Rejected> {
        let found = sent.find()?;
        let unsealed = iron::unseal(found.text()?, &self.passwords)?;
        let mut whole = json::parse(&unsealed.plaintext)?;
        if whole.get("createdAt").is_some() && whole.get("data").is_some() {
            return Err(SealedForm::H3.refusal());
        }
        let form = SealedForm::of(&whole);
        if form == SealedForm::Plain {
            return Err(form.refusal());
        }
        let session = whole.get_mut("_store").map(Value::take).filter(|session| !session.is_null());
        let id = claims::text(&whole, "id").filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Rejected::malformed("the cookie holds no session id"))?;
        if let Some(session) = session {
            let opened = OpenedSession { session, expires_at: unsealed.expires_at() };
            return Ok((Check::Known(opened), Some(id.to_owned())));
        }
        let Some(prefix) = &self.prefix else {
            let detail = "the cookie holds only an id: the session outgrew `maxCookieSize` and is in \
                          the server's cache, unless the app seals an object of its own, for kind \
                          = \"iron-session\"";
            return Err(Rejected::new(Reason::StoreMiss, detail));
        };
        store::check_signed_id(id)?;
        Ok((Question::redis(prefix, id), None))
    }

    /// catbox wraps its values: `{"item": session, "stored": …, "ttl": …}`.
    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let (value, expires_at) = answer.redis(now)?;
        let mut envelope = json::parse(&value)?;
        let session = envelope
            .get_mut("item")
            .map(Value::take)
            .ok_or_else(|| Rejected::malformed("the cached value has no `item`"))?;
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }
}
