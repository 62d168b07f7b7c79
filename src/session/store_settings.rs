//! The settings of `[session.store]` that all kinds share.

use std::time::Duration;

use super::row_rules::RowRules;
use super::store::Engine;
use super::store_names::{StoreNames, TableNames};
use crate::base::secret::Secret;
use crate::base::store_url::{BadStoreUrl, StoreUrl};

/// The settings of `[session.store]`; `identify::store` connects by them.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    pub engine: Engine,
    /// `redis://…`, `postgres://…` and so on; a secret, because it may hold a
    /// password.
    pub url: Option<Secret>,
    /// The database behind a cache (Django's `cached_db`). Without it, a question
    /// for a row is answered as a miss.
    pub database: Option<Secret>,
    /// The folder of a file store.
    pub path: Option<String>,
    /// The app's own rules on a row.
    pub(super) rules: RowRules,
    /// The tables and columns that are read.
    pub(super) names: StoreNames,
    /// Seconds an answer may be remembered, and a sign-out go unnoticed.
    pub cache_seconds: u64,
    /// Longest wait for the store.
    pub timeout: Duration,
    /// The time zone of times without one.
    pub naive_times: NaiveTimes,
}

/// The time zone in which the app writes a `timestamp` without one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum NaiveTimes {
    /// That of the app's connection, which the database sets: the app lets the database
    /// convert (connect-pg-simple).
    OfDatabase,
    /// The zone of libraries that convert themselves (Drizzle, Prisma).
    #[default]
    Utc,
    /// By its name; the app's connection sets its own.
    Zone(String),
}

impl StoreSettings {
    /// Whether some setting reads a column.
    pub(super) fn reads(&self, column: &str) -> bool {
        self.names.reads(column) || self.rules.columns().any(|own| own == column)
    }

    /// The setting that gives a table or column its name.
    pub(crate) fn key_of(&self, name: &str) -> Option<&'static str> {
        self.names.key_of(name).or_else(|| self.rules.key_of(name))
    }

    /// The tables of a database that are read, and what is read of each.
    pub(crate) fn tables(&self) -> Vec<TableNames<'_>> {
        let mut tables = self.names.tables();
        if let Some(first) = tables.first_mut() {
            first.columns.extend(self.rules.columns());
        }
        tables
    }

    /// Whether some column tells when a session ends.
    pub(super) fn tells_an_end(&self) -> bool {
        self.rules.tell_an_end() || self.names.tell_an_end()
    }

    /// Checks the addresses without connecting, so that a wrong one is a problem
    /// of the file and not of the first user.
    pub fn check_addresses(&self) -> Result<(), BadStoreUrl> {
        let fits = |address: &Secret, engine: Engine| match (StoreUrl::parse(address)?, engine) {
            (StoreUrl::Redis(_), Engine::Redis) | (StoreUrl::Sql(_), Engine::Sql) => Ok(()),
            (StoreUrl::Redis(_), Engine::File | Engine::Sql) => {
                Err(BadStoreUrl("it is that of a Redis server, expected a database"))
            }
            (StoreUrl::Sql(_), Engine::File | Engine::Redis) => {
                Err(BadStoreUrl("it is that of a database, expected a Redis server"))
            }
        };
        if let Some(url) = &self.url {
            fits(url, self.engine)?;
            let is_postgres = url.text().is_some_and(|url| url.starts_with("postgres"));
            if matches!(self.naive_times, NaiveTimes::Zone(_)) && !is_postgres {
                return Err(BadStoreUrl("`time_zone` needs PostgreSQL"));
            }
        }
        self.database.as_ref().map_or(Ok(()), |database| fits(database, Engine::Sql))
    }
}
