//! Django: sessions in a signed cookie, in the cache, or in the database.

mod signing;
mod stored;

use super::Format;
use crate::document::{At, FromNode};
use crate::session::codec::itsdangerous;
use crate::session::cookie::{Duplicate, Encoding};
use crate::session::jar::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::{self, Answer, Cell, Check, Engine, Question, Store};
use crate::session::{Cookies, Opened, Rejected};
use signing::Signer;
use stored::Cache;

const HABITS: Habits = Habits {
    names: &["sessionid"],
    duplicate: Duplicate::Last,
    encoding: Encoding::Raw,
    ..Habits::NODE
};

/// `SESSION_COOKIE_AGE`: two weeks.
const MAX_AGE: u64 = 14 * 86400;

struct Django {
    jar: Jar,
    store: Option<Store>,
    place: Place,
}

/// Where the sessions are: Django's session engine, compiled.
enum Place {
    Cache(Cache),
    Cookie { signer: Signer, max_age: u64 },
    Database { signer: Signer, table: String },
}

/// `SESSION_ENGINE`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backend {
    Cache,
    CachedDb,
    Db,
    SignedCookies,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let backend = settings.get("backend").unwrap_or(Backend::Db);
    let max_age = settings.seconds("max_age").unwrap_or(MAX_AGE);
    let (store, place) = match backend {
        Backend::SignedCookies => {
            let signer = Signer::read(settings, "django.contrib.sessions.backends.signed_cookies")?;
            (None, Place::Cookie { signer, max_age })
        }
        Backend::Db => {
            let store = settings.needed_store(&[Engine::Sql]);
            let signer = Signer::read(settings, "django.contrib.sessions.SessionStore")?;
            let mut store = store?;
            let table = store.identifier("table", "django_session");
            (Some(store.finish()), Place::Database { signer, table })
        }
        Backend::Cache => read_cache(settings, "cache")?,
        Backend::CachedDb => read_cache(settings, "cached_db")?,
    };
    Some(Box::new(Django { jar: jar?, store, place }))
}

/// Both cache engines trust what the cache holds: there is no signature.
fn read_cache(settings: &mut Settings<'_, '_>, engine: &str) -> Option<(Option<Store>, Place)> {
    let store = settings.needed_store(&[Engine::Redis]);
    // The app's key is not needed here, but often set.
    settings.optional_secrets();
    let mut store = store?;
    let cache = Cache::read(&mut store, engine);
    Some((Some(store.finish()), Place::Cache(cache)))
}

impl Format for Django {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let value = found.text()?;
        match &self.place {
            Place::Cache(cache) => {
                store::check_plain_id(value)?;
                Ok(Question::redis(&cache.prefix, value))
            }
            Place::Cookie { signer, max_age } => {
                let (session, issued) = signer.open(value)?;
                let expires_at = itsdangerous::expires_at(issued, Some(*max_age), now)?;
                Ok(Check::Known(Opened { session, expires_at }))
            }
            Place::Database { table, .. } => {
                store::check_plain_id(value)?;
                Ok(Question::row(table, &[("session_key", Cell::Text(value.to_owned()))]))
            }
        }
    }

    fn answered(
        &self,
        _question: &Question,
        answer: Answer,
        now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let opened = match &self.place {
            Place::Cache(cache) => {
                let (value, expires_at) = answer.redis(now)?;
                Opened { session: cache.open(&value)?, expires_at }
            }
            Place::Cookie { .. } => return Err(store::not_asked()),
            Place::Database { signer, .. } => {
                let row = answer.row()?;
                let data = row.get("session_data")?.bytes().unwrap_or_default();
                let data = std::str::from_utf8(data)
                    .map_err(|_| Rejected::malformed("`session_data` is not text"))?;
                let (session, _) = signer.open(data)?;
                Opened { session, expires_at: Some(row.time("expire_date")?) }
            }
        };
        Ok(Check::Known(opened))
    }

    fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        Some("/_auth_user_id")
    }
}

impl FromNode for Backend {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""db", "cache", "cached_db" or "signed_cookies""#;
        match at.text(EXPECTED)? {
            "cache" => Some(Self::Cache),
            "cached_db" => Some(Self::CachedDb),
            "db" => Some(Self::Db),
            "signed_cookies" => Some(Self::SignedCookies),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}
