//! Laravel: an encrypted cookie that holds the session's id; where the session
//! is depends on the driver.

use std::sync::Arc;

use serde_json::Value;

use super::encrypter::Encrypter;
use crate::document::{At, FromNode, Value as Setting};
use crate::session::codec::{base64, claims, igbinary, json, php, spelling};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::format::kind::{Compiled, Hints, SessionKind, Verify};
use crate::session::format::risks::Risks;
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::{Seconds, Settings};
use crate::session::store::{self, Cell, Check, Engine, Query, Question, StoreAnswer};
use crate::session::store_settings::StoreSettings;
use crate::session::value_notation::{Fit, Look, Sample};

const CONVENTIONS: CookieConventions =
    CookieConventions { names: &["laravel_session", "laravel-session"], ..CookieConventions::NODE };

/// Prefixes of an app with the default name, up to version 12 and since.
const PREFIXES: [&str; 2] = ["laravel_database_laravel_cache_", "laravel-database-laravel-cache-"];

/// The member in which the default guard keeps the user's id; it ends in the SHA-1
/// of the guard's class.
const LOGIN: &str = "/login_web_59ba36addc2b2f9401580f014c7f58ea4e30989d";

/// `{"iv":` in base64.
const ENVELOPE: &str = "eyJpdiI6";

/// `SESSION_LIFETIME`: two hours.
const LIFETIME: u64 = 120 * 60;

struct Laravel {
    encrypter: Arc<Encrypter>,
    driver: Driver,
    lifetime: u64,
    payload: Payload,
}

/// `SESSION_DRIVER`, with where it keeps sessions.
enum Driver {
    Cookie,
    Database(SessionTable),
    File,
    /// Of several prefixes, the first is asked first.
    Redis {
        prefixes: Vec<String>,
    },
}

struct SessionTable {
    name: String,
    id: String,
    payload: String,
    last_activity: String,
}

/// The notation of the session's content.
struct Payload {
    /// `None` is told from the content: new apps write JSON since version 13.
    serialization: Option<Serialization>,
    /// `SESSION_ENCRYPT`: one more layer of encryption.
    encrypter: Option<Arc<Encrypter>>,
}

#[derive(Clone, Copy)]
enum Serialization {
    Json,
    Php,
}

/// `SESSION_DRIVER` for each engine.
const STORAGE: [(Engine, &str); 3] =
    [(Engine::File, "file"), (Engine::Redis, "redis"), (Engine::Sql, "database")];

#[derive(Clone, Copy)]
enum DriverName {
    Cookie,
    Database,
    File,
    Redis,
}

