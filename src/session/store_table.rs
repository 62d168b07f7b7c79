//! `[session.store]` while it is read: the engine, and the names of tables and columns.

use super::store::Engine;
use super::store_settings::{NaiveTimes, StoreSettings};
use crate::document::{FromNode, Table, one_of};

/// The setting of `[session]` by which a kind chooses its store, and its value for each
/// engine.
pub(super) type Storage = (&'static str, &'static [(Engine, &'static str)]);

/// `[session.store]` while it is read.
pub(crate) struct StoreTable<'a> {
    pub(super) table: Table<'a>,
    pub(super) store: StoreSettings,
}

impl StoreTable<'_> {
    pub(crate) fn engine(&self) -> Engine {
        self.store.engine
    }

    /// The library lets the database convert times without a zone, unless `time_zone`
    /// says more.
    pub(crate) fn converts_in_database(&mut self) {
        if self.store.naive_times == NaiveTimes::Utc && self.table.peek("time_zone").is_none() {
            self.store.naive_times = NaiveTimes::OfDatabase;
        }
    }

    pub(crate) fn text(&mut self, key: &'static str, default: &str) -> String {
        self.table.get(key).unwrap_or_else(|| default.to_owned())
    }

    /// As `text`, where absence and an empty text are problems.
    pub(crate) fn needed_text(&mut self, key: &'static str, hint: &str) -> String {
        let Some(at) = self.table.take_needed(key, hint) else { return String::new() };
        let text: String = at.read().unwrap_or_default();
        if text.is_empty() {
            at.problem(format!("found an empty string; write {hint}"));
        }
        text
    }

    pub(crate) fn get<T: FromNode>(&mut self, key: &'static str) -> Option<T> {
        self.table.get(key)
    }

    /// The name of a table or column. It goes into SQL text, so nothing but an
    /// identifier will do.
    pub(crate) fn identifier(&mut self, key: &'static str, default: &str) -> String {
        const EXPECTED: &str = "a name of letters, digits and `_` (with a schema: `schema.table`)";
        let written = self.table.take(key);
        let name = match &written {
            Some(at) => at.text(EXPECTED).unwrap_or_default(),
            None => default,
        };
        if let Some(at) = written.as_ref().filter(|_| !is_identifier(name)) {
            at.wrong(EXPECTED);
        }
        self.store.names.add(key, name);
        name.to_owned()
    }

    /// Columns that the kind reads if they are there, without a setting for each.
    pub(crate) fn also_reads(&mut self, key: &'static str, columns: &[&str]) {
        columns.iter().for_each(|column| self.store.names.add(key, column));
    }

    /// The user's id stands elsewhere than in the column for it.
    pub(crate) fn reads_no(&mut self, key: &str) {
        self.store.names.forget(key);
    }

    /// Reports unknown keys and hands over the store.
    pub(crate) fn finish(self) -> StoreSettings {
        self.table.finish();
        self.store
    }
}

/// `time_zone`: a name such as `Asia/Tokyo`. It goes into SQL text.
pub(super) fn read_time_zone(table: &mut Table<'_>, engine: Engine) -> NaiveTimes {
    const EXPECTED: &str = "the name of a time zone, such as \"Asia/Tokyo\" or \"UTC\"";
    let Some(at) = table.take("time_zone") else { return NaiveTimes::Utc };
    let name = at.text(EXPECTED).unwrap_or_default();
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/_+-:".contains(&b);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        at.wrong(EXPECTED);
    }
    if engine != Engine::Sql {
        at.problem("`time_zone` needs engine = \"sql\"");
    }
    if name.eq_ignore_ascii_case("utc") {
        NaiveTimes::Utc
    } else {
        NaiveTimes::Zone(name.to_owned())
    }
}

/// Stores that apps keep sessions in and that have their own protocols.
const UNREAD_STORES: [&str; 8] =
    ["cassandra", "couchdb", "dynamodb", "firestore", "memcache", "memcached", "mongo", "mongodb"];

pub(super) fn read_engine(
    table: &mut Table<'_>,
    engines: &[Engine],
    storage: Option<Storage>,
) -> Option<Engine> {
    let names: Vec<_> = engines.iter().map(|engine| engine.name()).collect();
    let at = table.take_needed("engine", &format!("engine = {:?}", names.first()?))?;
    let name = at.text("the name of a store engine")?;
    let engine = engines.iter().find(|engine| engine.name() == name);
    if engine.is_none() && UNREAD_STORES.contains(&name.to_ascii_lowercase().as_str()) {
        at.problem(format!(
            "found {name:?}, a store that is not supported; let the app say who is signed in: kind \
             = \"introspect\", the name of its cookie, url = \"http://127.0.0.1:3000/api/me\" (200 \
             with JSON for a user who is signed in, else 401), user_id = \"/id\", and no \
             [session.store]"
        ));
    } else if let (None, Some((key, value))) = (engine, chosen(storage, name)) {
        let expected =
            names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" or ");
        at.problem(format!(
            "found {name:?}, expected {expected} with this `{key}`; if the app keeps its sessions \
             there, write {key} = {value:?} in [session]"
        ));
    } else if engine.is_none() {
        at.wrong(&one_of(name, &names));
    }
    engine.copied()
}

/// The setting, and its value, by which a kind would choose the engine of this name.
fn chosen(storage: Option<Storage>, name: &str) -> Option<(&'static str, &'static str)> {
    let (key, values) = storage?;
    values.iter().find(|(engine, _)| engine.name() == name).map(|(_, value)| (key, *value))
}

fn is_identifier(name: &str) -> bool {
    name.len() <= 128
        && name.split('.').count() <= 2
        && name.split('.').all(|part| {
            part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
}
