//! Admissions that a replica has taken ahead and hands out by itself.
//!
//! A leased admission is used up at the store already, so a lease can only admit less than
//! the limit, never more: it is good for a second, and the store counts with a tolerance
//! that is a second shorter (`Limit::push_microseconds`), so that an admission used late
//! and one that has become free since do not come together. What is left of a lease is
//! given back with the user's next request, less what the bucket has filled with since.

use std::collections::HashMap;
use std::time::Duration;

use super::gcra::{Arrivals, BucketKey, Limit};
use super::setting::LEASED_FOR;
use crate::base::clock::Now;
use crate::base::lock::Lock;

/// Leases longer ago than this are not given back: the store may have lost their bucket.
const KEPT: Duration = Duration::from_secs(60);
const SHARDS: usize = 16;
/// Most leases of one shard; without room, every request asks the store.
const MOST: usize = 4096;

/// The leases of this process.
pub(super) struct Leases(Vec<Lock<HashMap<BucketKey, Lease>>>);

/// Admissions left of one that was taken at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    left: u32,
    ahead: Arrivals,
    since: Duration,
    /// Per rate, in nanoseconds of this process's clock, when the bucket is full if nobody
    /// else takes from it.
    full_at: Arrivals,
}

impl Lease {
    /// Nanoseconds to give back per rate. The bucket has refilled since the lease was taken;
    /// giving that part back as well would hand out what others have used.
    pub(super) fn unused(self, limit: &Limit, now: Now) -> Arrivals {
        let mut back = Arrivals::default();
        if now.ticks().saturating_sub(self.since) >= KEPT {
            return back;
        }
        // The question takes a moment, in which the bucket fills further.
        let then = nanoseconds(now.ticks().saturating_add(LEASED_FOR));
        let rates = self.full_at.into_iter().zip(limit.microseconds());
        for (back, (full_at, (interval, _))) in back.iter_mut().zip(rates) {
            let unused = u64::from(self.left).saturating_mul(interval).saturating_mul(1000);
            *back = unused.min(full_at.saturating_sub(then));
        }
        back
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Default for Leases {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Lock::default()).collect())
    }
}

impl Leases {
    /// Takes `cost` from a lease; else the lease is over, and what is left of it is told.
    pub(super) fn take(
        &self,
        key: BucketKey,
        cost: u32,
        now: Now,
    ) -> Result<Arrivals, Option<Lease>> {
        let Some(shard) = self.0.get(key.shard::<SHARDS>()) else { return Err(None) };
        let mut shard = shard.lock();
        let Some(lease) = shard.get_mut(&key) else { return Err(None) };
        let age = now.ticks().saturating_sub(lease.since);
        if age < LEASED_FOR && lease.left >= cost {
            lease.left -= cost;
            return Ok(lease.ahead);
        }
        Err(shard.remove(&key))
    }

    /// Whether a lease has something left.
    pub(super) fn has_left(&self, key: BucketKey, now: Now) -> bool {
        let Some(shard) = self.0.get(key.shard::<SHARDS>()) else { return false };
        let is_good =
            |lease: &Lease| lease.left > 0 && now.ticks().saturating_sub(lease.since) < LEASED_FOR;
        shard.lock().get(&key).is_some_and(is_good)
    }

    /// Gives back a part that was taken and is not used after all.
    pub(super) fn give(&self, key: BucketKey, cost: u32) {
        let Some(shard) = self.0.get(key.shard::<SHARDS>()) else { return };
        // Without the lease, it is lost: less is admitted.
        if let Some(lease) = shard.lock().get_mut(&key) {
            lease.left = lease.left.saturating_add(cost);
        }
    }

    /// A lease that was over and has not been given back after all.
    pub(super) fn restore(&self, key: BucketKey, over: Lease) {
        let Some(shard) = self.0.get(key.shard::<SHARDS>()) else { return };
        shard.lock().entry(key).or_insert(over);
    }

    pub(super) fn put(&self, key: BucketKey, left: u32, ahead: Arrivals, now: Now) {
        let Some(shard) = self.0.get(key.shard::<SHARDS>()) else { return };
        let mut shard = shard.lock();
        if shard.len() >= MOST {
            shard.retain(|_, lease| now.ticks().saturating_sub(lease.since) < LEASED_FOR);
        }
        if shard.len() < MOST {
            // Of two requests that took one, the leases are one, as old as the older.
            let since = now.ticks();
            let full_at = ahead.map(|ahead| nanoseconds(since).saturating_add(ahead));
            let lease = shard.entry(key).or_insert(Lease { left: 0, ahead, since, full_at });
            lease.left = lease.left.saturating_add(left);
            lease.ahead = ahead;
            lease.since = lease.since.min(since);
            for (before, full_at) in lease.full_at.iter_mut().zip(full_at) {
                *before = full_at.min(*before);
            }
        }
    }
}
