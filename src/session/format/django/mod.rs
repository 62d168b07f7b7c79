//! Django: sessions in a signed cookie, in the cache, or in the database.

mod signing;
mod stored;

use super::Format;
use crate::document::{At, FromNode};
use crate::session::cookie::{Duplicate, Encoding};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::{self, Answer, Check, Engine, Query, Question, Store};
use crate::session::{Cookies, Opened, Rejected};
use signing::Signer;
use stored::{Cache, Database};

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
    /// With `cached_db`, what fell out of the cache is still in the database.
    Cache(Cache, Option<Database>),
    Cookie {
        signer: Signer,
        max_age: u64,
    },
    Database(Database),
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
    let backend = settings.choice("backend", Backend::Db)?;
    let max_age = settings.seconds("max_age").unwrap_or(MAX_AGE);
    let (store, place) = match backend {
        Backend::SignedCookies => {
            let secrets = settings.secrets()?;
            let signer = Signer::new(&secrets, "django.contrib.sessions.backends.signed_cookies");
            (None, Place::Cookie { signer, max_age })
        }
        Backend::Db => {
            let store = settings.needed_store(&[Engine::Sql]);
            let secrets = settings.secrets()?;
            let mut store = store?;
            let database = Database::read(&mut store, &secrets);
            (Some(store.finish()), Place::Database(database))
        }
        Backend::Cache => {
            let store = settings.needed_store(&[Engine::Redis]);
            // Nothing in the cache is signed, but the key is often set.
            settings.optional_secrets();
            let mut store = store?;
            let cache = Cache::read(&mut store, "cache");
            (Some(store.finish()), Place::Cache(cache, None))
        }
        Backend::CachedDb => read_cached_db(settings)?,
    };
    Some(Box::new(Django { jar: jar?, store, place }))
}

/// The database behind the cache is asked if its `database` and the app's key are
/// set.
fn read_cached_db(settings: &mut Settings<'_, '_>) -> Option<(Option<Store>, Place)> {
    let store = settings.needed_store(&[Engine::Redis]);
    let secrets = settings.optional_secrets();
    let mut store = store?;
    let cache = Cache::read(&mut store, "cached_db");
    let url = settings.store_secret(&mut store, "database");
    let database = secrets.map(|secrets| {
        let secrets: Vec<_> = secrets.into_iter().map(|(_, secret)| secret).collect();
        Database::read(&mut store, &secrets)
    });
    let store = Store { database: url, ..store.finish() };
    Some((Some(store), Place::Cache(cache, database)))
}

impl Format for Django {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let value = found.text()?;
        match &self.place {
            Place::Cache(cache, _) => {
                check_id(value)?;
                Ok(Question::redis(&cache.prefix, value))
            }
            Place::Cookie { .. } if store::check_plain_id(value).is_ok() => {
                Err(Rejected::malformed(
                    "the cookie holds only a session's id, so the app's SESSION_ENGINE is db, \
                     cache or cached_db; write it as `backend`",
                ))
            }
            Place::Cookie { signer, max_age } => {
                let (session, issued) = signer.open(value)?;
                // Django asks for the age only: it takes a time ahead of its own.
                let expires_at = Some(issued.saturating_add(*max_age));
                Ok(Check::Known(Opened { session, expires_at }))
            }
            Place::Database(database) => {
                check_id(value)?;
                Ok(database.question(value))
            }
        }
    }

    fn answered(
        &self,
        _question: &Question,
        answer: Answer,
        now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let opened = match (&self.place, answer) {
            (Place::Cache(_, Some(database)) | Place::Database(database), Answer::Row(row)) => {
                database.open(&row)?
            }
            (Place::Cache(cache, _), answer) => {
                let (value, expires_at) = answer.redis(now)?;
                Opened { session: cache.open(&value)?, expires_at }
            }
            (Place::Cookie { .. } | Place::Database(_), _) => return Err(store::mismatch()),
        };
        Ok(Check::Known(opened))
    }

    fn missed(&self, question: &Question) -> Option<Check<Opened>> {
        let Place::Cache(cache, Some(database)) = &self.place else { return None };
        let Query::Redis { key } = &question.query else { return None };
        Some(database.question(key.strip_prefix(&cache.prefix)?))
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

fn check_id(value: &str) -> Result<(), Rejected> {
    if value.contains(':') {
        return Err(Rejected::malformed(
            "the cookie holds a whole session, not its id; write backend = \"signed_cookies\"",
        ));
    }
    store::check_plain_id(value)
}

impl FromNode for Backend {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[
            ("db", Self::Db),
            ("cache", Self::Cache),
            ("cached_db", Self::CachedDb),
            ("signed_cookies", Self::SignedCookies),
        ])
    }
}
