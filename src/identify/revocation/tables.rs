//! Everything revoked, as far as this process knows: in memory, and bounded.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::entry::{Entry, KEPT_MS, What};
use crate::base::clock::Now;
use crate::base::digest::Digest;

/// Most entries of each table, at about 100 bytes each.
pub(super) const MAX_ENTRIES: u64 = 100_000;
/// Browsers keep no cookie longer.
const KEPT: Duration = Duration::from_millis(KEPT_MS);
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
            any: AtomicBool::new(false),
            version: AtomicU64::new(0),
        }
    }

    pub(super) fn apply(&self, entry: Entry, now: Now) {
        let Entry { what, mark, at_ms } = entry;
        match what {
            What::SessionReadmitted => self.signed_out.invalidate(&mark),
            What::SessionRevoked => self.revoked.insert(mark, at_ms),
            What::SessionSignedOut => {
                self.signed_out.insert(mark, SignedOut { at_ms, learned: now.ticks() });
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
            What::SessionReadmitted => !self.signed_out.contains_key(mark),
            What::SessionRevoked => self.revoked.contains_key(mark),
            What::SessionSignedOut => self.signed_out.contains_key(mark),
            What::SignedIn => self.signed_in.get(mark).is_some_and(|known| known.at_ms >= *at_ms),
            What::UserPardoned => !self.users.contains_key(mark),
            What::UserRevoked => self.users.get(mark).is_some_and(|known| known >= *at_ms),
        }
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
        revoked.chain(signed_out).chain(signed_in).chain(users).collect()
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
mod tests {
    use super::*;

    fn mark(number: u64) -> Digest {
        Digest::new(&number.to_be_bytes())
    }

    fn apply(tables: &Tables, what: What, number: u64) {
        let now = Now::at(1000).plus(Duration::from_millis(number));
        tables.apply(Entry { what, mark: mark(number), at_ms: now.unix_ms() }, now);
    }

    #[test]
    fn no_number_of_sign_ins_and_sign_outs_pushes_out_what_the_operator_revoked() {
        let tables = Tables::with_room_for(100);
        (0..50).for_each(|number| apply(&tables, What::SessionRevoked, number));
        (0..50).for_each(|number| apply(&tables, What::UserRevoked, number));
        for number in 1_000..20_000 {
            apply(&tables, What::SignedIn, number);
            apply(&tables, What::SessionSignedOut, number);
        }
        for table in [&tables.revoked, &tables.users] {
            table.run_pending_tasks();
            assert_eq!((0..50).filter(|&number| table.contains_key(&mark(number))).count(), 50);
        }
        tables.signed_out.run_pending_tasks();
        assert!(tables.signed_out.entry_count() <= 100, "and their own table is bounded");
    }

    #[test]
    fn a_readmission_lifts_a_sign_out_and_no_revocation() {
        let tables = Tables::default();
        for what in [What::SessionRevoked, What::SessionSignedOut, What::SessionReadmitted] {
            apply(&tables, what, 1);
        }
        assert!(tables.ended_by(&mark(1)) == Some(RevokedBy::Operator));
        for what in [What::SessionSignedOut, What::SessionReadmitted] {
            apply(&tables, what, 2);
        }
        assert!(tables.ended_by(&mark(2)).is_none());
    }
}
