//! Laravel: an encrypted cookie that holds the session's id; where the session
//! is depends on the driver.

mod encrypter;

use std::sync::Arc;

use serde_json::Value;

use super::Format;
use crate::document::{At, FromNode, Value as Setting};
use crate::session::codec::{base64, claims, json, php};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::{Seconds, Settings};
use crate::session::store::{self, Answer, Cell, Check, Engine, Query, Question, Store};
use crate::session::{Cookies, Opened, Reason, Rejected};
use encrypter::Encrypter;

const HABITS: Habits = Habits { names: &["laravel_session"], ..Habits::NODE };

/// Where the default guard keeps the user's id: the name ends in the SHA-1 of
/// its class.
const LOGIN: &str = "/login_web_59ba36addc2b2f9401580f014c7f58ea4e30989d";

/// `SESSION_LIFETIME`: two hours.
const LIFETIME: u64 = 120 * 60;

struct Laravel {
    jar: Jar,
    encrypter: Arc<Encrypter>,
    driver: Driver,
    store: Option<Store>,
    lifetime: u64,
    payload: Payload,
}

/// `SESSION_DRIVER`, with where it keeps sessions.
enum Driver {
    Cookie,
    Database { table: String },
    File,
    Redis { prefix: String },
}

/// How the session's content is written.
struct Payload {
    serialization: Serialization,
    /// `SESSION_ENCRYPT`: one more layer of encryption.
    encrypter: Option<Arc<Encrypter>>,
}

#[derive(Clone, Copy)]
enum Serialization {
    Json,
    Php,
}

#[derive(Clone, Copy)]
enum DriverName {
    Cookie,
    Database,
    File,
    Redis,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let lifetime = settings.get::<Minutes>("lifetime_minutes").map_or(LIFETIME, |it| it.0);
    let serialization = settings.get("serialization").unwrap_or(Serialization::Php);
    let encrypted = settings.get("encrypt").unwrap_or(false);
    let driver = read_driver(settings);
    let encrypter = Arc::new(Encrypter::read(settings)?);
    let (driver, store) = driver?;
    let payload = Payload { serialization, encrypter: encrypted.then(|| Arc::clone(&encrypter)) };
    Some(Box::new(Laravel { jar: jar?, encrypter, driver, store, lifetime, payload }))
}

fn read_driver(settings: &mut Settings<'_, '_>) -> Option<(Driver, Option<Store>)> {
    match settings.choice("driver", DriverName::Database)? {
        DriverName::Cookie => Some((Driver::Cookie, None)),
        DriverName::Database => {
            let mut store = settings.needed_store(&[Engine::Sql])?;
            let table = store.identifier("table", "sessions");
            Some((Driver::Database { table }, Some(store.finish())))
        }
        DriverName::File => {
            let store = settings.needed_store(&[Engine::File])?;
            Some((Driver::File, Some(store.finish())))
        }
        DriverName::Redis => {
            let mut store = settings.needed_store(&[Engine::Redis])?;
            let prefix = store.text("prefix", "laravel_database_laravel_cache_");
            Some((Driver::Redis { prefix }, Some(store.finish())))
        }
    }
}

impl Format for Laravel {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let id = self.encrypter.open_cookie(found.name, &found.value)?;
        let id = String::from_utf8(id).ok().filter(|id| is_session_id(id.as_bytes()));
        let id = id.ok_or_else(|| Rejected::malformed("the cookie holds no session id"))?;
        match &self.driver {
            Driver::Cookie => self.open_data_cookie(&id, cookies).map(Check::Known),
            Driver::Database { table } => Ok(Question::row(table, &[("id", Cell::Text(id))])),
            Driver::File => Ok(Check::Ask(Question::new(Query::File { name: id }))),
            Driver::Redis { prefix } => Ok(Question::redis(prefix, &id)),
        }
    }

    fn answered(
        &self,
        _question: &Question,
        answer: Answer,
        now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let (session, expires_at) = match answer {
            Answer::App { .. } => return Err(store::mismatch()),
            Answer::File { content, modified } => {
                (self.payload.read(&content)?, Some(modified.saturating_add(self.lifetime)))
            }
            Answer::Redis { .. } => {
                let (value, expires_at) = answer.redis(now)?;
                let text = php::unwrap_text(&value).ok_or_else(|| {
                    Rejected::malformed("the stored value is not a PHP-serialized text")
                })?;
                (self.payload.read(text)?, expires_at)
            }
            Answer::Row(row) => {
                let payload = row.get("payload")?.bytes().and_then(base64::decode);
                let payload =
                    payload.ok_or_else(|| Rejected::malformed("`payload` is not base64"))?;
                let expires_at = row.time("last_activity")?.saturating_add(self.lifetime);
                (self.payload.read(&payload)?, Some(expires_at))
            }
        };
        Ok(Check::Known(Opened { session, expires_at }))
    }

    fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        Some(LOGIN)
    }

    fn looks_at(&self, name: &[u8]) -> bool {
        let data = matches!(self.driver, Driver::Cookie) && is_session_id(name);
        data || self.jar.looks_at(name)
    }
}

impl Laravel {
    /// The cookie driver keeps the session in a second cookie, named like the id.
    fn open_data_cookie(&self, id: &str, cookies: Cookies<'_>) -> Result<Opened, Rejected> {
        let Some(value) = self.jar.value(id, cookies)? else {
            let detail =
                "the second cookie, which holds the session and is named like its id, is missing";
            return Err(Rejected::new(Reason::Missing, detail));
        };
        let text = self.encrypter.open_cookie(id, &value)?;
        let whole = json::parse(&text)?;
        let data = claims::text(&whole, "data")
            .ok_or_else(|| Rejected::malformed("the data cookie has no `data`"))?;
        let expires_at = whole.get("expires").and_then(Value::as_u64);
        let expires_at =
            expires_at.ok_or_else(|| Rejected::malformed("the data cookie has no `expires`"))?;
        let session = self.payload.read(data.as_bytes())?;
        Ok(Opened { session, expires_at: Some(expires_at) })
    }
}

/// Forty letters and digits.
fn is_session_id(text: &[u8]) -> bool {
    text.len() == 40 && text.iter().all(u8::is_ascii_alphanumeric)
}

impl Payload {
    fn read(&self, content: &[u8]) -> Result<Value, Rejected> {
        let decrypted;
        let mut content = content;
        if let Some(encrypter) = &self.encrypter {
            decrypted = encrypter.decrypt(content)?;
            content = php::unwrap_text(&decrypted)
                .ok_or_else(|| Rejected::malformed("the encrypted session holds no text"))?;
        }
        match self.serialization {
            Serialization::Json => json::parse(content),
            Serialization::Php => php::parse(content),
        }
    }
}

/// `lifetime_minutes`: a number of minutes, or a duration.
struct Minutes(u64);

impl FromNode for Minutes {
    fn read(at: &At<'_>) -> Option<Self> {
        let Seconds(number) = at.read()?;
        let minutes = matches!(at.node.value, Setting::Integer(_));
        Some(Self(if minutes { number.saturating_mul(60) } else { number }))
    }
}

impl FromNode for DriverName {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[
            ("database", Self::Database),
            ("redis", Self::Redis),
            ("file", Self::File),
            ("cookie", Self::Cookie),
        ])
    }
}

impl FromNode for Serialization {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("php", Self::Php), ("json", Self::Json)])
    }
}
