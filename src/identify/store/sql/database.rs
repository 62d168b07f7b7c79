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
    AssertSqlSafe, Column as _, ColumnIndex, ConnectOptions, Connection as _, Decode, Encode,
    Executor, IntoArguments, Pool, Row as _, SqlSafeStr as _, Statement as _, Type,
};

use super::cell::{self, Decoded, Encoded};
use super::failure;
use super::sizes::{self, MYSQL, Measured, SQLITE, SizeCondition};
use crate::base::lock::Lock;
use crate::base::store_url::SqlUrl;
use crate::identify::store::error::StoreError;
use crate::identify::store::sql::postgres_table::KnownTable;
use crate::session::{Cell, NaiveTimes, Row, StoreAnswer};

const CONNECTIONS: u32 = 8;
/// Stands for the columns that a row is found by.
const FOUND_BY: &str = "";
/// Longer than every question's own deadline.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// One database and its pool.
#[derive(Clone)]
pub(in crate::identify::store) enum Database {
    MySql(Pool<MySql>, Sizes),
    Postgres(Pool<Postgres>, Tables),
    Sqlite(Pool<Sqlite>, Sizes),
}

/// The small columns of a table, as it was when it was first asked.
type Sizes = Arc<Lock<HashMap<String, SizeCondition>>>;

/// PostgreSQL's tables, as they were when they were first asked.
type Tables = Arc<Lock<HashMap<(String, NaiveTimes), Arc<KnownTable>>>>;

impl Database {
    /// Must run inside the runtime of the connections.
    pub(in crate::identify::store) fn open(url: SqlUrl) -> Self {
        match url {
            SqlUrl::MySql(options) => {
                Self::MySql(pool().connect_lazy_with(*options), Sizes::default())
            }
            SqlUrl::Postgres(options) => {
                Self::Postgres(pool().connect_lazy_with(*options), Tables::default())
            }
            SqlUrl::Sqlite(options) => {
                Self::Sqlite(pool().connect_lazy_with(*options), Sizes::default())
            }
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
            Self::MySql(_, known) => self.measured_row(known, &MYSQL, table, matching).await,
            Self::Postgres(pool, known) => {
                self.postgres_row(pool, known, (table, times), matching).await?
            }
            Self::Sqlite(_, known) => self.measured_row(known, &SQLITE, table, matching).await,
        };
        match found {
            Ok(answer) => Ok(answer),
            // The id cannot be a value of that column, so no row has it.
            Err(error) if is_unfit_value(&error) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
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
            Self::MySql(pool, _) => columns(pool, statement('`')).await,
            Self::Postgres(pool, _) => columns(pool, statement('"')).await,
            Self::Sqlite(pool, _) => columns(pool, statement('`')).await,
        }
        .map_err(|error| failed(&error))
    }

