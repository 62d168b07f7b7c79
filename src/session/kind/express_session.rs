//! express-session: a signed session id; the session itself is in Redis.

use super::Format;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::{base64, json};
use crate::session::jar::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::{self, Answer, Check, Engine, Question, Store};
use crate::session::{Cookies, Opened, Reason, Rejected};

const HABITS: Habits = Habits { names: &["connect.sid"], ..Habits::NODE };

struct ExpressSession {
    jar: Jar,
    keys: Vec<MacKey>,
    store: Store,
    prefix: String,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let store = settings.needed_store(&[Engine::Redis]).map(|mut store| {
        let prefix = store.text("prefix", "sess:");
        (store.finish(), prefix)
    });
    let secrets = settings.secrets()?;
    let keys = secrets.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes()));
    let (store, prefix) = store?;
    Some(Box::new(ExpressSession { keys: keys.collect(), jar: jar?, store, prefix }))
}

impl Format for ExpressSession {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let Some(signed) = found.text()?.strip_prefix("s:") else {
            let detail = "the value is not signed: it does not start with `s:`";
            return Err(Rejected::new(Reason::BadSignature, detail));
        };
        // An id of the app's own making may hold dots itself.
        let (id, signature) = signed
            .rsplit_once('.')
            .ok_or_else(|| Rejected::malformed("the value has no signature after `.`"))?;
        let signature = base64::decode_unpadded(signature).unwrap_or_default();
        if !self.keys.iter().any(|key| key.verifies(id.as_bytes(), &signature)) {
            return Err(Rejected::bad_signature(self.keys.len()));
        }
        store::check_signed_id(id)?;
        Ok(Question::redis(&self.prefix, id))
    }

    /// The key's life decides, not `cookie.expires` in the JSON: an active
    /// session's life is extended without rewriting it.
    fn answered(
        &self,
        _question: &Question,
        answer: Answer,
        now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let (value, expires_at) = answer.redis(now)?;
        Ok(Check::Known(Opened { session: json::parse(&value)?, expires_at }))
    }

    fn store(&self) -> Option<&Store> {
        Some(&self.store)
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        Some("/passport/user")
    }
}
