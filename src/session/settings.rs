//! A `[session]` table while it is compiled.
//!
//! Adds to `Table` the settings all formats share (secrets, cookie names, durations)
//! and keeps a fingerprint of every secret it hands out, so that a changed
//! secret never meets a result remembered under the old one.

use std::time::Duration;

use super::cookie::Duplicate;
use super::cookie_names::{CookieConventions, CookieNames};
use super::row_rules::{CountedFromCreation, RowRules};
pub(crate) use super::seconds::Seconds;
use super::store::Engine;
use super::store_names::StoreNames;
use super::store_settings::StoreSettings;
pub(crate) use super::store_table::StoreTable;
use super::store_table::{Storage, read_engine, read_time_zone};
use crate::base::digest::{Digest, Digester};
use crate::base::secret::{Secret, Secrets};
use crate::document::{At, FromNode, Table, Value, Wait};

pub(crate) struct Settings<'s, 'a> {
    table: &'s mut Table<'a>,
    fingerprint: Digester,
    secrets: Vec<Secret>,
    /// `[session.store.fallback]`, while it is read as the store.
    instead_of_store: Option<At<'a>>,
    storage: Option<Storage>,
}

impl<'s, 'a> Settings<'s, 'a> {
    pub(crate) fn new(table: &'s mut Table<'a>) -> Self {
        let mut fingerprint = Digester::default();
        let settings = table.at().node.to_json().to_string();
        fingerprint.add_sized(settings.as_bytes());
        Self { table, fingerprint, secrets: Vec::new(), instead_of_store: None, storage: None }
    }

    /// A digest over every setting and the content of every secret read, and the secrets.
    pub(crate) fn finish(self) -> (Digest, Vec<Secret>) {
        (self.fingerprint.finish(), self.secrets)
    }

