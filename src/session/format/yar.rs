//! yar (hapi): a seal around the session while it is small, around its id
//! otherwise.

use serde_json::Value;

use super::Format;
use crate::session::codec::{claims, iron, json};
use crate::session::cookie::{Duplicate, Encoding};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::{self, Answer, Check, Engine, Question, Store};
use crate::session::{Cookies, Opened, Reason, Rejected};

/// hapi makes a list of several cookies, and yar then sees nobody.
const HABITS: Habits = Habits {
    names: &["session"],
    duplicate: Duplicate::Reject,
    encoding: Encoding::Raw,
    ..Habits::NODE
};

struct Yar {
    jar: Jar,
    passwords: iron::Passwords,
    cache: Option<(Store, String)>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let cache = settings.store(&[Engine::Redis]).map(|mut store| {
        // catbox-redis: partition, segment (the plugin's name), id, each escaped.
        let prefix = store.text("prefix", "hapi-cache:!%40hapi%2Fyar:");
        (store.finish(), prefix)
    });
    let passwords = iron::Passwords::read(settings, None)?;
    Some(Box::new(Yar { jar: jar?, passwords, cache }))
}

impl Format for Yar {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let unsealed = iron::unseal(found.text()?, &self.passwords)?;
        let mut whole = json::parse(&unsealed.plaintext)?;
        let session = whole.get_mut("_store").map(Value::take).filter(|session| !session.is_null());
        let id = claims::text(&whole, "id").filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Rejected::malformed("the cookie holds no session id"))?;
        if let Some(session) = session {
            return Ok(Check::Known(Opened { session, expires_at: unsealed.expires_at() }));
        }
        let Some((_, prefix)) = &self.cache else {
            let detail = "the cookie holds only the session's id: the session outgrew \
                          `maxCookieSize` and is in the server's cache";
            return Err(Rejected::new(Reason::StoreMiss, detail));
        };
        store::check_signed_id(id)?;
        Ok(Question::redis(prefix, id))
    }

    /// catbox wraps what it keeps: `{"item": session, "stored": …, "ttl": …}`.
    fn answered(
        &self,
        _question: &Question,
        answer: Answer,
        now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let (value, expires_at) = answer.redis(now)?;
        let mut envelope = json::parse(&value)?;
        let session = envelope
            .get_mut("item")
            .map(Value::take)
            .ok_or_else(|| Rejected::malformed("the cached value has no `item`"))?;
        Ok(Check::Known(Opened { session, expires_at }))
    }

    fn store(&self) -> Option<&Store> {
        self.cache.as_ref().map(|(store, _)| store)
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        None
    }
}
