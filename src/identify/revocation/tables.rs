//! Everything revoked, as far as this process knows: in memory, and bounded.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::entry::{Entry, KEPT_MS, What};
use crate::base::clock::Now;
use crate::base::digest::Digest;

/// Most sessions and users remembered, at about 100 bytes each.
pub(super) const MAX_ENTRIES: u64 = 100_000;
/// Browsers keep no cookie longer.
const KEPT: Duration = Duration::from_millis(KEPT_MS);
/// Who ended a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RevokedBy {
    App,
    Operator,
}

#[derive(Clone, Copy)]
pub(super) struct Ended {
    pub(super) by: RevokedBy,
    /// In milliseconds since the epoch.
    pub(super) at_ms: u64,
    /// On this process's own clock: when it learned of it.
    pub(super) learned: Duration,
}

/// A session that the app began with a cookie of its own, not one that merely came.
#[derive(Clone, Copy)]
pub(super) struct SignIn {
    /// In milliseconds since the epoch.
    pub(super) at_ms: u64,
    /// Whether the file has it: most turn out to be nobody's.
    pub(super) is_told: bool,
}

/// By what is known of a session or a user, the digests of which are the keys.
pub(super) struct Tables {
    pub(super) sessions: Cache<Digest, Ended>,
    /// Sessions that the app began while some user was revoked.
    pub(super) signed_in: Cache<Digest, SignIn>,
    /// When each user was revoked, in milliseconds since the epoch.
    pub(super) users: Cache<Digest, u64>,
    /// Whether there is any entry: usually not, and then no mark is computed.
    pub(super) any: AtomicBool,
    /// Changes with every entry.
    pub(super) version: AtomicU64,
}

impl Default for Tables {
    fn default() -> Self {
        let (sessions, signed_in, users) = (bounded(), bounded(), bounded());
        Self { sessions, signed_in, users, any: AtomicBool::new(false), version: AtomicU64::new(0) }
    }
}

fn bounded<V: Clone + Send + Sync + 'static>() -> Cache<Digest, V> {
    Cache::builder()
        .max_capacity(MAX_ENTRIES)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_live(KEPT)
        .build()
}

impl Tables {
    pub(super) fn apply(&self, entry: Entry, now: Now) {
        let Entry { what, mark, at_ms } = entry;
        let end = |by| Ended { by, at_ms, learned: now.ticks() };
        match what {
            What::SessionReadmitted => {
                if self.sessions.get(&mark).is_some_and(|ended| ended.by == RevokedBy::App) {
                    self.sessions.invalidate(&mark);
                }
            }
            What::SessionRevoked => self.sessions.insert(mark, end(RevokedBy::Operator)),
            What::SessionSignedOut => {
                let before = self.sessions.get(&mark);
                if before.is_none_or(|ended| ended.by == RevokedBy::App) {
                    self.sessions.insert(mark, end(RevokedBy::App));
                }
            }
            What::SignedIn => self.signed_in.insert(mark, SignIn { at_ms, is_told: true }),
            What::UserPardoned => self.users.invalidate(&mark),
            What::UserRevoked => {
                let before = self.users.get(&mark).unwrap_or(0);
                self.users.insert(mark, before.max(at_ms));
            }
        }
        self.version.fetch_add(1, Ordering::AcqRel);
        if !what.lifts() {
            self.any.store(true, Ordering::Release);
        }
    }

    pub(super) fn knows(&self, entry: &Entry) -> bool {
        let Entry { what, mark, at_ms } = entry;
        match what {
            What::SessionReadmitted => !self.sessions.contains_key(mark),
            What::SessionRevoked => {
                self.sessions.get(mark).is_some_and(|ended| ended.by == RevokedBy::Operator)
            }
            What::SessionSignedOut => self.sessions.contains_key(mark),
            What::SignedIn => self.signed_in.get(mark).is_some_and(|known| known.at_ms >= *at_ms),
            What::UserPardoned => !self.users.contains_key(mark),
            What::UserRevoked => self.users.get(mark).is_some_and(|known| known >= *at_ms),
        }
    }

    /// The entries that give another process the same tables.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let entry = |what, mark: &Digest, at_ms| Entry { what, mark: *mark, at_ms };
        let sessions = self.sessions.iter().map(|(mark, ended)| match ended.by {
            RevokedBy::App => entry(What::SessionSignedOut, &mark, ended.at_ms),
            RevokedBy::Operator => entry(What::SessionRevoked, &mark, ended.at_ms),
        });
        let signed_in = self.signed_in.iter();
        let signed_in = signed_in.map(|(mark, at)| entry(What::SignedIn, &mark, at.at_ms));
        let users = self.users.iter().map(|(mark, at)| entry(What::UserRevoked, &mark, at));
        sessions.chain(signed_in).chain(users).collect()
    }
}
