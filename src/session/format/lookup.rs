//! Opaque ids in a shared store: Lucia, hand-made session tables, Auth.js with
//! the database strategy, PHP's own sessions, Drupal, fastapi-users.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::hash_fields;
use super::kind::{Compiled, Hints, SessionKind, Verify};
use super::lookup_layout::{Layout, RedisLayout};
use super::risks::Risks;
use crate::base::digest::Digest;
use crate::base::secret::{Secret, same_bytes};
use crate::base::text;
use crate::document::{At, FromNode};
use crate::session::codec::{base64 as base64_text, json, spelling};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::{Reason, Rejected};
use crate::session::settings::{Seconds, Settings, StoreTable};
use crate::session::store::{self, Cell, Check, Engine, Query, Question, StoreAnswer};

/// PHP's `session.gc_maxlifetime`, in seconds.
const PHP_LIFETIME: u64 = 1440;

struct Lookup {
    hash: Hashing,
    /// The text between the id and its secret, where the cookie holds both.
    separator: Option<String>,
    records: Records,
}

/// The way from the cookie's value to the id in the store, or from its secret to what the
/// row holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hashing {
    Plain,
    Sha256Base64Url,
    Sha256Hex,
}

impl Hashing {
    fn of(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Sha256Base64Url => URL_SAFE_NO_PAD.encode(Digest::new(text.as_bytes()).bytes()),
            Self::Sha256Hex => text::hex(Digest::new(text.as_bytes()).bytes()),
        }
    }
}

/// The place of the sessions in the store.
enum Records {
    File { prefix: String, layout: Layout, lifetime: u64 },
    Redis { prefix: String, layout: RedisLayout },
    Row(Columns),
}

struct Columns {
    table: String,
    id: String,
    user: String,
    expires: Option<String>,
    /// The session's content, where one column holds it.
    session: Option<(String, Layout)>,
    secret: Option<String>,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "lookup",
    is_as_written: spelling::unknown,
    read,
    hints: Hints { names: &["auth_session", "PHPSESSID"], ..Hints::NONE },
    remember_cookies: &[],
    risks: Risks::NONE,
    schema: include_str!("lookup.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CookieConventions::NODE);
    let hash = settings.get("hash").unwrap_or(Hashing::Plain);
    let separator: Option<String> = settings.get("separator");
    let mut store = settings.needed_store(&[Engine::Sql, Engine::Redis, Engine::File])?;
    let records = Records::from_store(&mut store, hash);
    let has_secret = matches!(&records, Records::Row(columns) if columns.secret.is_some());
    if separator.as_ref().is_some_and(String::is_empty) || separator.is_some() != has_secret {
        settings.problem(
            "`separator` splits a cookie into an id and its secret: write it together with \
             `secret_column` of a table, such as separator = \".\"",
        );
    }
    let is_elsewhere = settings.table().peek("user_id").is_some();
    if is_elsewhere || matches!(&records, Records::Row(columns) if columns.session.is_some()) {
        store.reads_no("user_column");
    }
    let user_id = match &records {
        Records::File { layout, .. } => layout.user_id(),
        Records::Redis { layout, .. } => layout.user_id(),
        Records::Row(columns) if columns.session.is_some() => None,
        Records::Row(columns) => Some(Cow::Owned(columns.user.clone())),
    };
    let store = store.finish();
    let verifier = Lookup { hash, separator, records };
    let compiled = Compiled::new(jar?, verifier).with_store(Some(store));
    Some(Compiled { user_id, ..compiled })
}

impl Records {
    fn from_store(store: &mut StoreTable<'_>, hash: Hashing) -> Self {
        match store.engine() {
            Engine::File => Self::File {
                prefix: store.text("prefix", "sess_"),
                layout: store.get("format").unwrap_or(Layout::PhpSession),
                lifetime: store.get::<Seconds>("lifetime").map_or(PHP_LIFETIME, |it| it.0),
            },
            Engine::Redis => {
                let prefix = match hash {
                    // The cookie is unsigned: alone it could name any key there is.
                    Hashing::Plain => store.needed_text("prefix", "prefix = \"session:\""),
                    Hashing::Sha256Base64Url | Hashing::Sha256Hex => store.text("prefix", ""),
                };
                let layout = store.get("format").unwrap_or(RedisLayout::Value(Layout::Json));
                Self::Redis { prefix, layout }
            }
            Engine::Sql => Self::Row(Columns::from_store(store)),
        }
    }
}

impl Columns {
    fn from_store(store: &mut StoreTable<'_>) -> Self {
        let id = store.identifier("id_column", "id");
        let user = store.identifier("user_column", "user_id");
        let table = store.identifier("table", "sessions");
        let mut optional = |key| Some(store.identifier(key, "")).filter(|name| !name.is_empty());
        let (expires, secret) = (optional("expires_column"), optional("secret_column"));
        let session = optional("session_column");
        let layout = store.get("format").unwrap_or(Layout::Json);
        let session = session.map(|column| (column, layout));
        Self { table, id, user: format!("/{user}"), expires, session, secret }
    }
}

impl Verify for Lookup {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let sent = found.text()?;
        if let Some(separator) = &self.separator {
            return self.open_pair(sent, separator);
        }
        store::check_id(sent)?;
        if let (Hashing::Plain, Records::Redis { layout, .. }) = (self.hash, &self.records) {
            store::check_key_id(sent, layout.id_characters())?;
        }
        let id = self.hash.of(sent);
        Ok(match &self.records {
            Records::File { prefix, .. } => {
                store::check_key_id(&id, "")?;
                Check::Ask(Question::new(Query::File { name: format!("{prefix}{id}") }))
            }
            Records::Redis { prefix, layout: RedisLayout::Hash } => {
                Check::Ask(Question::new(Query::RedisHash { key: format!("{prefix}{id}") }))
            }
            Records::Redis { prefix, layout: RedisLayout::Value(_) } => {
                Question::redis(prefix, &id)
            }
            Records::Row(columns) => columns.ask(&id),
        })
    }

