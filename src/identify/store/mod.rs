//! The app's own session stores: Redis, SQL databases, folders.
//!
//! Read-only. A store is connected to when it is first asked, inside one
//! runtime that outlives every connection, and found again by itself after it
//! was gone. Every question has a deadline; whoever stops waiting does not stop
//! the work. Settings hold addresses with passwords, and databases repeat ids in
//! their messages: an error here says what kind of thing went wrong and nothing
//! else.

mod file;
mod redis;
mod sql;

use std::collections::HashMap;
use std::fmt;

use tokio::runtime::Handle;

use crate::base::digest::Digest;
use crate::base::lock::Lock;
use crate::base::secret::Secret;
use crate::session::{Answer, Engine, Query, Store};

/// Octets of one session at most; the verifier refuses what reaches this size.
const MAX_SESSION: usize = 1024 * 1024 + 1;

/// Why a store gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The address cannot be used at all; says why.
    BadAddress(&'static str),
    /// The store answered with an error; a code of its own, never its message.
    Failed(String),
    /// The store knows us but does not let us in.
    NotAllowed,
    TimedOut,
    Unreachable,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAddress(why) => write!(f, "the store's `url` cannot be used: {why}"),
            Self::Failed(code) => write!(f, "the store answered with error {code}"),
            Self::NotAllowed => f.write_str("the store does not accept the user or password"),
            Self::TimedOut => f.write_str("the store did not answer in time"),
            Self::Unreachable => f.write_str("the store cannot be connected to"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Every store the process is connected to. Sources with the same address share
/// connections, and a reload keeps them.
pub struct Stores {
    runtime: Handle,
    open: Lock<HashMap<Digest, Connection>>,
}

/// A handle on connections; cheap to clone.
#[derive(Clone)]
enum Connection {
    Redis(redis::Redis),
    Sql(sql::Database),
}

impl Stores {
    /// Connections will live in `runtime`.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, open: Lock::default() }
    }

    /// What the store holds; `None` is a miss.
    pub async fn ask(&self, store: &Store, query: &Query) -> Result<Option<Answer>, StoreError> {
        match query {
            Query::App { .. } => Ok(None),
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
            Query::Row { table, matching } => {
                let address = match store.engine {
                    Engine::Sql => store.url.as_ref(),
                    Engine::File | Engine::Redis => store.database.as_ref(),
                };
                let Some(address) = address else { return Ok(None) };
                let connection = self.connect(address)?;
                let (table, matching) = (table.clone(), matching.clone());
                self.run(store, async move { connection.row(&table, &matching).await }).await
            }
        }
    }

    /// Whether the store answers now, for readiness and `check --online`.
    pub async fn probe(&self, store: &Store) -> Result<(), StoreError> {
        if let (Engine::File, Some(folder)) = (store.engine, &store.path) {
            return file::probe(folder);
        }
        for address in store.url.iter().chain(&store.database) {
            let connection = self.connect(address)?;
            self.run(store, async move { connection.ping().await }).await?;
        }
        Ok(())
    }

    /// Lets go of connections no store of `stores` uses.
    pub fn keep_only<'s>(&self, stores: impl Iterator<Item = &'s Store>) {
        let used: Vec<_> =
            stores.flat_map(|s| s.url.iter().chain(&s.database)).map(Secret::digest).collect();
        self.open.lock().retain(|address, _| used.contains(address));
    }

    /// Work on connections is done in their runtime, and ends there in time.
    async fn run<T: Send + 'static>(
        &self,
        store: &Store,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let timeout = store.timeout;
        let task = async move {
            tokio::time::timeout(timeout, work).await.unwrap_or(Err(StoreError::TimedOut))
        };
        // A task that does not end normally was cut off with its runtime.
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
        let connection = Connection::open(address)?;
        open.insert(key, connection.clone());
        Ok(connection)
    }
}

impl Connection {
    /// Connects to nothing yet.
    fn open(address: &Secret) -> Result<Self, StoreError> {
        match scheme(address)? {
            Scheme::Redis(url) => redis::Redis::open(url).map(Self::Redis),
            Scheme::Sql(url) => sql::Database::open(url).map(Self::Sql),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Answer>, StoreError> {
        match self {
            Self::Redis(redis) => redis.get(key).await,
            Self::Sql(_) => Err(StoreError::BadAddress("it is not that of a Redis server")),
        }
    }

    async fn row(
        &self,
        table: &str,
        matching: &[(String, crate::session::Cell)],
    ) -> Result<Option<Answer>, StoreError> {
        match self {
            Self::Redis(_) => Err(StoreError::BadAddress("it is not that of a database")),
            Self::Sql(database) => database.row(table, matching).await,
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::Redis(redis) => redis.ping().await,
            Self::Sql(database) => database.ping().await,
        }
    }
}

enum Scheme<'a> {
    Redis(&'a str),
    Sql(&'a str),
}

fn scheme(address: &Secret) -> Result<Scheme<'_>, StoreError> {
    const EXPECTED: &str = "it must start with redis://, rediss://, postgres://, mysql://, \
                            mariadb:// or sqlite://";
    let text = address.text().ok_or(StoreError::BadAddress("it is not text"))?;
    match text.split_once("://").map_or("", |(scheme, _)| scheme) {
        "redis" | "rediss" | "redis+unix" => Ok(Scheme::Redis(text)),
        "mariadb" | "mysql" | "postgres" | "postgresql" | "sqlite" => Ok(Scheme::Sql(text)),
        _ => Err(StoreError::BadAddress(EXPECTED)),
    }
}

/// Checks what can be seen of a store's settings without connecting, so that a
/// wrong address is a problem of the file and not of the first user.
pub fn check(store: &Store) -> Result<(), StoreError> {
    let fits = |address: &Secret, engine: Engine| match (scheme(address)?, engine) {
        (Scheme::Redis(url), Engine::Redis) => redis::check(url),
        (Scheme::Sql(url), Engine::Sql) => sql::check(url),
        (Scheme::Redis(_), _) => {
            Err(StoreError::BadAddress("it is that of a Redis server, expected a database"))
        }
        (Scheme::Sql(_), _) => {
            Err(StoreError::BadAddress("it is that of a database, expected a Redis server"))
        }
    };
    if let Some(url) = &store.url {
        fits(url, store.engine)?;
    }
    store.database.as_ref().map_or(Ok(()), |database| fits(database, Engine::Sql))
}

async fn within<T>(
    store: &Store,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(store.timeout, work).await.unwrap_or(Err(StoreError::TimedOut))
}
