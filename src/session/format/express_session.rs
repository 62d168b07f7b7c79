//! express-session: a signed session id; the session itself is in Redis, or in
//! a table.

use super::Format;
use crate::session::codec::crypto::{Hash, MacKey};
use crate::session::codec::{base64, json};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::{Settings, StoreSettings};
use crate::session::store::{self, Answer, Cell, Check, Engine, Question, Store};
use crate::session::{Cookies, Opened, Reason, Rejected};

const HABITS: Habits = Habits { names: &["connect.sid"], ..Habits::NODE };

struct ExpressSession {
    jar: Jar,
    keys: Vec<MacKey>,
    store: Store,
    place: Place,
}

/// How the app's session store keeps sessions: as connect-redis, or as
/// connect-pg-simple and its like.
enum Place {
    Redis { prefix: String },
    Row { table: String, id: String, session: String, expires: String },
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let store = settings.needed_store(&[Engine::Redis, Engine::Sql]).map(|mut store| {
        let place = Place::read(&mut store);
        (store.finish(), place)
    });
    let secrets = settings.secrets()?;
    let keys = secrets.iter().map(|secret| MacKey::new(Hash::Sha256, secret.bytes()));
    let (store, place) = store?;
    Some(Box::new(ExpressSession { keys: keys.collect(), jar: jar?, store, place }))
}

impl Place {
    fn read(store: &mut StoreSettings<'_>) -> Self {
        if store.engine() == Engine::Redis {
            return Self::Redis { prefix: store.text("prefix", "sess:") };
        }
        Self::Row {
            table: store.identifier("table", "session"),
            id: store.identifier("id_column", "sid"),
            session: store.identifier("session_column", "sess"),
            expires: store.identifier("expires_column", "expire"),
        }
    }
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
        Ok(match &self.place {
            Place::Redis { prefix } => Question::redis(prefix, id),
            Place::Row { table, id: column, .. } => {
                Question::row(table, &[(column, Cell::Text(id.to_owned()))])
            }
        })
    }

    /// The life of the key or row decides, not `cookie.expires` in the JSON: an
    /// active session's life is extended without rewriting it.
    fn answered(
        &self,
        _question: &Question,
        answer: Answer,
        now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let (value, expires_at) = match &self.place {
            Place::Redis { .. } => answer.redis(now)?,
            Place::Row { session, expires, .. } => {
                let row = answer.row()?;
                let value = row.get(session)?.bytes().unwrap_or_default().to_vec();
                (value, Some(row.time(expires)?))
            }
        };
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
