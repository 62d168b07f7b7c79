//! The app's own session stores: Redis, SQL databases, folders.
//!
//! Read-only. A store is connected to at its first question, inside one runtime that
//! outlives every connection, and again after it was unreachable. Every question has a
//! deadline; a request that stops waiting does not stop the work. Settings hold addresses
//! with passwords, and databases repeat ids in their messages: an error here says only
//! what kind of thing went wrong.

use std::collections::HashMap;
use std::pin::Pin;

use tokio::runtime::Handle;

use crate::base::digest::Digest;
use crate::base::lock::Lock;
use crate::base::secret::Secret;
use crate::base::store_url::{BadStoreUrl, StoreUrl};
use crate::identify::store::error::{NamedColumn, StoreError};
use crate::identify::store::{file, redis, sql};
use crate::session::{Engine, NaiveTimes, Query, StoreAnswer, StoreSettings};

/// Every store the process is connected to. Sources with the same address share
/// connections, and a reload keeps them.
pub struct StoreConnections {
    runtime: Handle,
    open: Lock<HashMap<Digest, Connection>>,
}

/// A handle on connections; cheap to clone.
#[derive(Clone)]
enum Connection {
    Redis(redis::Redis),
    Sql(sql::Database),
}

impl StoreConnections {
    /// Connections will live in `runtime`.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, open: Lock::default() }
    }

    /// The content of the store; `None` is a miss.
    pub async fn ask(
        &self,
        store: &StoreSettings,
        query: &Query,
    ) -> Result<Option<StoreAnswer>, StoreError> {
        match query {
            Query::App { .. } | Query::Key { .. } => Ok(None),
            Query::File { name } => {
                let Some(folder) = store.path.clone() else { return Ok(None) };
                let name = name.clone();
                let read = self.runtime.spawn_blocking(move || file::read(&folder, &name));
                within(store, async { read.await.unwrap_or(Err(StoreError::Unreachable)) }).await
            }
            Query::Redis { key } => {
                let Some(url) = &store.url else { return Ok(None) };
                let connection = self.connect(url)?;
                let key = key.clone();
                self.run(store, async move { connection.get(&key).await }).await
            }
            Query::RedisHash { key } => {
                let Some(url) = &store.url else { return Ok(None) };
                let connection = self.connect(url)?;
                let key = key.clone();
                self.run(store, async move { connection.get_hash(&key).await }).await
            }
            Query::Row { table, matching } => {
                let Some(address) = database_of(store) else { return Ok(None) };
                let connection = self.connect(address)?;
                let asked = (table.clone(), matching.clone());
                let times = store.naive_times.clone();
                let answer = self
                    .run(store, async move { connection.row(&asked.0, &asked.1, &times).await })
                    .await;
                let columns = matching.iter().map(|(column, _)| column.as_str());
                answer.map_err(|error| error.about(store, table, columns))
            }
        }
    }

    /// Succeeds if the store answers now, for readiness and `check --online`.
    pub async fn probe(&self, store: &StoreSettings) -> Result<(), StoreError> {
        if let (Engine::File, Some(folder)) = (store.engine, &store.path) {
            return file::probe(folder);
        }
        for address in store.url.iter().chain(&store.database) {
            let connection = self.connect(address)?;
            self.run(store, async move { connection.ping().await }).await?;
        }
        Ok(())
    }

    /// All that is wrong with a store, for `check --online`: as `probe`, and in a database
    /// each table is asked for a row that it cannot have.
    pub async fn examine(&self, store: &StoreSettings) -> Vec<StoreError> {
        if let Err(error) = self.probe(store).await {
            return vec![error];
        }
        let Some(address) = database_of(store) else { return Vec::new() };
        let mut problems = Vec::new();
        for names in store.tables() {
            let connection = match self.connect(address) {
                Ok(connection) => connection,
                Err(error) => return vec![error],
            };
            let (table, id) = (names.table.to_owned(), names.id.to_owned());
            let times = store.naive_times.clone();
            let columns = async move { connection.examine(&table, &id, &times).await };
            match self.run(store, columns).await {
                Ok(columns) => {
                    let missing =
                        names.columns.iter().filter(|own| !columns.iter().any(|it| it == *own));
                    problems
                        .extend(missing.map(|own| {
                            StoreError::NoColumn(vec![NamedColumn::column(store, own)])
                        }));
                }
                Err(error) => {
                    problems.push(error.about(store, names.table, std::iter::once(names.id)));
                }
            }
        }
        problems
    }

    /// Closes the connections that no store of `stores` uses.
    pub fn keep_only<'s>(&self, stores: impl Iterator<Item = &'s StoreSettings>) {
        let used: Vec<_> =
            stores.flat_map(|s| s.url.iter().chain(&s.database)).map(Secret::digest).collect();
        self.open.lock().retain(|address, _| used.contains(address));
    }

    /// Runs work on connections in their runtime, with the store's deadline.
    async fn run<T: Send + 'static>(
        &self,
        store: &StoreSettings,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let timeout = store.timeout;
        let task = async move {
            tokio::time::timeout(timeout, work).await.unwrap_or(Err(StoreError::TimedOut))
        };
        // A task that does not end normally was dropped with its runtime.
        self.runtime.spawn(task).await.unwrap_or(Err(StoreError::Unreachable))
    }

    fn connect(&self, address: &Secret) -> Result<Connection, StoreError> {
        let mut open = self.open.lock();
        let key = address.digest();
        if let Some(connection) = open.get(&key) {
            return Ok(connection.clone());
        }
        // Clients start their helpers in the runtime they are made in.
        let _inside = self.runtime.enter();
        let connection = Connection::open(address, self.runtime.clone())?;
        open.insert(key, connection.clone());
        Ok(connection)
    }
}