    /// Succeeds if the database answers; the error says precisely why not.
    pub(in crate::identify::store) async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::MySql(pool, _) => ping(pool).await,
            Self::Postgres(pool, _) => ping(pool).await,
            Self::Sqlite(pool, _) => ping(pool).await,
        }
        .map_err(|error| failed(&error))
    }

    async fn postgres_row(
        &self,
        pool: &Pool<Postgres>,
        known: &Tables,
        (table, times): (&str, &NaiveTimes),
        matching: &[(String, Cell)],
    ) -> Result<Result<Option<StoreAnswer>, sqlx::Error>, StoreError> {
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
        let select =
            |selection: &str, more: &str| select(('"', table), selection, matching, place, more);
        let found = self.fetch_small(select, (&shape.selection(), &shape.sizes()), matching).await;
        if found.is_err() {
            // The table may have changed.
            known.lock().remove(&key);
        }
        Ok(found)
    }

    /// In MySQL and SQLite, which need no more facts about a table than its sizes.
    async fn measured_row(
        &self,
        known: &Sizes,
        measured: &Measured,
        table: &str,
        matching: &[(String, Cell)],
    ) -> Result<Option<StoreAnswer>, sqlx::Error> {
        let found = {
            let known = known.lock();
            known.get(table).cloned()
        };
        let sizes = match found {
            Some(sizes) => sizes,
            None => {
                let names = match self.column_names(measured.columns, table).await {
                    // An unusual database, or a user who may not read this.
                    Err(sqlx::Error::Database(_)) => Vec::new(),
                    names => names?,
                };
                let sizes = measured.condition(&names);
                known.lock().insert(table.to_owned(), sizes.clone());
                sizes
            }
        };
        // In double quotes, SQLite would read an unknown name as a string.
        let select = |selection: &str, more: &str| {
            select(('`', table), selection, matching, |_, _| "?".to_owned(), more)
        };
        let found = self.fetch_small(select, ("*", &sizes), matching).await;
        if found.is_err() {
            // The table may have changed.
            known.lock().remove(table);
        }
        found
    }

    /// A row that is small enough to be read; for a larger one, only the columns that
    /// found it. `select` writes the statement for a selection, with more conditions.
    async fn fetch_small(
        &self,
        select: impl Fn(&str, &str) -> String,
        (selection, sizes): (&str, &SizeCondition),
        matching: &[(String, Cell)],
    ) -> Result<Option<StoreAnswer>, sqlx::Error> {
        let is_as_asked = |row: &Row| cell::is_as_asked(row, matching);
        let small = self.fetch(select(selection, &sizes.of_small_rows()), matching).await?;
        if let Some(row) = small.filter(is_as_asked) {
            return Ok(Some(StoreAnswer::Row(row)));
        }
        if sizes.is_empty() {
            return Ok(None);
        }
        let large = self.fetch(select(FOUND_BY, &sizes.of_large_rows()), matching).await?;
        Ok(large.filter(is_as_asked).map(|_| StoreAnswer::TooLarge))
    }

    async fn fetch(
        &self,
        statement: String,
        matching: &[(String, Cell)],
    ) -> Result<Option<Row>, sqlx::Error> {
        match self {
            Self::MySql(pool, _) => fetch(pool, statement, matching).await,
            Self::Postgres(pool, _) => fetch(pool, statement, matching).await,
            Self::Sqlite(pool, _) => fetch(pool, statement, matching).await,
        }
    }

    async fn column_names(
        &self,
        statement: &'static str,
        table: &str,
    ) -> Result<Vec<String>, sqlx::Error> {
        match self {
            Self::MySql(pool, _) => column_names(pool, statement, table).await,
            Self::Postgres(pool, _) => column_names(pool, statement, table).await,
            Self::Sqlite(pool, _) => column_names(pool, statement, table).await,
        }
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

async fn column_names<D>(
    pool: &Pool<D>,
    statement: &'static str,
    table: &str,
) -> Result<Vec<String>, sqlx::Error>
where
    D: sqlx::Database,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    D::Arguments: IntoArguments<D>,
    String: for<'r> Decode<'r, D> + for<'q> Encode<'q, D> + Type<D>,
    Option<String>: for<'q> Encode<'q, D>,
    usize: ColumnIndex<D::Row>,
{
    let (schema, name) = sizes::parts(table);
    let query = sqlx::query::<D>(statement).bind(schema.map(str::to_owned)).bind(name.to_owned());
    let mut lease = Lease(Some(pool.acquire().await?));
    let rows = query.fetch_all(lease.connection()?).await?;
    lease.end();
    Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
}

/// `place` writes the parameter of a number and a column. The selection may be `FOUND_BY`;
/// `more` are further conditions.
fn select(
    (quote, table): (char, &str),
    selection: &str,
    matching: &[(String, Cell)],
    place: impl Fn(usize, &str) -> String,
    more: &str,
) -> String {
    let conditions: Vec<_> = matching
        .iter()
        .enumerate()
        .map(|(at, (column, _))| format!("{} = {}", quoted(quote, column), place(at + 1, column)))
        .collect();
    let found_by = || matching.iter().map(|(column, _)| quoted(quote, column)).collect::<Vec<_>>();
    let selection =
        if selection == FOUND_BY { found_by().join(", ") } else { selection.to_owned() };
    let (table, conditions) = (quoted(quote, table), conditions.join(" AND "));
    format!("SELECT {selection} FROM {table} WHERE {conditions}{more} LIMIT 1")
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

/// SQLSTATE class 22, data exception: the text is not a UUID, the number too large.
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