    pub(crate) fn table(&mut self) -> &mut Table<'a> {
        self.table
    }

    pub(crate) fn get<T: FromNode>(&mut self, key: &'static str) -> Option<T> {
        self.table.get(key)
    }

    pub(crate) fn seconds(&mut self, key: &'static str) -> Option<u64> {
        self.get::<Seconds>(key).map(|seconds| seconds.0)
    }

    /// A choice on which the rest of the table depends: if it is wrong, nothing
    /// else is judged.
    pub(crate) fn choice<T: FromNode>(&mut self, key: &'static str, default: T) -> Option<T> {
        let Some(at) = self.table.take(key) else { return Some(default) };
        let chosen = at.read();
        if chosen.is_none() {
            self.table.give_up();
        }
        chosen
    }

    /// A URL to fetch from; absence is a problem.
    pub(crate) fn url(&mut self, key: &'static str, hint: &str) -> Option<String> {
        let at = self.table.take_needed(key, hint)?;
        let url = at.text("a URL")?;
        if !url.starts_with("https://") && !url.starts_with("http://") {
            at.wrong("a URL that starts with https:// or http://");
            return None;
        }
        Some(url.to_owned())
    }

    pub(crate) fn problem(&self, text: impl Into<String>) {
        self.table.at().problem(text);
    }

    /// One secret under `key`, if it is there.
    pub(crate) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let at = self.table.take(key)?;
        self.resolve(&at)
    }

    /// One secret, or several in a list or a table, each with its id.
    pub(crate) fn secrets_in(&mut self, at: &At<'a>) -> Option<Vec<(String, Secret)>> {
        let items = match at.node.value {
            Value::Table(_) => {
                at.members().into_iter().map(|(key, at)| (key.name.clone(), at)).collect()
            }
            _ => numbered(at.items()),
        };
        if items.is_empty() {
            at.problem("found no secret, expected at least one");
        }
        let read: Vec<_> =
            items.into_iter().map(|(id, at)| Some((id, self.resolve(&at)?))).collect();
        read.into_iter().collect::<Option<Vec<_>>>().filter(|secrets| !secrets.is_empty())
    }

    /// `secret` or `secrets`, if either is there; both at once is a problem.
    pub(crate) fn optional_secrets(&mut self) -> Option<Vec<(String, Secret)>> {
        let one = self.table.take("secret");
        let many = self.table.take("secrets");
        if one.is_some() && many.is_some() {
            self.problem("`secret` and `secrets` are both set; keep one of them");
            return None;
        }
        self.secrets_in(&one.or(many)?)
    }

    /// The secrets with their ids: the key in a table, the number from 1 in a list.
    pub(crate) fn secrets_by_id(&mut self) -> Option<Vec<(String, Secret)>> {
        if self.table.peek("secret").is_none() && self.table.peek("secrets").is_none() {
            self.table.take("secrets");
            self.table.take_needed("secret", "secret = \"env:NAME\"");
            return None;
        }
        self.optional_secrets()
    }

    pub(crate) fn secrets(&mut self) -> Option<Vec<Secret>> {
        let secrets = self.secrets_by_id()?;
        Some(secrets.into_iter().map(|(_, secret)| secret).collect())
    }

    /// The cookie by the framework's conventions, unless `cookie` or `duplicate` say
    /// otherwise.
    pub(crate) fn jar(&mut self, conventions: CookieConventions) -> Option<CookieNames> {
        let duplicate = self.get::<Duplicate>("duplicate").unwrap_or(conventions.duplicate);
        let names = match self.table.take("cookie") {
            Some(at) => vec![cookie_name(&at)?],
            None if conventions.names.is_empty() => {
                self.problem("`cookie` is missing; write the name of the app's session cookie");
                return None;
            }
            None => conventions.names.iter().map(|&name| name.to_owned()).collect(),
        };
        Some(CookieNames::new(names, CookieConventions { duplicate, ..conventions }))
    }

    /// As `jar`, where several cookies may make up the session: `cookies`.
    pub(crate) fn jar_of_several(&mut self, conventions: CookieConventions) -> Option<CookieNames> {
        let Some(at) = self.table.take("cookies") else { return self.jar(conventions) };
        if self.table.take("cookie").is_some() {
            self.problem("`cookie` and `cookies` are both set; keep one of them");
        }
        let names: Option<Vec<_>> = at.items().iter().map(cookie_name).collect();
        if names.as_ref().is_some_and(Vec::is_empty) {
            at.problem("found no name, expected at least one");
        }
        let duplicate = self.get::<Duplicate>("duplicate").unwrap_or(conventions.duplicate);
        Some(CookieNames::new(names?, CookieConventions { duplicate, ..conventions }))
    }

    /// As `jar`, for a kind whose default name comes from another setting.
    pub(crate) fn jar_named(
        &mut self,
        name: &str,
        conventions: CookieConventions,
    ) -> Option<CookieNames> {
        let duplicate = self.get::<Duplicate>("duplicate").unwrap_or(conventions.duplicate);
        let name = match self.table.take("cookie") {
            Some(at) => cookie_name(&at)?,
            None => name.to_owned(),
        };
        Some(CookieNames::new(vec![name], CookieConventions { duplicate, ..conventions }))
    }

    /// Another setting than the engine says where sessions are: this one, with a value for
    /// each engine.
    pub(crate) fn storage_is_chosen_by(
        &mut self,
        key: &'static str,
        values: &'static [(Engine, &'static str)],
    ) {
        self.storage = Some((key, values));
    }

    /// `[session.store]`, if it is there: its engine must be one of `engines`.
    pub(crate) fn store(&mut self, engines: &[Engine]) -> Option<StoreTable<'a>> {
        let at = self.table.take("store")?;
        let mut table = self.instead_of_store.clone().unwrap_or(at).table()?;
        if let (Some(at), Some(_)) = (table.take("fallback"), &self.instead_of_store) {
            at.problem("a fallback cannot have a fallback; leave it out");
        }
        let engine = read_engine(&mut table, engines, self.storage)?;
        let url = table.take("url").and_then(|at| self.resolve(&at));
        let path = table.get("path");
        let counted = match self.table.peek("max_age") {
            Some(_) => CountedFromCreation::LifetimeAndAge,
            None => CountedFromCreation::Lifetime,
        };
        let rules = RowRules::read(&mut table, engine, counted);
        if !rules.is_empty() && engine != Engine::Sql {
            table.at().problem("rules on columns need engine = \"sql\"");
        }
        let cache_seconds = table.get::<Seconds>("cache_seconds").map_or(5, |seconds| seconds.0);
        let timeout =
            table.get("timeout").map_or(Duration::from_millis(250), |Wait(timeout)| timeout);
        let naive_times = read_time_zone(&mut table, engine);
        // Test vectors bring their rows along; a real store has an address.
        let addressed = matches!(table.at().secrets, Secrets::Literal)
            || if engine == Engine::File { path.is_some() } else { table.peek("url").is_some() };
        if !addressed {
            table.at().problem(match engine {
                Engine::File => "`path` is missing; write the folder of the app's sessions",
                Engine::Redis => "`url` is missing; write url = \"env:REDIS_URL\"",
                Engine::Sql => "`url` is missing; write url = \"env:DATABASE_URL\"",
            });
        }
        Some(StoreTable {
            table,
            store: StoreSettings {
                engine,
                url,
                database: None,
                path,
                rules,
                names: StoreNames::default(),
                cache_seconds,
                timeout,
                naive_times,
            },
        })
    }

    /// `[session.store.fallback]`, if it is there.
    pub(super) fn fallback_store(&self) -> Option<At<'a>> {
        self.table.peek("store")?.find(&["fallback"])
    }

    /// From now on, `store` reads this table.
    pub(super) fn read_instead_of_store(&mut self, at: Option<At<'a>>) {
        self.instead_of_store = at;
    }

    /// The engine of the fallback, while it is read: a kind whose other settings name the
    /// first store's place goes by it.
    pub(crate) fn fallback_engine(&self) -> Option<Engine> {
        let engine = self.instead_of_store.as_ref()?.find(&["engine"])?;
        match &engine.node.value {
            Value::Text(name) => Engine::ALL.into_iter().find(|engine| engine.name() == name),
            _ => None,
        }
    }

    /// As `store`, for kinds whose sessions can be nowhere else.
    pub(crate) fn needed_store(&mut self, engines: &[Engine]) -> Option<StoreTable<'a>> {
        if self.table.peek("store").is_none() {
            let names: Vec<_> = engines.iter().map(|engine| engine.name()).collect();
            self.table.take("store");
            self.problem(format!(
                "[session.store] is missing: these sessions live in a store ({}), the cookie \
                 holds only their id",
                names.join(" or ")
            ));
        }
        self.store(engines)
    }

    /// A secret in the store's table.
    pub(crate) fn store_secret(
        &mut self,
        store: &mut StoreTable<'a>,
        key: &'static str,
    ) -> Option<Secret> {
        let at = store.table.take(key)?;
        self.resolve(&at)
    }

    fn resolve(&mut self, at: &At<'_>) -> Option<Secret> {
        let secret = at.secret()?;
        self.fingerprint.add(secret.digest().bytes());
        self.secrets.push(secret.clone());
        Some(secret)
    }
}

fn numbered(items: Vec<At<'_>>) -> Vec<(String, At<'_>)> {
    items.into_iter().enumerate().map(|(index, at)| ((index + 1).to_string(), at)).collect()
}

fn cookie_name(at: &At<'_>) -> Option<String> {
    const EXPECTED: &str = "the name of a cookie";
    let name = at.text(EXPECTED)?;
    let plain = |b: u8| b.is_ascii_graphic() && !b"=;,\"".contains(&b);
    if name.is_empty() || !name.bytes().all(plain) {
        at.wrong(EXPECTED);
        return None;
    }
    Some(name.to_owned())
}
