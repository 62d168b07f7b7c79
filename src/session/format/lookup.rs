//! Opaque ids in a shared store: Lucia, hand-made session tables, Auth.js with
//! the database strategy, PHP's own sessions.

use std::borrow::Cow;

use super::kind::{Compiled, Hints, SessionKind, Verify};
use crate::base::digest::Digest;
use crate::base::text;
use crate::document::{At, FromNode};
use crate::session::codec::{json, php};
use crate::session::cookie_names::{CookieConventions, SentCookies};
use crate::session::identity::OpenedSession;
use crate::session::rejected::Rejected;
use crate::session::settings::{Settings, StoreTable};
use crate::session::store::{self, Cell, Check, Engine, Question, StoreAnswer};

struct Lookup {
    hash: Hashing,
    records: Records,
}

/// The way from the cookie's value to the id in the store.
#[derive(Clone, Copy)]
enum Hashing {
    Plain,
    Sha256Hex,
}

/// The place of the sessions in the store.
enum Records {
    Redis { prefix: String, layout: Layout },
    Row { table: String, id: String, user: String, expires: Option<String> },
}

/// The notation of a session in Redis.
#[derive(Clone, Copy)]
enum Layout {
    Json,
    PhpSerialize,
    PhpSession,
}

pub(super) const KIND: SessionKind = SessionKind {
    name: "lookup",
    read,
    hints: Hints { names: &["auth_session", "PHPSESSID"], ..Hints::NONE },
    schema: include_str!("lookup.schema.json"),
};

fn read(settings: &mut Settings<'_, '_>) -> Option<Compiled> {
    let jar = settings.jar(CookieConventions::NODE);
    let hash = settings.get("hash").unwrap_or(Hashing::Plain);
    let mut store = settings.needed_store(&[Engine::Sql, Engine::Redis])?;
    let records = Records::from_store(&mut store, hash);
    let user_id = match &records {
        Records::Redis { .. } => None,
        Records::Row { user, .. } => Some(Cow::Owned(user.clone())),
    };
    let store = store.finish();
    let compiled = Compiled::new(jar?, Lookup { hash, records }).with_store(Some(store));
    Some(Compiled { user_id, ..compiled })
}

impl Records {
    fn from_store(store: &mut StoreTable<'_>, hash: Hashing) -> Self {
        if store.engine() == Engine::Redis {
            let prefix = match hash {
                // The cookie is unsigned: alone it could name any key there is.
                Hashing::Plain => store.needed_text("prefix", "prefix = \"session:\""),
                Hashing::Sha256Hex => store.text("prefix", ""),
            };
            return Self::Redis { prefix, layout: store.get("format").unwrap_or(Layout::Json) };
        }
        let id = store.identifier("id_column", "id");
        let user = store.identifier("user_column", "user_id");
        let table = store.identifier("table", "sessions");
        let expires = store.identifier("expires_column", "");
        Self::Row {
            table,
            id,
            user: format!("/{user}"),
            expires: Some(expires).filter(|name| !name.is_empty()),
        }
    }
}

impl Verify for Lookup {
    fn open(&self, sent: SentCookies<'_>, _now: u64) -> Result<Check<OpenedSession>, Rejected> {
        let found = sent.find()?;
        let sent = found.text()?;
        store::check_id(sent)?;
        if let (Hashing::Plain, Records::Redis { layout, .. }) = (self.hash, &self.records) {
            store::check_key_id(sent, layout.id_characters())?;
        }
        let id = match self.hash {
            Hashing::Plain => sent.to_owned(),
            Hashing::Sha256Hex => text::hex(Digest::new(sent.as_bytes()).bytes()),
        };
        Ok(match &self.records {
            Records::Redis { prefix, .. } => Question::redis(prefix, &id),
            Records::Row { table, id: column, .. } => {
                Question::row(table, &[(column, Cell::Text(id))])
            }
        })
    }

    fn answered(
        &self,
        _question: &Question,
        answer: StoreAnswer,
        now: u64,
    ) -> Result<Check<OpenedSession>, Rejected> {
        let opened = match &self.records {
            Records::Redis { layout, .. } => {
                let (value, expires_at) = answer.redis(now)?;
                let session = match layout {
                    Layout::Json => json::parse(&value)?,
                    Layout::PhpSerialize => php::parse(&value)?,
                    Layout::PhpSession => php::parse_session(&value)?,
                };
                OpenedSession { session, expires_at }
            }
            Records::Row { expires, .. } => {
                let row = answer.row()?;
                let expires_at = expires.as_ref().map(|column| row.time(column)).transpose()?;
                OpenedSession { session: row.into_session(), expires_at }
            }
        };
        Ok(Check::Known(opened))
    }
}

impl Layout {
    /// Characters of its framework's ids beside letters, digits, `-` and `_`: PHP's have
    /// a comma if `session.sid_bits_per_character` is 6.
    const fn id_characters(self) -> &'static str {
        match self {
            Self::Json => "",
            Self::PhpSerialize | Self::PhpSession => ",",
        }
    }
}

impl FromNode for Hashing {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("none", Self::Plain), ("sha256-hex", Self::Sha256Hex)])
    }
}

impl FromNode for Layout {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[
            ("json", Self::Json),
            ("php-serialize", Self::PhpSerialize),
            ("php-session", Self::PhpSession),
        ])
    }
}
