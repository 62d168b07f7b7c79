//! Opaque ids in a shared store: Lucia, hand-made session tables, Auth.js with
//! the database strategy, PHP's own sessions.

use super::Format;
use crate::base::digest::Digest;
use crate::base::text;
use crate::document::{At, FromNode};
use crate::session::codec::{json, php};
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::{Settings, StoreSettings};
use crate::session::store::{self, Answer, Cell, Check, Engine, Question, Store};
use crate::session::{Cookies, Opened, Rejected};

struct Lookup {
    jar: Jar,
    hash: Hashing,
    store: Store,
    place: Place,
}

/// What of the cookie's value is the id in the store.
#[derive(Clone, Copy)]
enum Hashing {
    Plain,
    Sha256Hex,
}

/// Where in the store the sessions are.
enum Place {
    Redis { prefix: String, layout: Layout },
    Row { table: String, id: String, user: String, expires: Option<String> },
}

/// How a session in Redis is written.
#[derive(Clone, Copy)]
enum Layout {
    Json,
    PhpSerialize,
    PhpSession,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(Habits::NODE);
    let hash = settings.get("hash").unwrap_or(Hashing::Plain);
    let mut store = settings.needed_store(&[Engine::Sql, Engine::Redis])?;
    let place = read_place(&mut store);
    let store = store.finish();
    Some(Box::new(Lookup { jar: jar?, hash, store, place: place? }))
}

fn read_place(store: &mut StoreSettings<'_>) -> Option<Place> {
    if store.engine() == Engine::Redis {
        let prefix = store.text("prefix", "");
        return Some(Place::Redis { prefix, layout: store.get("format").unwrap_or(Layout::Json) });
    }
    let id = store.identifier("id_column", "id");
    let user = store.identifier("user_column", "user_id");
    let table = store.identifier("table", "sessions");
    let expires = store.identifier("expires_column", "");
    Some(Place::Row {
        table,
        id,
        user: format!("/{user}"),
        expires: Some(expires).filter(|name| !name.is_empty()),
    })
}

impl Format for Lookup {
    fn open(&self, cookies: Cookies<'_>, _now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let sent = found.text()?;
        store::check_id(sent)?;
        let id = match self.hash {
            Hashing::Plain => sent.to_owned(),
            Hashing::Sha256Hex => text::hex(Digest::new(sent.as_bytes()).bytes()),
        };
        Ok(match &self.place {
            Place::Redis { prefix, .. } => Question::redis(prefix, &id),
            Place::Row { table, id: column, .. } => {
                Question::row(table, &[(column, Cell::Text(id))])
            }
        })
    }

    fn answered(
        &self,
        _question: &Question,
        answer: Answer,
        now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        let opened = match &self.place {
            Place::Redis { layout, .. } => {
                let (value, expires_at) = answer.redis(now)?;
                let session = match layout {
                    Layout::Json => json::parse(&value)?,
                    Layout::PhpSerialize => php::parse(&value)?,
                    Layout::PhpSession => php::parse_session(&value)?,
                };
                Opened { session, expires_at }
            }
            Place::Row { expires, .. } => {
                let row = answer.row()?;
                let expires_at = expires.as_ref().map(|column| row.time(column)).transpose()?;
                Opened { session: row.into_session(), expires_at }
            }
        };
        Ok(Check::Known(opened))
    }

    fn store(&self) -> Option<&Store> {
        Some(&self.store)
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        match &self.place {
            Place::Redis { .. } => None,
            Place::Row { user, .. } => Some(user),
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