pub(in crate::session::format) const KIND: SessionKind = SessionKind {
    name: "laravel",
    is_as_written: spelling::envelope,
    read,
    hints: Hints {
        names: &["laravel-session", "laravel_session"],
        companions: &["XSRF-TOKEN"],
        is_user: is_login,
        look,
        also_check: "; or `cipher` is not the app's",
        ..Hints::NONE
    },
    // SessionGuard: `remember_` with the guard and a digest.
    remember_cookies: &["remember_*"],
    // A key of AES-128.
    risks: Risks { secret_bytes: 16, ..Risks::NONE },
    schema: include_str!("schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CONVENTIONS);
    let lifetime = settings.get::<Minutes>("lifetime_minutes").map_or(LIFETIME, |it| it.0);
    let serialization = settings.get("serialization");
    let encrypted = settings.get("encrypt").unwrap_or(false);
    let driver = read_driver(settings);
    let encrypter = Arc::new(Encrypter::from_settings(settings)?);
    let (driver, store) = driver?;
    let payload = Payload { serialization, encrypter: encrypted.then(|| Arc::clone(&encrypter)) };
    let jar = match driver {
        Driver::Cookie => jar?.with_companions_shaped(is_session_id),
        Driver::Database(_) | Driver::File | Driver::Redis { .. } => jar?,
    };
    let compiled = Compiled::new(jar, Laravel { encrypter, driver, lifetime, payload });
    Some(compiled.with_user_id(LOGIN).with_store(store))
}

fn read_driver(settings: &mut Settings<'_, '_>) -> Option<(Driver, Option<StoreSettings>)> {
    let own = settings.choice("driver", DriverName::Database)?;
    settings.storage_is_chosen_by("driver", &STORAGE);
    let driver = match settings.fallback_engine() {
        Some(Engine::File) => DriverName::File,
        Some(Engine::Redis) => DriverName::Redis,
        Some(Engine::Sql) => DriverName::Database,
        None => own,
    };
    match driver {
        DriverName::Cookie => Some((Driver::Cookie, None)),
        DriverName::Database => {
            let mut store = settings.needed_store(&[Engine::Sql])?;
            let table = SessionTable {
                name: store.identifier("table", "sessions"),
                id: store.identifier("id_column", "id"),
                payload: store.identifier("session_column", "payload"),
                last_activity: store.identifier("activity_column", "last_activity"),
            };
            Some((Driver::Database(table), Some(store.finish())))
        }
        DriverName::File => {
            let store = settings.needed_store(&[Engine::File])?;
            Some((Driver::File, Some(store.finish())))
        }
        DriverName::Redis => {
            let mut store = settings.needed_store(&[Engine::Redis])?;
            let prefixes = match store.get("prefix") {
                Some(prefix) => vec![prefix],
                None => PREFIXES.map(str::to_owned).to_vec(),
            };
            Some((Driver::Redis { prefixes }, Some(store.finish())))
        }
    }
}

impl Verify for Laravel {
    fn open(&self, sent: SentCookies<'_>, now: u64) -> Result<Check<OpenedSession>, Rejected> {
        Ok(self.open_with_id(sent, now)?.0)
    }

    fn open_with_id(
        &self,
        sent: SentCookies<'_>,
        _now: u64,
    ) -> Result<(Check<OpenedSession>, Option<String>), Rejected> {
        let found = sent.find()?;
        let id = self.encrypter.open_cookie(found.name, &found.value)?;
        let id = String::from_utf8(id).ok().filter(|id| is_session_id(id.as_bytes()));
        let id = id.ok_or_else(|| Rejected::malformed("the cookie holds no session id"))?;
        let question = match &self.driver {
            Driver::Cookie => {
                let opened = self.open_data_cookie(&id, sent)?;
                return Ok((Check::Known(opened), Some(id)));
            }
            Driver::Database(table) => Question::row(&table.name, &[(&table.id, Cell::Text(id))]),
            Driver::File => Check::Ask(Question::new(Query::File { name: id })),
            Driver::Redis { prefixes } => {
                let prefix = prefixes.first().map_or("", String::as_str);
                Question::redis(prefix, &id)
            }
        };
        Ok((question, None))
    }

    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let (session, expires_at) = match answer {
            StoreAnswer::App { .. }
            | StoreAnswer::Key { .. }
            | StoreAnswer::RedisHash { .. }
            | StoreAnswer::TooLarge
            | StoreAnswer::WrongType => return Err(store::mismatch()),
            StoreAnswer::File { content, modified } => {
                (self.payload.read(&content)?, Some(modified.saturating_add(self.lifetime)))
            }
            StoreAnswer::Redis { .. } => {
                let (value, expires_at) = answer.redis(now)?;
                let text = cached_text(&value).ok_or_else(|| {
                    Rejected::malformed("the stored value is not a PHP-serialized string")
                })?;
                (self.payload.read(text)?, expires_at)
            }
            StoreAnswer::Row(row) => {
                let Driver::Database(table) = &self.driver else { return Err(store::mismatch()) };
                let payload = row.get(&table.payload)?.bytes().and_then(base64::decode);
                let payload = payload
                    .ok_or_else(|| Rejected::malformed("the session's column is not base64"))?;
                let expires_at = row.time(&table.last_activity)?.saturating_add(self.lifetime);
                (self.payload.read(&payload)?, Some(expires_at))
            }
        };
        Ok(Check::Known(OpenedSession { session, expires_at }))
    }

    /// Under the next prefix.
    fn missed(&self, question: &Question) -> Option<Check<OpenedSession>> {
        let Driver::Redis { prefixes } = &self.driver else { return None };
        let Query::Redis { key } = &question.query else { return None };
        let (asked, id) = prefixes
            .iter()
            .enumerate()
            .find_map(|(asked, prefix)| Some((asked, key.strip_prefix(prefix.as_str())?)))?;
        Some(Question::redis(prefixes.get(asked + 1)?, id))
    }
}