    fn answered(
        &self,
        question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let opened = match &self.records {
            Records::File { layout, lifetime, .. } => {
                let StoreAnswer::File { content, modified } = answer else {
                    return Err(store::mismatch());
                };
                let expires_at = Some(modified.saturating_add(*lifetime));
                OpenedSession { session: layout.parse(&content)?, expires_at }
            }
            Records::Redis { layout: RedisLayout::Hash, .. } => {
                let (fields, expires_at) = answer.redis_hash(now)?;
                OpenedSession { session: hash_fields::session(fields)?, expires_at }
            }
            Records::Redis { layout: RedisLayout::Value(layout), .. } => {
                let (value, expires_at) = answer.redis(now)?;
                OpenedSession { session: layout.parse(&value)?, expires_at }
            }
            Records::Row(columns) => {
                let row = answer.row()?;
                if let Some(column) = &columns.secret {
                    let wanted = question.carried.as_str().unwrap_or_default();
                    check_secret(row.get(column)?, wanted, self.hash)?;
                }
                let expires = columns.expires.as_ref();
                let expires_at = expires.map(|column| row.time(column)).transpose()?;
                let session = match &columns.session {
                    Some((column, layout)) => {
                        layout.parse(row.get(column)?.bytes().unwrap_or_default())?
                    }
                    None => documents(row.into_session()),
                };
                OpenedSession { session, expires_at }
            }
        };
        Ok(Check::Known(opened))
    }

    fn advice(&self, _sent: SentCookies<'_>, why: &Rejected, _secrets: &[Secret]) -> Vec<String> {
        let is_php = matches!(
            self.records,
            Records::File { layout: Layout::PhpSession | Layout::PhpSerialize, .. }
        );
        let is_missed = is_php && why.reason == Reason::StoreMiss;
        Vec::from_iter(is_missed.then(|| IN_SUBFOLDERS.to_owned()))
    }
}

/// PHP spreads its files over folders if it is told a depth.
const IN_SUBFOLDERS: &str = "with a number before the folder in `session.save_path`, such as \
                             \"2;/path\", PHP keeps the files in subfolders, which are not \
                             searched: write the folder alone in the app's settings";

impl Lookup {
    /// An id that finds the row, and a secret that only its owner knows.
    fn open_pair(&self, sent: &str, separator: &str) -> Result<Check<OpenedSession>, Rejected> {
        let (id, secret) = sent.split_once(separator).ok_or_else(|| {
            Rejected::malformed("the cookie has no `separator` between an id and its secret")
        })?;
        store::check_signed_id(id)?;
        store::check_id(secret)?;
        let Records::Row(columns) = &self.records else { return Err(store::not_asked()) };
        Ok(columns.ask(id).carrying(Value::from(secret)))
    }
}

impl Columns {
    fn ask(&self, id: &str) -> Check<OpenedSession> {
        Question::row(&self.table, &[(&self.id, Cell::Text(id.to_owned()))])
    }
}

/// A row with its JSON columns parsed: the user may be inside one.
fn documents(row: Value) -> Value {
    let Value::Object(columns) = row else { return row };
    let column = |(name, value): (String, Value)| {
        let document = value.as_str().filter(|text| text.starts_with(['{', '[']));
        let document = document.and_then(|text| json::parse_python(text.as_bytes()).ok());
        (name, document.unwrap_or(value))
    };
    Value::Object(columns.into_iter().map(column).collect())
}

/// Compares the secret with the row's column: the text itself, or its digest as bytes, in
/// hexadecimal or in base64.
fn check_secret(cell: &Cell, secret: &str, hash: Hashing) -> Result<(), Rejected> {
    let held = cell.bytes().unwrap_or_default();
    let digest = Digest::new(secret.as_bytes());
    let digest = digest.bytes();
    let forms: Vec<Vec<u8>> = if hash == Hashing::Plain {
        vec![secret.as_bytes().to_vec()]
    } else {
        let padded = base64_text::encode(digest);
        let url = URL_SAFE_NO_PAD.encode(digest);
        vec![digest.to_vec(), text::hex(digest).into_bytes(), padded.into_bytes(), url.into_bytes()]
    };
    if !held.is_empty() && forms.iter().any(|form| same_bytes(form, held)) {
        return Ok(());
    }
    let detail = "the secret in the cookie is not that of the row";
    Err(Rejected::new(Reason::BadSignature, detail))
}

impl FromNode for Hashing {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[
            ("none", Self::Plain),
            ("sha256-base64url", Self::Sha256Base64Url),
            ("sha256-hex", Self::Sha256Hex),
        ])
    }
}
