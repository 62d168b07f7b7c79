//! Revocations over all replicas: a stream in the shared store.
//!
//! A stream, because it is ordered, keeps what was sent while no replica listened, and is
//! one key. Each replica continues from the last entry it has seen, over its own
//! connection. After every new connection it reads the last minutes again and adds entries
//! of its own that it does not find: a failover may have lost that. Where the last entry
//! it has read is gone, or the first although it is not old, the store has lost some or all
//! of the stream, and the replica adds everything it knows and does not find. Writing an
//! entry twice, or late, changes nothing (`tables`).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::entry::{Entry, KEPT_MS};
use super::stream_work::{AGAIN_MS, MOST_WAITING, RecentEntries, Work, key_of};
use super::stream_writer::Writer;
use crate::base::clock::{Clock, Now};
use crate::outbound::redis::{Failure, LONGEST_UNREACHED, Pauses, SharedStore};

/// Longest silence of a connection that listens; the server answers by then in any case.
const BLOCK: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(2);
/// First pause before another connection.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause before the stream is read from its beginning because it has lost entries.
const LOSS_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks whether the first and the last entry are still there.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The position in a stream without entries.
const EMPTY: &str = "0-0";
/// Entries of one answer.
const BATCH: usize = 1000;
/// The revocations this process knows.
pub(super) struct KnownRevocations {
    /// All that holds now.
    pub(super) entries: Box<dyn Fn() -> Vec<Entry> + Send + Sync>,
    /// Whether an entry is the latest word on its session or user.
    pub(super) is_latest: Box<dyn Fn(&Entry) -> bool + Send + Sync>,
    /// Takes an entry in.
    pub(super) hear: Box<dyn Fn(Entry, Now) + Send + Sync>,
}

/// The way to the stream; ends its tasks when dropped.
pub(crate) struct Stream {
    pub(super) work: mpsc::Sender<Work>,
    /// Whether the stream has been read to its end once.
    read: Arc<(AtomicBool, Notify)>,
    tasks: [AbortHandle; 2],
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Stream {
    pub(super) fn start(
        known: KnownRevocations,
        store: &Arc<SharedStore>,
        clock: Clock,
        runtime: &Handle,
    ) -> Self {
        let (work, waiting) = mpsc::channel(MOST_WAITING);
        let recent = Arc::new(RecentEntries::default());
        let read = Arc::new((AtomicBool::new(false), Notify::new()));
        let writer = Writer::new(store.clone(), clock.clone(), recent.clone());
        let reader = Reader {
            known,
            store: store.clone(),
            clock,
            recent,
            work: work.clone(),
            read: read.clone(),
        };
        let tasks = [
            runtime.spawn(async move { writer.run(waiting).await }).abort_handle(),
            runtime.spawn(async move { reader.run().await }).abort_handle(),
        ];
        Self { work, read, tasks }
    }

    /// Whether the stream has been read to its end once.
    pub(super) fn has_read(&self) -> bool {
        self.read.0.load(Ordering::Acquire)
    }

    /// Waits until the stream has been read once.
    pub(super) fn is_read(&self) -> impl Future<Output = ()> + use<> {
        let read = self.read.clone();
        async move {
            let (is_read, news) = &*read;
            let told = news.notified();
            if !is_read.load(Ordering::Acquire) {
                told.await;
            }
        }
    }
}

/// Entries that are in the stream.
#[derive(Default)]
struct Found {
    ids: HashSet<String>,
    lines: HashSet<String>,
}

/// The part of the stream that has been read.
#[derive(Default)]
struct Position {
    /// The stream's first entry.
    first: Option<String>,
    /// The last one read: milliseconds and a number.
    last: Option<String>,
}

struct Reader {
    known: KnownRevocations,
    store: Arc<SharedStore>,
    clock: Clock,
    recent: Arc<RecentEntries>,
    work: mpsc::Sender<Work>,
    read: Arc<(AtomicBool, Notify)>,
}

impl Reader {
    async fn run(self) {
        let mut position = Position::default();
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_UNREACHED);
        let key = key_of(&self.store);
        loop {
            if let Err(failure) = self.listen(&mut position, &mut pauses).await {
                tracing::debug!(cause = %failure, "reconnected to the stream of revocations");
            }
            // A new connection for limits says that the store is back.
            let found = self.store.redis.renewed_for(key.as_bytes());
            let _ = tokio::time::timeout(pauses.next(), found).await;
        }
    }

