//! When the app may have changed a session that is kept on its side: signed somebody in
//! or out under the same id. What its store said before counts no more.
//!
//! Times, and not only an entry less: a question that is under way at that moment may
//! bring the old state, and is compared when its answer is there.

use std::time::Duration;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::base::clock::Now;
use crate::base::digest::{Digest, DigestBuildHasher};

/// Most sessions whose last change is known. A time is needed for as long as a question may
/// be under way, so those of some seconds are enough.
const SESSIONS: u64 = 20_000;
/// For how many there is room from the start.
const USUAL: usize = 500;

pub(super) struct Changes(Cache<Digest, Duration, UnitWeighter, DigestBuildHasher>);

impl Default for Changes {
    fn default() -> Self {
        let (hasher, lifecycle) = (DigestBuildHasher::default(), DefaultLifecycle::default());
        Self(Cache::with(USUAL, SESSIONS, UnitWeighter, hasher, lifecycle))
    }
}

impl Changes {
    /// The session may have changed at any time until `until`.
    pub(super) fn note(&self, key: Digest, until: Now) {
        self.0.insert(key, until.ticks());
    }

    /// Whether what a question brought that was begun at `begun` may be out of date.
    pub(super) fn may_follow(&self, key: &Digest, begun: Duration) -> bool {
        self.0.get(key).is_some_and(|changed| changed >= begun)
    }
}
