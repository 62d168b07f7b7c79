//! Everything revoked, as far as this process knows: in memory, and bounded.
//!
//! Entries arrive late, twice and in any order: a replica that was cut off repeats its own,
//! and several processes write to one file. So the latest word on each session and user
//! counts, and of two from the same time the revocation. What takes a revocation back is
//! remembered with its time too, or an earlier revocation would return with every repetition.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::entry::{Entry, KEPT_MS, What};
use crate::base::clock::Now;
use crate::base::digest::Digest;
use crate::base::lock::Lock;

/// Most entries of each table, at about 100 bytes each.
pub(super) const MAX_ENTRIES: u64 = 100_000;
/// Browsers keep no cookie longer.
const KEPT: Duration = Duration::from_millis(KEPT_MS);
/// Clocks of replicas may differ by this much.
const CLOCKS_APART_MS: u64 = 60 * 1000;
/// The origin of a session's end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RevokedBy {
    App,
    Operator,
}

/// A session that the app has signed out.
#[derive(Clone, Copy)]
pub(super) struct SignedOut {
    /// In milliseconds since the epoch.
    pub(super) at_ms: u64,
    /// On this process's own clock: when it learned of it.
    pub(super) learned: Duration,
}

/// A session that the app itself began with a new cookie, not one that merely arrived.
#[derive(Clone, Copy)]
pub(super) struct SignIn {
    /// In milliseconds since the epoch.
    pub(super) at_ms: u64,
    /// Whether the file has it: most belong to no session.
    pub(super) is_told: bool,
}

/// One table per fact about a session or a user, keyed by their digests. Each table has
/// its own bound, so a user who signs in and out many times pushes out nothing that the
/// operator revoked.
pub(super) struct Tables {
    /// When the operator revoked each session, in milliseconds since the epoch.
    pub(super) revoked: Cache<Digest, u64>,
    pub(super) signed_out: Cache<Digest, SignedOut>,
    /// Sessions that the app began while some user was revoked.
    pub(super) signed_in: Cache<Digest, SignIn>,
    /// When each user was revoked, in milliseconds since the epoch.
    pub(super) users: Cache<Digest, u64>,
    /// When each sign-out was taken back that is not in force, and each user's revocation.
    readmitted: Cache<Digest, u64>,
    pardoned: Cache<Digest, u64>,
    /// Held while an entry is compared with what is known and takes its place.
    writing: Lock<()>,
    /// Whether a file or the previous process said what was revoked before the start.
    pub(super) is_restored: AtomicBool,
    /// Whether there is any entry: usually not, and then no mark is computed.
    pub(super) any: AtomicBool,
    /// Changes with every entry.
    pub(super) version: AtomicU64,
}

impl Default for Tables {
    fn default() -> Self {
        Self::with_room_for(MAX_ENTRIES)
    }
}

fn bounded<V: Clone + Send + Sync + 'static>(entries: u64) -> Cache<Digest, V> {
    Cache::builder()
        .max_capacity(entries)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_live(KEPT)
        .build()
}

impl Tables {
    /// With room for so many entries in each table.
    pub(super) fn with_room_for(entries: u64) -> Self {
        Self {
            revoked: bounded(entries),
            signed_out: bounded(entries),
            signed_in: bounded(entries),
            users: bounded(entries),
            readmitted: bounded(entries),
            pardoned: bounded(entries),
            writing: Lock::default(),
            is_restored: AtomicBool::new(false),
            any: AtomicBool::new(false),
            version: AtomicU64::new(0),
        }
    }

    /// Takes an entry in that comes from elsewhere; false if it says nothing new.
    pub(super) fn apply(&self, entry: Entry, now: Now) -> bool {
        let _one_at_a_time = self.writing.lock();
        let is_news = !self.knows(&entry);
        if is_news {
            self.set(entry, now);
        }
        is_news
    }

    /// As `apply`, of what a file or the previous process knows.
    pub(super) fn restore(&self, entry: Entry, now: Now) {
        self.is_restored.store(true, Ordering::Release);
        self.apply(entry, now);
    }