    /// Returns when the connection has ended, or the stream has lost what was read of it, as
    /// after `FLUSHALL` or `XTRIM`.
    async fn listen(&self, position: &mut Position, pauses: &mut Pauses) -> Result<(), Failure> {
        let key = key_of(&self.store);
        let mut connection = self.store.redis.dedicated(key.as_bytes()).await?;
        let is_first = position.last.is_none();
        let from = position.last.as_deref().map_or_else(|| "-".to_owned(), earlier);
        let seen = position.last.as_deref().filter(|seen| *seen != EMPTY);
        let mut first = first_of(&mut connection, &key).await?;
        let (mut found, mut last) = self.read_again(&mut connection, &key, from).await?;
        let is_cut = self.is_cut(position, first.as_deref());
        let has_lost = is_cut || seen.is_some_and(|seen| !found.ids.contains(seen));
        if has_lost {
            // The first replica says what is missing, and the others find it.
            tokio::time::sleep(Pauses::new(LOSS_PAUSE, LOSS_PAUSE).next()).await;
            first = first_of(&mut connection, &key).await?;
            (found, last) = self.read_again(&mut connection, &key, "-".to_owned()).await?;
        }
        self.say_again(is_first || has_lost, &found.lines);
        pauses.reset();
        // After a failover, ids may begin again below those seen.
        let mut last = last.unwrap_or_else(|| EMPTY.to_owned());
        *position = Position { first, last: Some(last.clone()) };
        self.read.0.store(true, Ordering::Release);
        self.read.1.notify_waiters();
        let mut looked = Instant::now();
        loop {
            let mut listen = redis::cmd("XREAD");
            listen.arg("COUNT").arg(BATCH).arg("BLOCK").arg(BLOCK.as_millis().to_string());
            listen.arg("STREAMS").arg(&key).arg(&last);
            let answer = ask(&mut connection, &listen).await?;
            for (id, line) in entries_of_streams(&answer) {
                self.hear(&id, &line, true);
                position.first.get_or_insert_with(|| id.clone());
                last = id;
            }
            position.last = Some(last.clone());
            if last != EMPTY && looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                let mut look = redis::cmd("XRANGE");
                look.arg(&key).arg(&last).arg(&last).arg("COUNT").arg(1);
                let is_there = !entries_of(&ask(&mut connection, &look).await?).is_empty();
                let first = first_of(&mut connection, &key).await?;
                if !is_there || self.is_cut(position, first.as_deref()) {
                    return Ok(());
                }
            }
        }
    }

    /// Whether the stream has lost its first entry, other than by its age.
    fn is_cut(&self, position: &Position, first: Option<&str>) -> bool {
        let before = position.first.as_deref().filter(|before| Some(*before) != first);
        let at = before.and_then(milliseconds);
        at.is_some_and(|at| at.saturating_add(KEPT_MS) > self.clock.now().unix_ms())
    }

    /// Reads the stream from an id to its end: the entries found and the last id.
    async fn read_again(
        &self,
        connection: &mut MultiplexedConnection,
        key: &str,
        mut from: String,
    ) -> Result<(Found, Option<String>), Failure> {
        // Asked for first: what is added meanwhile comes after it, and is heard in any case.
        let newest = redis::cmd("XREVRANGE").arg(key).arg("+").arg("-").arg("COUNT").arg(1).take();
        let newest = entries_of(&ask(connection, &newest).await?).into_iter().next();
        let mut found = Found::default();
        let mut last = newest.map(|(id, _)| id);
        loop {
            let mut range = redis::cmd("XRANGE");
            range.arg(key).arg(&from).arg("+").arg("COUNT").arg(BATCH);
            let answer = ask(connection, &range).await?;
            let entries = entries_of(&answer);
            let is_last = entries.len() < BATCH;
            for (id, line) in entries {
                self.hear(&id, &line, false);
                found.lines.insert(line);
                from = format!("({id}");
                last = Some(id.clone());
                found.ids.insert(id);
            }
            if is_last {
                break;
            }
        }
        Ok((found, last))
    }

    /// At first, and after a loss, everything that is known here and not there: from the file,
    /// from before there was a store, or from others; else what this process has said lately
    /// and nothing has replaced since.
    fn say_again(&self, is_all: bool, found: &HashSet<String>) {
        let now_ms = self.clock.now().unix_ms();
        let known = if is_all { (self.known.entries)() } else { self.recent.all(now_ms) };
        let is_missing = |entry: &Entry| {
            entry.at_ms.saturating_add(KEPT_MS) > now_ms
                && !found.contains(&entry.line())
                && (self.known.is_latest)(entry)
        };
        let missing: Vec<_> = known.into_iter().filter(is_missing).collect();
        if !missing.is_empty() {
            tracing::info!(entries = missing.len(), "revocations are added to the shared store");
        }
        for entry in missing {
            // Full means that the store is behind; the next connection tries again.
            let _ = self.work.try_send(Work::Add(entry));
        }
    }

    fn hear(&self, id: &str, line: &str, is_news: bool) {
        let Some(entry) = Entry::read(line) else { return };
        let now = self.clock.now();
        if is_news && let Some(at) = milliseconds(id) {
            self.store.counts.set_stream_lag(now.unix_ms().saturating_sub(at));
        }
        (self.known.hear)(entry, now);
    }
}