impl Connection {
    /// Connects to nothing yet.
    fn open(address: &Secret, runtime: Handle) -> Result<Self, StoreError> {
        match StoreUrl::parse(address)? {
            StoreUrl::Redis(url) => Ok(Self::Redis(redis::Redis::open(*url, runtime))),
            StoreUrl::Sql(url) => Ok(Self::Sql(sql::Database::open(url))),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<StoreAnswer>, StoreError> {
        match self {
            Self::Redis(redis) => redis.get(key).await,
            Self::Sql(_) => Err(BadStoreUrl("it is not that of a Redis server").into()),
        }
    }

    async fn get_hash(&self, key: &str) -> Result<Option<StoreAnswer>, StoreError> {
        match self {
            Self::Redis(redis) => redis.get_hash(key).await,
            Self::Sql(_) => Err(BadStoreUrl("it is not that of a Redis server").into()),
        }
    }

    async fn row(
        &self,
        table: &str,
        matching: &[(String, crate::session::Cell)],
        times: &NaiveTimes,
    ) -> Result<Option<StoreAnswer>, StoreError> {
        match self {
            Self::Redis(_) => Err(BadStoreUrl("it is not that of a database").into()),
            Self::Sql(database) => {
                // With its type erased, because the compiler gives up on types nested so deep.
                let row = Box::pin(database.row(table, matching, times));
                let row: Pin<Box<dyn Future<Output = _> + Send + '_>> = row;
                row.await
            }
        }
    }

    async fn examine(
        &self,
        table: &str,
        id: &str,
        times: &NaiveTimes,
    ) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Redis(_) => Err(BadStoreUrl("it is not that of a database").into()),
            Self::Sql(database) => {
                // As in `row`.
                let columns = Box::pin(database.examine(table, id, times));
                let columns: Pin<Box<dyn Future<Output = _> + Send + '_>> = columns;
                columns.await
            }
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::Redis(redis) => redis.ping().await,
            Self::Sql(database) => database.ping().await,
        }
    }
}

/// The address of the database that holds rows.
fn database_of(store: &StoreSettings) -> Option<&Secret> {
    match store.engine {
        Engine::Sql => store.url.as_ref(),
        Engine::File | Engine::Redis => store.database.as_ref(),
    }
}

async fn within<T>(
    store: &StoreSettings,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(store.timeout, work).await.unwrap_or(Err(StoreError::TimedOut))
}