    /// Takes in what happens here, as the latest word on everything known here: another
    /// replica's clock may be ahead. Returns the entry with the time that says so.
    pub(super) fn say(&self, entry: Entry, now: Now) -> Entry {
        let _one_at_a_time = self.writing.lock();
        let (said, lifted) = self.times(&entry);
        let after_known = said.map(|said| said.saturating_add(1)).max(lifted).unwrap_or(0);
        let at_ms = match entry.what {
            // What is taken back without being known may be later, unless it is older than
            // clocks can differ.
            What::SessionReadmitted | What::UserPardoned => {
                entry.at_ms.saturating_sub(CLOCKS_APART_MS).max(after_known)
            }
            What::SessionRevoked | What::SessionSignedOut | What::UserRevoked => {
                entry.at_ms.max(after_known)
            }
            // Never taken back, and its time is what counts.
            What::SignedIn => entry.at_ms,
        };
        let entry = Entry { at_ms, ..entry };
        self.set(entry, now);
        entry
    }

    fn set(&self, entry: Entry, now: Now) {
        let Entry { what, mark, at_ms } = entry;
        match what {
            What::SessionReadmitted => {
                self.readmitted.insert(mark, at_ms);
                self.signed_out.invalidate(&mark);
            }
            What::SessionRevoked => self.revoked.insert(mark, at_ms),
            What::SessionSignedOut => {
                self.signed_out.insert(mark, SignedOut { at_ms, learned: now.ticks() });
                self.readmitted.invalidate(&mark);
            }
            What::SignedIn => self.signed_in.insert(mark, SignIn { at_ms, is_told: true }),
            What::UserPardoned => {
                self.pardoned.insert(mark, at_ms);
                self.users.invalidate(&mark);
            }
            What::UserRevoked => {
                self.users.insert(mark, at_ms);
                self.pardoned.invalidate(&mark);
            }
        }
        self.version.fetch_add(1, Ordering::AcqRel);
        if !what.lifts() {
            self.any.store(true, Ordering::Release);
        }
    }

    /// When an entry of its kind was last said of the same session or user, if that is in
    /// force, and when it was taken back, if that is.
    fn times(&self, entry: &Entry) -> (Option<u64>, Option<u64>) {
        let mark = &entry.mark;
        match entry.what {
            What::SessionReadmitted | What::SessionSignedOut => {
                let said = self.signed_out.get(mark).map(|out| out.at_ms);
                (said, self.readmitted.get(mark))
            }
            What::SessionRevoked => (self.revoked.get(mark), None),
            What::SignedIn => (self.signed_in.get(mark).map(|known| known.at_ms), None),
            What::UserPardoned | What::UserRevoked => {
                (self.users.get(mark), self.pardoned.get(mark))
            }
        }
    }

    /// Whether this entry, or a later word on the same session or user, is known.
    fn knows(&self, entry: &Entry) -> bool {
        let (said, lifted) = self.times(entry);
        let at = Some(entry.at_ms);
        said >= at || if entry.what.lifts() { lifted >= at } else { lifted > at }
    }

    /// Whether an entry is the latest word on its session or user.
    pub(super) fn is_latest(&self, entry: &Entry) -> bool {
        let (said, lifted) = self.times(entry);
        let latest = if entry.what.lifts() { said.xor(lifted) } else { said };
        latest == Some(entry.at_ms)
    }

    /// The entries that give another process the same tables.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let entry = |what, mark: &Digest, at_ms| Entry { what, mark: *mark, at_ms };
        let revoked = self.revoked.iter();
        let revoked = revoked.map(|(mark, at)| entry(What::SessionRevoked, &mark, at));
        let signed_out = self.signed_out.iter();
        let signed_out =
            signed_out.map(|(mark, out)| entry(What::SessionSignedOut, &mark, out.at_ms));
        let signed_in = self.signed_in.iter();
        let signed_in = signed_in.map(|(mark, at)| entry(What::SignedIn, &mark, at.at_ms));
        let users = self.users.iter().map(|(mark, at)| entry(What::UserRevoked, &mark, at));
        // Lifts come last: where room runs out, the file can do without them.
        let readmitted = self.readmitted.iter();
        let readmitted = readmitted.map(|(mark, at)| entry(What::SessionReadmitted, &mark, at));
        let pardoned = self.pardoned.iter();
        let pardoned = pardoned.map(|(mark, at)| entry(What::UserPardoned, &mark, at));
        let in_force = revoked.chain(signed_out).chain(signed_in).chain(users);
        in_force.chain(readmitted).chain(pardoned).collect()
    }

    /// The origin of its end, if a session is over.
    pub(super) fn ended_by(&self, mark: &Digest) -> Option<RevokedBy> {
        if self.revoked.contains_key(mark) {
            return Some(RevokedBy::Operator);
        }
        self.signed_out.contains_key(mark).then_some(RevokedBy::App)
    }
}

#[cfg(test)]
mod tests;