async fn ask(
    connection: &mut MultiplexedConnection,
    command: &redis::Cmd,
) -> Result<Value, Failure> {
    let asked = tokio::time::timeout(SILENCE, command.query_async::<Value>(connection)).await;
    match asked {
        Ok(answer) => answer.map_err(|error| Failure::from(&error)),
        Err(_) => Err(Failure::TimedOut),
    }
}

/// The id of the stream's first entry.
async fn first_of(
    connection: &mut MultiplexedConnection,
    key: &str,
) -> Result<Option<String>, Failure> {
    let first = redis::cmd("XRANGE").arg(key).arg("-").arg("+").arg("COUNT").arg(1).take();
    let answer = ask(connection, &first).await?;
    Ok(entries_of(&answer).into_iter().next().map(|(id, _)| id))
}

fn milliseconds(id: &str) -> Option<u64> {
    id.split_once('-')?.0.parse().ok()
}

/// Some minutes before an id.
fn earlier(id: &str) -> String {
    milliseconds(id).unwrap_or(0).saturating_sub(AGAIN_MS).to_string()
}

/// `[[id, [field, value, …]], …]`: ids, and the value of our one field.
fn entries_of(answer: &Value) -> Vec<(String, String)> {
    let Value::Array(entries) = answer else { return Vec::new() };
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    let read = |entry: &Value| {
        let Value::Array(parts) = entry else { return None };
        let [id, Value::Array(fields)] = parts.as_slice() else { return None };
        Some((text(id)?, fields.get(1).and_then(text).unwrap_or_default()))
    };
    entries.iter().filter_map(read).collect()
}

/// `[[key, entries]]`, or nothing after silence.
fn entries_of_streams(answer: &Value) -> Vec<(String, String)> {
    let Value::Array(streams) = answer else { return Vec::new() };
    let of_stream = |stream: &Value| match stream {
        Value::Array(parts) => parts.get(1).map(entries_of).unwrap_or_default(),
        _ => Vec::new(),
    };
    streams.iter().flat_map(of_stream).collect()
}
