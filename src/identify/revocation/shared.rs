//! Revocations, sent to all replicas and received from them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::entry::Entry;
use super::revoked::Revoked;
use super::stream::{KnownRevocations, Stream};
use super::stream_work::{Settled, Work};
use crate::base::clock::{Clock, Now};
use crate::outbound::redis::SharedStore;

/// Longest wait for the shared store to have an event.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);

impl Revoked {
    pub(super) fn publish(&self, entry: Entry) {
        if let Some(stream) = &*self.stream.lock()
            && stream.work.try_send(Work::Add(entry)).is_err()
        {
            tracing::error!("too many revocations wait for the shared store");
        }
    }

    /// Sends and receives every event through this store from now on, or through none.
    pub(crate) fn share(self: &Arc<Self>, over: Option<(&Arc<SharedStore>, Clock, &Handle)>) {
        let stream = over.map(|(store, clock, runtime)| {
            let [told, asked, hearing] = std::array::from_fn(|_| Arc::downgrade(self));
            let known = KnownRevocations {
                entries: Box::new(move || {
                    told.upgrade().map_or_else(Vec::new, |all| all.entries())
                }),
                is_latest: Box::new(move |entry| {
                    asked.upgrade().is_some_and(|all| all.tables.is_latest(entry))
                }),
                hear: Box::new(move |entry, now| {
                    if let Some(all) = hearing.upgrade() {
                        all.hear(entry, now);
                    }
                }),
            };
            Stream::start(known, store, clock, runtime)
        });
        *self.stream.lock() = stream;
    }

    /// How far all events until now have come, if there is a shared store.
    pub(crate) async fn settled(&self) -> Option<Settled> {
        let work = self.stream.lock().as_ref().map(|stream| stream.work.clone())?;
        let (done, settled) = oneshot::channel();
        let sent = work.try_send(Work::Settle(done)).is_ok();
        let settled = tokio::time::timeout(SETTLED_WITHIN, settled).await;
        Some(if sent {
            settled.ok().and_then(Result::ok).unwrap_or(Settled::Here)
        } else {
            Settled::Here
        })
    }

    /// Waits until the entries of other replicas are known here.
    pub(crate) async fn is_heard(&self) {
        let heard = self.stream.lock().as_ref().map(Stream::is_read);
        if let Some(heard) = heard {
            heard.await;
        }
    }

    /// The previous process has told what it knows, and lacked nothing itself.
    pub(crate) fn restored(&self) {
        self.tables.is_restored.store(true, Ordering::Release);
    }

    /// Serving begins before the stream was read: what other replicas revoked is missing
    /// until then, unless a file or the previous process knew it.
    pub(crate) fn begin_without_others(&self) {
        let is_restored = self.tables.is_restored.load(Ordering::Acquire);
        self.lacks_others.store(!is_restored, Ordering::Release);
    }

    /// Whether this process lacks what other replicas had revoked before it began to serve.
    pub(crate) fn lacks_others(&self) -> bool {
        if self.stream.lock().as_ref().is_none_or(Stream::has_read) {
            self.lacks_others.store(false, Ordering::Release);
        }
        self.lacks_others.load(Ordering::Acquire)
    }

    /// All that holds now.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.tables.entries()
    }

    /// Adds an entry from the shared store.
    pub(super) fn hear(&self, entry: Entry, now: Now) {
        if !self.tables.apply(entry, now) {
            return;
        }
        if let Some(journal) = self.journal.get() {
            journal.append(entry);
        }
        self.followers.lock().retain(|follower| follower.try_send(entry).is_ok());
    }
}
