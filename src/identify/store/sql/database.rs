//! Sessions in PostgreSQL, MySQL, MariaDB and SQLite: one row by its columns.
//!
//! Values reach a statement as parameters only; names come from the settings,
//! where they were checked to be identifiers, and are quoted. The row found is
//! compared with the row asked for: MySQL finds `5abc` in a column of numbers that
//! holds 5, and `ABC` where `abc` is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::MySql;
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Connection as _, Executor, IntoArguments, Pool,
    SqlSafeStr as _, Statement as _,
};

use super::cell::{self, Decoded, Encoded};
use super::failure;
use crate::base::lock::Lock;
use crate::base::store_url::SqlUrl;
use crate::identify::store::error::StoreError;
use crate::identify::store::sql::postgres_table::KnownTable;
use crate::session::{Cell, NaiveTimes, Row, StoreAnswer};

const CONNECTIONS: u32 = 8;
/// Longer than every question's own deadline.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// One database and its pool.
#[derive(Clone)]
pub(in crate::identify::store) enum Database {
    MySql(Pool<MySql>),
    Postgres(Pool<Postgres>, Tables),
    Sqlite(Pool<Sqlite>),
}

/// PostgreSQL's tables, as they were when they were first asked.
type Tables = Arc<Lock<HashMap<(String, NaiveTimes), Arc<KnownTable>>>>;

impl Database {
    /// Must run inside the runtime of the connections.
    pub(in crate::identify::store) fn open(url: SqlUrl) -> Self {
        match url {
            SqlUrl::MySql(options) => Self::MySql(pool().connect_lazy_with(*options)),
            SqlUrl::Postgres(options) => {
                Self::Postgres(pool().connect_lazy_with(*options), Tables::default())
            }
            SqlUrl::Sqlite(options) => Self::Sqlite(pool().connect_lazy_with(*options)),
        }
    }

    /// The one row in which every column has its value. PostgreSQL reads times without a
    /// zone as `times` says.
    pub(in crate::identify::store) async fn row(
        &self,
        table: &str,
        matching: &[(String, Cell)],
        times: &NaiveTimes,
    ) -> Result<Option<StoreAnswer>, StoreError> {
        let found = match self {
            Self::MySql(pool) => {
                let statement = select(('`', table), "*", matching, |_, _| "?".to_owned());
                fetch(pool, statement, matching).await
            }
            Self::Postgres(pool, known) => {
                postgres_row(pool, known, (table, times), matching).await?
            }
            Self::Sqlite(pool) => {
                // In double quotes, an unknown name would be a text to SQLite.
                let statement = select(('`', table), "*", matching, |_, _| "?".to_owned());
                fetch(pool, statement, matching).await
            }
        };
        let row = match found {
            Ok(row) => row,
            // The id cannot be a value of that column, so no row has it.
            Err(error) if is_unfit_value(&error) => None,
            Err(error) => return Err(failed(&error)),
        };
        Ok(row.filter(|row| cell::is_as_asked(row, matching)).map(StoreAnswer::Row))
    }

    /// Asks a table for a row that it cannot have, as `row` would, and returns the names of
    /// its columns.
    pub(in crate::identify::store) async fn examine(
        &self,
        table: &str,
        id: &str,
        times: &NaiveTimes,
    ) -> Result<Vec<String>, StoreError> {
        self.row(table, &[(id.to_owned(), Cell::Null)], times).await?;
        let statement = |quote| format!("SELECT * FROM {} LIMIT 1", quoted(quote, table));
        match self {
            Self::MySql(pool) => columns(pool, statement('`')).await,
            Self::Postgres(pool, _) => columns(pool, statement('"')).await,
            Self::Sqlite(pool) => columns(pool, statement('`')).await,
        }
        .map_err(|error| failed(&error))
    }

    /// Succeeds if the database answers; the error says precisely why not.
    pub(in crate::identify::store) async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::MySql(pool) => ping(pool).await,
            Self::Postgres(pool, _) => ping(pool).await,
            Self::Sqlite(pool) => ping(pool).await,
        }
        .map_err(|error| failed(&error))
    }
}

fn pool<D: sqlx::Database>() -> PoolOptions<D> {
    PoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
}

/// Uses an idle connection or a new one: the pool would retry instead of returning
/// the reason.
async fn ping<D: sqlx::Database>(pool: &Pool<D>) -> Result<(), sqlx::Error> {
    if let Some(connection) = pool.try_acquire() {
        let mut lease = Lease(Some(connection));
        if lease.connection()?.ping().await.is_ok() {
            lease.end();
            return Ok(());
        }
    }
    pool.connect_options().connect().await?.close().await
}