fn look(sample: &Sample<'_>) -> Option<Look> {
    sample.starts_with(ENVELOPE).then_some(Look::new(Fit::Sure, "a value encrypted by Laravel"))
}

impl Laravel {
    /// The cookie driver keeps the session in a second cookie, named like the id.
    fn open_data_cookie(&self, id: &str, sent: SentCookies<'_>) -> Result<OpenedSession, Rejected> {
        let Some(value) = sent.value(id)? else {
            let detail =
                "the second cookie, named after the session id, is missing; it holds the session";
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
        Ok(OpenedSession { session, expires_at: Some(expires_at) })
    }
}

/// The text in Laravel's cache: serialized, and perhaps once more by phpredis, with
/// igbinary.
fn cached_text(value: &[u8]) -> Option<&[u8]> {
    match igbinary::unwrap_text(value) {
        Some(inner) => Some(php::unwrap_text(inner).unwrap_or(inner)),
        None => php::unwrap_text(value),
    }
}

/// `login_GUARD_DIGEST`, the digest that of the guard's class.
fn is_login(name: &str) -> bool {
    let parts = name.strip_prefix("login_").and_then(|rest| rest.rsplit_once('_'));
    parts.is_some_and(|(guard, digest)| {
        !guard.is_empty() && base64::hex_decode(digest.as_bytes()).is_some_and(|it| it.len() == 20)
    })
}

/// Forty letters and digits.
fn is_session_id(text: &[u8]) -> bool {
    text.len() == 40 && text.iter().all(u8::is_ascii_alphanumeric)
}

impl Payload {
    fn read(&self, content: &[u8]) -> Result<Value, Rejected> {
        let decrypted;
        let mut content = content;
        let is_encrypted = content.starts_with(ENVELOPE.as_bytes());
        if is_encrypted && self.encrypter.is_none() {
            return Err(Rejected::malformed(
                "the session is encrypted, as the app sets SESSION_ENCRYPT: write encrypt = true",
            ));
        }
        if let Some(encrypter) = &self.encrypter {
            if !is_encrypted {
                return Err(Rejected::malformed(
                    "the session is not encrypted; leave out `encrypt` unless the app sets \
                     SESSION_ENCRYPT",
                ));
            }
            decrypted = encrypter.decrypt(content)?;
            content = php::unwrap_text(&decrypted)
                .ok_or_else(|| Rejected::malformed("the encrypted session holds no text"))?;
        }
        // Serialized arrays begin with a letter.
        let is_json = matches!(content.trim_ascii_start(), [b'{' | b'[', ..]);
        match self.serialization {
            Some(Serialization::Json) => json::parse(content),
            None if is_json => json::parse(content),
            Some(Serialization::Php) | None => php::parse(content),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_member_of_a_guard_holds_a_user() {
        let digest = "59ba36addc2b2f9401580f014c7f58ea4e30989d";
        assert!(is_login(&format!("login_web_{digest}")));
        assert!(is_login(&format!("login_back_office_{digest}")));
        for other in ["login_attempts", "login_web_59ba", &format!("login__{digest}")] {
            assert!(!is_login(other), "{other}");
        }
        assert!(!is_login(&format!("password_hash_{digest}")));
    }

    #[test]
    fn a_cached_session_is_read_through_the_serializer_of_phpredis() {
        let serialized = br#"s:6:"a:0:{}";"#;
        let wrapped = [b"\0\0\0\x02\x11\x0d", &serialized[..]].concat();
        assert_eq!(cached_text(serialized), Some(&b"a:0:{}"[..]));
        assert_eq!(cached_text(&wrapped), Some(&b"a:0:{}"[..]));
        assert_eq!(cached_text(b"\0\0\0\x02\x11\x06a:0:{}"), Some(&b"a:0:{}"[..]));
        assert_eq!(cached_text(b"a:0:{}"), None);
    }
}
