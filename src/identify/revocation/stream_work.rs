//! Messages between the two tasks of the stream. No I/O.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::entry::{Entry, KEPT_MS};
use crate::base::lock::Lock;
use crate::outbound::redis::SharedStore;

/// Entries to read again, and perhaps write again, after a new connection.
pub(super) const AGAIN_MS: u64 = 10 * 60 * 1000;
/// Entries that wait for the store: as many as are remembered at all.
pub(super) const MOST_WAITING: usize = 100_000;

/// Work for the task that writes.
pub(super) enum Work {
    Add(Entry),
    /// Receives the outcome of everything before it.
    Settle(oneshot::Sender<Settled>),
}

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Not in the stream yet.
    Here,
    InStream,
    /// In the stream, and no replica of the store has confirmed it.
    OnOneServer,
}

/// Entries this process wrote lately, each with the time when it did.
#[derive(Default)]
pub(super) struct RecentEntries(Lock<VecDeque<(u64, Entry)>>);

impl RecentEntries {
    pub(super) fn push(&self, entry: Entry, now_ms: u64) {
        let mut entries = self.0.lock();
        entries.push_back((now_ms, entry));
        while entries.len() > MOST_WAITING {
            entries.pop_front();
        }
        drop_old(&mut entries, now_ms);
    }

    pub(super) fn all(&self, now_ms: u64) -> Vec<Entry> {
        let mut entries = self.0.lock();
        drop_old(&mut entries, now_ms);
        entries.iter().map(|(_, entry)| *entry).collect()
    }
}

fn drop_old(entries: &mut VecDeque<(u64, Entry)>, now_ms: u64) {
    while entries.front().is_some_and(|(at, _)| at.saturating_add(AGAIN_MS) < now_ms) {
        entries.pop_front();
    }
}

/// The name of the stream.
pub(super) fn key_of(store: &SharedStore) -> String {
    store.key("revocations")
}

/// The smallest id that is kept at a time.
pub(super) fn oldest_kept(now_ms: u64) -> String {
    now_ms.saturating_sub(KEPT_MS).to_string()
}
