//! Rails: the encrypted session cookie, and cookies of the signed jar, among
//! them the session id of Rails 8's generated login.

mod envelope;
mod jar_keys;

use serde_json::Value;

use super::Format;
use crate::session::cookie::Encoding;
use crate::session::cookie_names::{Habits, Jar};
use crate::session::settings::Settings;
use crate::session::store::{self, Answer, Cell, Check, Engine, Question, Store};
use crate::session::{Cookies, Opened, Reason, Rejected};
use jar_keys::JarKeys;

const HABITS: Habits = Habits { encoding: Encoding::Form, ..Habits::NODE };

struct Rails {
    jar: Jar,
    keys: JarKeys,
    rows: Option<Rows>,
}

/// The table of Rails 8's generated login.
struct Rows {
    store: Store,
    table: String,
    id: String,
    user: String,
}

pub(super) fn read(settings: &mut Settings<'_, '_>) -> Option<Box<dyn Format>> {
    let jar = settings.jar(HABITS);
    let rows = settings.store(&[Engine::Sql]).map(|mut store| {
        let table = store.identifier("table", "sessions");
        let id = store.identifier("id_column", "id");
        let user = format!("/{}", store.identifier("user_column", "user_id"));
        Rows { table, id, user, store: store.finish() }
    });
    let keys = JarKeys::read(settings)?;
    if rows.is_some() && !keys.is_signed() {
        settings.problem(
            "[session.store] goes with jar = \"signed\": an encrypted session cookie \
             needs no store",
        );
    }
    Some(Box::new(Rails { jar: jar?, keys, rows }))
}

impl Format for Rails {
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Check<Opened>, Rejected> {
        let found = self.jar.find(cookies)?;
        let plaintext = self.keys.open(found.text()?)?;
        let opened = envelope::open(&plaintext, found.name)?;
        if let Some(end) = opened.expires_at.filter(|&end| end <= now) {
            return Err(Rejected::expired(end, now));
        }
        let Some(rows) = &self.rows else { return Ok(Check::Known(opened)) };
        let id = match &opened.session {
            Value::Number(number) if number.is_i64() => {
                Cell::Integer(number.as_i64().unwrap_or_default())
            }
            Value::String(text) if text.len() <= 64 => Cell::Text(text.clone()),
            _ => {
                let detail = "the cookie is valid, but does not hold the id of a row";
                return Err(Rejected::new(Reason::NoUser, detail));
            }
        };
        Ok(Question::row(&rows.table, &[(&rows.id, id)]).carrying(opened.expires_at.into()))
    }

    fn answered(
        &self,
        question: &Question,
        answer: Answer,
        _now: u64,
    ) -> Result<Check<Opened>, Rejected> {
        if self.rows.is_none() {
            return Err(store::not_asked());
        }
        let session = answer.row()?.into_session();
        Ok(Check::Known(Opened { session, expires_at: question.carried.as_u64() }))
    }

    fn store(&self) -> Option<&Store> {
        self.rows.as_ref().map(|rows| &rows.store)
    }

    fn jar(&self) -> &Jar {
        &self.jar
    }

    fn user_id(&self) -> Option<&str> {
        match &self.rows {
            Some(rows) => Some(&rows.user),
            None if self.keys.is_signed() => Some(""),
            None => None,
        }
    }
}
