//! Django: sessions in a signed cookie, in the cache, or in the database.

use super::signing::Signer;
use super::stored::{Cache, Database};
use crate::document::{At, FromNode};
use crate::session::codec::spelling;
use crate::session::cookie::{Duplicate, Encoding};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::format::kind::{Compiled, Hints, SessionKind, Verify};
use crate::session::format::risks::Risks;
use crate::session::identity::OpenedSession;
use crate::session::rejected::Rejected;
use crate::session::settings::Settings;
use crate::session::store::{self, Check, Engine, Query, Question, StoreAnswer};
use crate::session::store_settings::StoreSettings;
use crate::session::value_notation::{Look, Notation, Sample};

const CONVENTIONS: CookieConventions = CookieConventions {
    names: &["sessionid"],
    duplicate: Duplicate::Last,
    encoding: Encoding::Raw,
    ..CookieConventions::NODE
};

/// `SESSION_COOKIE_AGE`: two weeks.
const MAX_AGE: u64 = 14 * 86400;

struct Django {
    engine: SessionEngine,
}

/// Django's session engine, compiled.
enum SessionEngine {
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

impl Backend {
    /// The backend that a fallback of this engine belongs to.
    fn of_engine(self, engine: Option<Engine>) -> Self {
        match (engine, self) {
            (Some(Engine::Redis), Self::Db) => Self::Cache,
            (Some(Engine::Sql), _) => Self::Db,
            (None | Some(Engine::File | Engine::Redis), own) => own,
        }
    }
}

/// The backend for each engine.
const STORAGE: [(Engine, &str); 2] = [(Engine::Redis, "cache"), (Engine::Sql, "db")];

const SALT: &str = "; or SESSION_ENGINE is the app's own class: write salt = \
                    \"django.contrib.sessions.CLASS\" with the class's name";

pub(in crate::session::format) const KIND: SessionKind = SessionKind {
    name: "django",
    is_as_written: spelling::timed,
    read,
    hints: Hints {
        names: &["sessionid"],
        companions: &["csrftoken", "messages"],
        look,
        also_check: SALT,
        ..Hints::NONE
    },
    // django-remember-me and others.
    remember_cookies: &["remember_token", "remember_me"],
    risks: Risks::NONE,
    schema: include_str!("schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let backend = settings.choice("backend", Backend::Db)?;
    settings.storage_is_chosen_by("backend", &STORAGE);
    let backend = backend.of_engine(settings.fallback_engine());
    let max_age = own_max_age(settings);
    let (store, engine) = match backend {
        Backend::SignedCookies => {
            let secrets = settings.secrets()?;
            let signer = Signer::new(&secrets, "django.contrib.sessions.backends.signed_cookies");
            (None, SessionEngine::Cookie { signer, max_age: max_age.unwrap_or(MAX_AGE) })
        }
        Backend::Db => {
            let store = settings.needed_store(&[Engine::Sql]);
            let salt = read_salt(settings);
            let secrets = settings.secrets()?;
            let mut store = store?;
            let signer = Signer::new(&secrets, &salt);
            let database = Database::from_store(&mut store, signer, max_age);
            (Some(store.finish()), SessionEngine::Database(database))
        }
        Backend::Cache => {
            let store = settings.needed_store(&[Engine::Redis]);
            // The cache holds nothing signed, but the key is often set.
            settings.optional_secrets();
            let mut store = store?;
            let cache = Cache::from_store(&mut store, "cache", max_age);
            (Some(store.finish()), SessionEngine::Cache(cache, None))
        }
        Backend::CachedDb => read_cached_db(settings, max_age)?,
    };
    let compiled = Compiled::new(jar?, Django { engine }).with_user_id("/_auth_user_id");
    Some(compiled.with_store(store))
}

/// `SESSION_COOKIE_AGE`, which counts from the last write of a session. One that counts
/// from a time in the session is read with the rules of every kind.
fn own_max_age(settings: &mut Settings<'_, '_>) -> Option<u64> {
    let is_span = settings.table().peek("max_age").is_some_and(|at| at.is_table());
    if is_span { None } else { settings.seconds("max_age") }
}

/// The salt follows the name of the session store's class: `key_salt`.
fn read_salt(settings: &mut Settings<'_, '_>) -> String {
    let salt: Option<String> = settings.get("salt");
    salt.unwrap_or_else(|| "django.contrib.sessions.SessionStore".to_owned())
}

/// The database behind the cache is asked if its `database` and the app's key are
/// set.
fn read_cached_db(
    settings: &mut Settings<'_, '_>,
    max_age: Option<u64>,
) -> Option<(Option<StoreSettings>, SessionEngine)> {
    let store = settings.needed_store(&[Engine::Redis]);
    let salt = read_salt(settings);
    let secrets = settings.optional_secrets();
    let mut store = store?;
    let cache = Cache::from_store(&mut store, "cached_db", max_age);
    let url = settings.store_secret(&mut store, "database");
    let database = secrets.map(|secrets| {
        let secrets: Vec<_> = secrets.into_iter().map(|(_, secret)| secret).collect();
        Database::from_store(&mut store, Signer::new(&secrets, &salt), max_age)
    });
    let store = StoreSettings { database: url, ..store.finish() };
    Some((Some(store), SessionEngine::Cache(cache, database)))
}

impl Verify for Django {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let value = found.text()?;
        match &self.engine {
            SessionEngine::Cache(cache, _) => {
                check_id(value)?;
                Ok(Question::redis(&cache.prefix, value))
            }
            SessionEngine::Cookie { .. } if store::check_plain_id(value).is_ok() => {
                Err(Rejected::malformed(
                    "the cookie holds only a session's id, so the app's SESSION_ENGINE is db, \
                     cache or cached_db; write it as `backend`",
                ))
            }
            SessionEngine::Cookie { signer, max_age } => {
                let (session, issued) = signer.open(value)?;
                // Django checks only the age: it accepts a time in the future.
                let expires_at = Some(issued.saturating_add(*max_age));
                Ok(Check::Known(OpenedSession { session, expires_at }))
            }
            SessionEngine::Database(database) => {
                check_id(value)?;
                Ok(database.question(value))
            }
        }
    }

    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let opened = match (&self.engine, answer) {
            (
                SessionEngine::Cache(_, Some(database)) | SessionEngine::Database(database),
                StoreAnswer::Row(row),
            ) => database.open(&row)?,
            (SessionEngine::Cache(cache, _), answer) => {
                let (value, key_end) = answer.redis(now)?;
                OpenedSession { session: cache.open(&value)?, expires_at: cache.end(key_end, now) }
            }
            (SessionEngine::Cookie { .. } | SessionEngine::Database(_), _) => {
                return Err(store::mismatch());
            }
        };
        Ok(Check::Known(opened))
    }

    fn missed(&self, question: &Question) -> Option<Check<OpenedSession>> {
        let SessionEngine::Cache(cache, Some(database)) = &self.engine else { return None };
        let Query::Redis { key } = &question.query else { return None };
        Some(database.question(key.strip_prefix(&cache.prefix)?))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    match sample.notation {
        Notation::Timed { separator: ':', .. } => Look::sure("a Django signed cookie"),
        _ => None,
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
