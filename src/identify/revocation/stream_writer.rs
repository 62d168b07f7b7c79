//! Adds revocations to the stream, and asks the store to keep them on two servers.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::entry::Entry;
use super::stream_work::{MOST_WAITING, RecentEntries, Settled, Work, key_of, oldest_kept};
use crate::base::clock::Clock;
use crate::outbound::redis::{Failure, LONGEST_UNREACHED, Pauses, SharedStore};

/// Longest wait for another server to have an entry.
const REPLICATED_MS: u64 = 50;
const TIMEOUT: Duration = Duration::from_secs(1);
/// First pause after a failed attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Entries sent together.
const BATCH: usize = 100;

/// The task that writes. `WAIT` blocks a connection, so it has its own.
pub(super) struct Writer {
    store: Arc<SharedStore>,
    clock: Clock,
    recent: Arc<RecentEntries>,
}

/// Work that is not done yet.
#[derive(Default)]
struct Queue {
    entries: Vec<Entry>,
    settling: Vec<oneshot::Sender<Settled>>,
}

impl Queue {
    fn settle(&mut self, settled: Settled) {
        for done in self.settling.drain(..) {
            let _ = done.send(settled);
        }
    }
}

impl Writer {
    pub(super) fn new(store: Arc<SharedStore>, clock: Clock, recent: Arc<RecentEntries>) -> Self {
        Self { store, clock, recent }
    }

    /// Ends when the last sender is gone.
    pub(super) async fn run(self, mut waiting: mpsc::Receiver<Work>) {
        let mut connection = None;
        let mut queue = Queue::default();
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_UNREACHED);
        loop {
            if queue.entries.is_empty() && !self.receive(&mut waiting, &mut queue).await {
                return;
            }
            let batch = queue.entries.len().min(BATCH);
            match self.add(&mut connection, queue.entries.iter().take(batch)).await {
                Ok(settled) => {
                    pauses.reset();
                    queue.entries.drain(..batch);
                    if queue.entries.is_empty() {
                        queue.settle(settled);
                    }
                }
                Err(failure) => {
                    connection = None;
                    tracing::warn!(cause = %failure, "revocations are in force here; other \
                                                      replicas learn of them later");
                    queue.settle(Settled::Here);
                    self.pause(pauses.next(), &mut waiting, &mut queue).await;
                }
            }
        }
    }

    /// Waits for work; false where none will come.
    async fn receive(&self, waiting: &mut mpsc::Receiver<Work>, queue: &mut Queue) -> bool {
        let mut batch = Vec::new();
        let count = waiting.recv_many(&mut batch, BATCH).await;
        batch.into_iter().for_each(|work| self.take(work, queue));
        count > 0
    }

    fn take(&self, work: Work, queue: &mut Queue) {
        match work {
            Work::Add(entry) => {
                self.recent.push(entry, self.clock.now().unix_ms());
                queue.entries.push(entry);
            }
            Work::Settle(done) => queue.settling.push(done),
        }
    }

    /// Waits until the next attempt is due, or until a connection for limits says that the
    /// store is back. Meanwhile, questions how far an event has come are answered at once.
    async fn pause(&self, pause: Duration, waiting: &mut mpsc::Receiver<Work>, queue: &mut Queue) {
        let key = key_of(&self.store);
        let back = timeout(pause, self.store.redis.renewed_for(key.as_bytes()));
        tokio::pin!(back);
        loop {
            tokio::select! {
                _ = &mut back => return,
                is_more = self.receive(waiting, queue), if queue.entries.len() < MOST_WAITING => {
                    queue.settle(Settled::Here);
                    if !is_more {
                        return;
                    }
                }
            }
        }
    }

    async fn add(
        &self,
        connection: &mut Option<MultiplexedConnection>,
        entries: impl ExactSizeIterator<Item = &Entry>,
    ) -> Result<Settled, Failure> {
        let (key, are_any) = (key_of(&self.store), entries.len() > 0);
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
        let added = timeout(TIMEOUT, commands.query_async::<(Value,)>(open)).await;
        let (last,) = match added {
            Ok(answer) => answer.map_err(|error| Failure::from(&error))?,
            Err(_) => return Err(Failure::TimedOut),
        };
        if !matches!(last, Value::Int(0)) {
            return Ok(Settled::InStream);
        }
        if are_any {
            tracing::warn!("a revocation is stored on only one server of the shared store");
            self.store.counts.count_unreplicated();
        }
        Ok(Settled::OnOneServer)
    }
}
