//! Keeps a flood of made-up session ids from starving the users who are signed in.
//!
//! An id without a signature costs an attacker nothing, and each new one is a question
//! to the app or its store. So questions about ids that were valid before go out at
//! once, while all others share a few places, and an address that has failed with too
//! many different ids has to wait.
//!
//! Bounded: ids seen valid, ids that have failed, and addresses, each in its own table.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::clock::Now;
use crate::base::digest::{Digest, DigestBuildHasher, Kind, Mark};
use crate::base::host::subscriber;
use crate::base::lock::Lock;
use crate::base::units::Rate;
use crate::limit::{Limit, Limits};
use crate::session::{Identity, Refused, Unanswered};

/// Questions about unknown ids that one kind of session has under way at once.
const NEWCOMERS: usize = 32;
/// Longest wait for one of these places.
const PATIENCE: Duration = Duration::from_secs(1);
/// Different ids that an address may fail with, at once and per minute. An office full of
/// expired sessions stays far below it.
const FAILURES: u32 = 600;
/// Time for which an id that has failed is not counted again.
const FAILURE_KEPT: Duration = Duration::from_secs(60);
/// Time for which an id counts as known after it was last found valid.
const KNOWN_KEPT: Duration = Duration::from_secs(12 * 60 * 60);
/// Most ids in each of the two tables, at about 100 bytes each.
const IDS: u64 = 100_000;
/// Most addresses with a count.
const ADDRESSES: usize = 64 * 1024;

/// Recent questions: the ids, and the addresses they came from.
pub(super) struct Questions {
    known: sync::Cache<Digest, (), DigestBuildHasher>,
    failed: sync::Cache<Digest, (), DigestBuildHasher>,
    failures: Limits,
    limit: Limit,
    /// By kind, so that one slow store does not hold up another.
    newcomers: Lock<HashMap<&'static str, Arc<Semaphore>>>,
    /// Questions that were not asked, for the metrics.
    held_back: AtomicU64,
}

/// An id of a request, and where it comes from.
#[derive(Clone, Copy)]
pub(super) struct Id {
    /// `None` cannot be told from others: always a newcomer.
    pub(super) key: Option<Digest>,
    pub(super) kind: &'static str,
    /// `None` is not counted: a Unix socket, or the operator.
    pub(super) from: Option<IpAddr>,
}

impl Default for Questions {
    fn default() -> Self {
        let ids = |kept| {
            sync::Cache::builder()
                .max_capacity(IDS)
                .time_to_live(kept)
                .build_with_hasher(DigestBuildHasher::default())
        };
        let rate = Rate {
            count: NonZeroU32::new(FAILURES).unwrap_or(NonZeroU32::MIN),
            window: Duration::from_secs(60),
        };
        Self {
            known: ids(KNOWN_KEPT),
            failed: ids(FAILURE_KEPT),
            failures: Limits::with_capacity(ADDRESSES),
            limit: Limit::new("unknown ids", &[rate]),
            newcomers: Lock::default(),
            held_back: AtomicU64::new(0),
        }
    }
}

impl Questions {
    /// Asks, as soon as this id may be asked about, and learns from the answer.
    pub(super) async fn ask(
        &self,
        id: Id,
        ask: impl Future<Output = Result<Identity, Refused>>,
        now: Now,
    ) -> Result<Identity, Refused> {
        let place = if self.is_known(id) {
            None
        } else {
            Some(self.place(id, now).await.inspect_err(|_| {
                self.held_back.fetch_add(1, Ordering::Relaxed);
            })?)
        };
        let answer = ask.await;
        drop(place);
        match &answer {
            Ok(_) => self.was_valid(id),
            Err(Refused::Rejected(_)) => self.has_failed(id, now),
            Err(Refused::Unanswered(_)) => {}
        }
        answer
    }

    /// Questions that were not asked.
    pub(super) fn held_back(&self) -> u64 {
        self.held_back.load(Ordering::Relaxed)
    }

    fn is_known(&self, id: Id) -> bool {
        id.key.is_some_and(|key| self.known.contains_key(&key))
    }

    fn was_valid(&self, id: Id) {
        if let Some(key) = id.key {
            self.known.insert(key, ());
        }
    }

    fn has_failed(&self, id: Id, now: Now) {
        if let Some(key) = id.key {
            self.known.invalidate(&key);
            if self.failed.contains_key(&key) {
                return;
            }
            self.failed.insert(key, ());
        }
        if let Some(from) = id.from {
            // Over the limit it is held back already.
            let _ = self.failures.take(&self.limit, self.limit.bucket(mark(from)), now);
        }
    }

    /// A place among the questions about unknown ids.
    async fn place(&self, id: Id, now: Now) -> Result<OwnedSemaphorePermit, Refused> {
        let has_failed = id.key.is_some_and(|key| self.failed.contains_key(&key));
        if let (Some(from), false) = (id.from, has_failed) {
            let bucket = self.limit.bucket(mark(from));
            self.failures.look(&self.limit, bucket, now).map_err(|exceeded| {
                wait("too many unknown session ids from this address", exceeded.retry_after)
            })?;
        }
        let places = {
            let mut newcomers = self.newcomers.lock();
            newcomers.entry(id.kind).or_insert_with(|| Arc::new(Semaphore::new(NEWCOMERS))).clone()
        };
        let place = tokio::time::timeout(PATIENCE, places.acquire_owned()).await;
        let busy = || wait("too many unknown session ids at once", PATIENCE);
        // The semaphore is never closed, so it grants a place in the end.
        place.map_err(|_| busy())?.map_err(|_| busy())
    }
}

fn wait(detail: &str, retry_after: Duration) -> Refused {
    let retry_after = Some(retry_after.max(PATIENCE));
    Refused::Unanswered(Unanswered { detail: detail.to_owned(), retry_after })
}

fn mark(address: IpAddr) -> Mark {
    Mark::new(Kind::Address, &subscriber(address).to_string())
}

#[cfg(test)]
mod tests;