async fn postgres_row(
    pool: &Pool<Postgres>,
    known: &Tables,
    (table, times): (&str, &NaiveTimes),
    matching: &[(String, Cell)],
) -> Result<Result<Option<Row>, sqlx::Error>, StoreError> {
    let key = (table.to_owned(), times.clone());
    let found = {
        let known = known.lock();
        known.get(&key).cloned()
    };
    let shape = match found {
        Some(shape) => shape,
        None => {
            let mut lease = Lease(Some(pool.acquire().await.map_err(|e| failed(&e))?));
            let connection = lease.connection().map_err(|e| failed(&e))?;
            let quoted = quoted('"', table);
            let read =
                KnownTable::read(connection, &quoted, times).await.map_err(|e| failed(&e))?;
            lease.end();
            let read = Arc::new(read);
            if read.is_missing() {
                return Err(StoreError::NoTable(None));
            }
            known.lock().insert(key.clone(), read.clone());
            read
        }
    };
    let place = |number: usize, column: &str| shape.parameter(number, column);
    let statement = select(('"', table), &shape.selection(), matching, place);
    let found = fetch(pool, statement, matching).await;
    if found.is_err() {
        // The table may have changed.
        known.lock().remove(&key);
    }
    Ok(found)
}

/// `place` writes the parameter of a number and a column.
fn select(
    (quote, table): (char, &str),
    selection: &str,
    matching: &[(String, Cell)],
    place: impl Fn(usize, &str) -> String,
) -> String {
    let conditions: Vec<_> = matching
        .iter()
        .enumerate()
        .map(|(at, (column, _))| format!("{} = {}", quoted(quote, column), place(at + 1, column)))
        .collect();
    let table = quoted(quote, table);
    format!("SELECT {selection} FROM {table} WHERE {} LIMIT 1", conditions.join(" AND "))
}

/// `schema.table` as two quoted names. Names hold no quotes; they were checked
/// when the settings were read.
fn quoted(quote: char, name: &str) -> String {
    let parts = name.split('.').map(|part| format!("{quote}{}{quote}", part.replace(quote, "")));
    parts.collect::<Vec<_>>().join(".")
}

async fn fetch<D>(
    pool: &Pool<D>,
    statement: String,
    matching: &[(String, Cell)],
) -> Result<Option<Row>, sqlx::Error>
where
    D: sqlx::Database,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    Cell: Encoded<D>,
    Cell: Decoded<D>,
{
    let mut query = sqlx::query::<D>(AssertSqlSafe(statement));
    for (_, cell) in matching {
        query = cell.bind(query);
    }
    let mut lease = Lease(Some(pool.acquire().await?));
    let row = query.fetch_optional(lease.connection()?).await?;
    lease.end();
    Ok(row.map(|row| cell::read(&row)))
}

/// The columns that a statement would answer with.
async fn columns<D>(pool: &Pool<D>, statement: String) -> Result<Vec<String>, sqlx::Error>
where
    D: sqlx::Database,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    let mut lease = Lease(Some(pool.acquire().await?));
    let statement = AssertSqlSafe(statement).into_sql_str();
    let prepared = lease.connection()?.prepare(statement).await?;
    let names = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
    lease.end();
    Ok(names)
}

/// A connection in use. Returned to the pool only when its work is done: one
/// abandoned half-way is closed, because an answer may still arrive on it.
struct Lease<D: sqlx::Database>(Option<PoolConnection<D>>);

impl<D: sqlx::Database> Lease<D> {
    fn connection(&mut self) -> Result<&mut D::Connection, sqlx::Error> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    fn end(mut self) {
        drop(self.0.take());
    }
}

impl<D: sqlx::Database> Drop for Lease<D> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

/// SQLSTATE class 22, data exception: the text is no UUID, the number too large.
fn is_unfit_value(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.len() == 5 && code.starts_with("22"))
}

fn failed(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => failure::of_database(&**error),
        sqlx::Error::PoolTimedOut => StoreError::TimedOut,
        sqlx::Error::Tls(_) => StoreError::Failed("in TLS".to_owned()),
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::Protocol(_) => {
            StoreError::Unreachable
        }
        _ => StoreError::Failed("in the client".to_owned()),
    }
}

#[cfg(test)]
mod tests;
