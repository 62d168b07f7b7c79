//! Adds revocations to the stream, and asks the store to have them at two servers.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;

use super::entry::Entry;
use super::stream_work::{Recent, Settled, Work, key_of, oldest_kept};
use crate::base::clock::Clock;
use crate::outbound::redis::{Failure, SharedStore};

/// Longest wait for another server to have an entry.
const REPLICATED_MS: u64 = 50;
const TIMEOUT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);
/// Entries sent together.
const BATCH: usize = 100;

/// The task that writes. `WAIT` blocks a connection, so it has its own.
pub(super) struct Writer {
    store: Arc<SharedStore>,
    clock: Clock,
    recent: Arc<Recent>,
}

impl Writer {
    pub(super) fn new(store: Arc<SharedStore>, clock: Clock, recent: Arc<Recent>) -> Self {
        Self { store, clock, recent }
    }

    /// Ends when the last sender is gone.
    pub(super) async fn run(self, mut waiting: mpsc::Receiver<Work>) {
        let mut connection = None;
        let (mut entries, mut settling) = (Vec::new(), Vec::new());
        loop {
            let mut batch = Vec::new();
            if entries.is_empty() && waiting.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            for work in batch {
                match work {
                    Work::Add(entry) => {
                        self.recent.push(entry, self.clock.now().unix_ms());
                        entries.push(entry);
                    }
                    Work::Settle(done) => settling.push(done),
                }
            }
            let settled = match self.add(&mut connection, &entries).await {
                Ok(settled) => {
                    entries.clear();
                    settled
                }
                Err(failure) => {
                    connection = None;
                    tracing::warn!(cause = %failure, "revocations are in force here, and other replicas hear of them later");
                    Settled::Here
                }
            };
            for done in settling.drain(..) {
                let _ = done.send(settled);
            }
            if settled == Settled::Here {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn add(
        &self,
        connection: &mut Option<MultiplexedConnection>,
        entries: &[Entry],
    ) -> Result<Settled, Failure> {
        let key = key_of(&self.store);
        let open = match connection {
            Some(open) => open,
            None => connection.insert(self.store.redis.dedicated(key.as_bytes()).await?),
        };
        let mut commands = redis::pipe();
        let oldest = oldest_kept(self.clock.now().unix_ms());
        for entry in entries {
            let add = commands.cmd("XADD").arg(&key).arg("MINID").arg("~").arg(&oldest);
            add.arg("*").arg("e").arg(entry.line()).ignore();
        }
        if self.store.is_replicated() {
            commands.cmd("WAIT").arg(1).arg(REPLICATED_MS);
        } else {
            commands.cmd("PING");
        }
        let added = tokio::time::timeout(TIMEOUT, commands.query_async::<(Value,)>(open)).await;
        let (last,) = match added {
            Ok(answer) => answer.map_err(|error| Failure::from(&error))?,
            Err(_) => return Err(Failure::TimedOut),
        };
        if !matches!(last, Value::Int(0)) {
            return Ok(Settled::InStream);
        }
        if !entries.is_empty() {
            tracing::warn!("a revocation is on one server of the shared store only");
            self.store.counts.count_unreplicated();
        }
        Ok(Settled::OnOneServer)
    }
}
