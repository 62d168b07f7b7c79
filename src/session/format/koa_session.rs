//! koa-session: as cookie-session, with its end written into the JSON.

use super::Format;
use crate::session::codec::keygrip::{self, Keygrip};
use crate::session::codec::{base64, json};
use crate::session::cookie::Encoding;
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::{self, Answer, Check, Engine, Question, Store};
use crate::session::{Cookies, Opened, Rejected};

const HABITS: Habits = Habits { names: &["koa.sess"], encoding: Encoding::Raw, ..Habits::NODE };

struct KoaSession {
    jar: Jar,
    keys: Keygrip,
    /// An external store: the cookie is then the key to it.
    external: Option<(Store, String)>,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let external = settings.store(&[Engine::Redis]).map(|mut store| {
        let prefix = store.text("prefix", "");
        (store.finish(), prefix)
    });
    let keys = Keygrip::read(settings)?;
    Some(Box::new(KoaSession { jar: jar?, keys, external }))
}

impl Format for KoaSession {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.keys.find(&self.jar, cookies)?;
        if let Some((_, prefix)) = &self.external {
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
        answer: Answer,
        now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let (value, key_end) = answer.redis(now)?;
        let Opened { session, expires_at } = open_json(&value)?;
        let expires_at = [expires_at, key_end].into_iter().flatten().min();
        Ok(Check::Known(Opened { session, expires_at }))
    }

    fn store(&self) -> Option<&Store> {
        self.external.as_ref().map(|(store, _)| store)
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        None
    }

    fn looks_at(&self, name: &[u8]) -> bool {
        self.jar.looks_at(name) || keygrip::is_companion(&self.jar, name)
    }

    fn resembles(&self, folded: &[u8]) -> bool {
        self.jar.resembles(folded) || keygrip::resembles_companion(&self.jar, folded)
    }
}

fn open_json(text: &[u8]) -> Result<Opened, Rejected> {
    let session = json::parse(text)?;
    let expires_at = match session.get("_expire") {
        None => None,
        Some(_) => Some(
            json::milliseconds(&session, "_expire")
                .ok_or_else(|| Rejected::malformed("`_expire` is not a number"))?
                / 1000,
        ),
    };
    Ok(Opened { session, expires_at })
}
