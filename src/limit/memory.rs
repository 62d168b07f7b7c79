//! The counters of every user, in the memory of this process.
//!
//! Counters outlive a reload, because a reload must not hand out a fresh allowance.
//!
//! Memory is bounded: `CAPACITY` users at about 64 bytes each. A user whose allowance
//! is full again needs no entry, so those are dropped first. When every entry is still
//! needed, newcomers share one bucket per limit: that slows newcomers down and never
//! gives a known user a fresh allowance.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use super::gcra::{Admitted, Arrivals, BucketKey, Exceeded, Limit};
use super::used::UsedAllowance;
use crate::base::clock::Now;
use crate::base::lock::Lock;

/// Entries in all; at about 64 bytes each, some 32 MiB when full.
const CAPACITY: usize = 512 * 1024;
const SHARDS: usize = 64;
/// A full shard looks for finished entries at most this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// All counters of the process.
pub(crate) struct Limits {
    shards: Vec<Lock<Shard>>,
    per_shard: usize,
}

#[derive(Default)]
struct Shard {
    buckets: HashMap<BucketKey, Arrivals, BuildHasherDefault<KeyHasher>>,
    /// Shared buckets for newcomers while the shard is full, one per limit.
    overflow: HashMap<String, Arrivals>,
    /// When the shard last dropped finished entries, in nanoseconds.
    swept: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Limits {
    /// With room for so many buckets.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Lock::default()).collect();
        Self { shards, per_shard: (capacity / SHARDS).max(1) }
    }

    /// Takes one from the bucket, or nothing.
    pub(crate) fn take(
        &self,
        limit: &Limit,
        key: BucketKey,
        now: Now,
    ) -> Result<Admitted, Exceeded> {
        let now = nanoseconds(now);
        let Some(shard) = self.shards.get(key.shard::<SHARDS>()) else {
            // The index is below SHARDS, the length of `shards`.
            return Err(Exceeded::default());
        };
        // Nothing below can panic half-way, so a poisoned lock guards sound data.
        let mut shard = shard.lock();
        let arrivals = shard.bucket(key, limit, self.per_shard, now);
        limit.take(arrivals, now)
    }

    /// Takes one from each bucket, or nothing from any. Of those that refuse, the one with
    /// the longest wait is told, by its place in `wanted`.
    pub(crate) fn take_all(
        &self,
        wanted: &[(&Limit, BucketKey)],
        now: Now,
    ) -> Result<(), (usize, Exceeded)> {
        self.each_or_none(wanted, now, Limit::take).map(|_| ())
    }

    /// As `take_all`, with this replica's part of the limits; returns how far the arrival
    /// times are ahead of each.
    pub(super) fn take_part_of_all(
        &self,
        wanted: &[(&Limit, BucketKey)],
        parts: u32,
        now: Now,
    ) -> Result<Vec<Arrivals>, (usize, Exceeded)> {
        self.each_or_none(wanted, now, |limit, arrivals, now| limit.take_part(arrivals, parts, now))
    }

    /// All buckets are locked at once, always in the same order.
    fn each_or_none(
        &self,
        wanted: &[(&Limit, BucketKey)],
        now: Now,
        take: impl Fn(&Limit, &mut Arrivals, u64) -> Result<Admitted, Exceeded>,
    ) -> Result<Vec<Arrivals>, (usize, Exceeded)> {
        let now = nanoseconds(now);
        let shards: BTreeSet<usize> = wanted.iter().map(|(_, key)| key.shard::<SHARDS>()).collect();
        let lock = |index: usize| Some((index, self.shards.get(index)?.lock()));
        let mut shards: BTreeMap<usize, _> = shards.into_iter().filter_map(lock).collect();
        // Two limits of one name share a bucket, so a place is taken before the next look.
        let mut before: Vec<(BucketKey, &Limit, Arrivals)> = Vec::with_capacity(wanted.len());
        let mut ahead = Vec::with_capacity(wanted.len());
        let mut refused: Option<(usize, Exceeded)> = None;
        for (index, &(limit, key)) in wanted.iter().enumerate() {
            let Some(shard) = shards.get_mut(&key.shard::<SHARDS>()) else { continue };
            let arrivals = shard.bucket(key, limit, self.per_shard, now);
            before.push((key, limit, *arrivals));
            if let Err(exceeded) = take(limit, arrivals, now)
                && refused.is_none_or(|(_, known)| known.retry_after < exceeded.retry_after)
            {
                refused = Some((index, exceeded));
            }
            ahead.push(arrivals.map(|arrival| arrival.saturating_sub(now)));
        }
        let Some(refused) = refused else { return Ok(ahead) };
        for (key, limit, arrivals) in before.into_iter().rev() {
            if let Some(shard) = shards.get_mut(&key.shard::<SHARDS>()) {
                *shard.bucket(key, limit, self.per_shard, now) = arrivals;
            }
        }
        Err(refused)
    }

    /// The buckets that are not full, for the process that takes over.
    pub(crate) fn used(&self, now: Now) -> Vec<UsedAllowance> {
        let (ticks, unix_ms) = (nanoseconds(now), now.unix_ms());
        let full_at = |arrival: &u64| match arrival.saturating_sub(ticks) {
            0 => 0,
            ahead => unix_ms.saturating_add(ahead.div_ceil(1_000_000)),
        };
        let used = |(key, arrivals): (&BucketKey, &Arrivals)| UsedAllowance {
            key: *key,
            full_at_ms: arrivals.each_ref().map(full_at),
        };
        let is_used = |used: &UsedAllowance| used.full_at_ms.iter().any(|&at| at > 0);
        let of_shard = |shard: &Lock<Shard>| -> Vec<UsedAllowance> {
            shard.lock().buckets.iter().map(used).filter(is_used).collect()
        };
        self.shards.iter().flat_map(of_shard).collect()
    }

    /// Takes what another process says is used up. Nobody gains by it: of two times the
    /// later one counts.
    pub(crate) fn merge(&self, used: &UsedAllowance, now: Now) {
        let (ticks, unix_ms) = (nanoseconds(now), now.unix_ms());
        let Some(shard) = self.shards.get(used.key.shard::<SHARDS>()) else { return };
        let mut shard = shard.lock();
        if shard.buckets.len() >= self.per_shard && !shard.buckets.contains_key(&used.key) {
            return;
        }
        let arrivals = shard.buckets.entry(used.key).or_default();
        for (arrival, &full_at) in arrivals.iter_mut().zip(&used.full_at_ms) {
            let ahead = full_at.saturating_sub(unix_ms).saturating_mul(1_000_000);
            if ahead > 0 {
                *arrival = (*arrival).max(ticks.saturating_add(ahead));
            }
        }
    }

    /// Learns how far ahead the arrival times are over all replicas. Without room for
    /// another bucket, nothing is learned.
    pub(super) fn learn(&self, key: BucketKey, ahead: &Arrivals, now: Now) {
        let now = nanoseconds(now);
        let Some(shard) = self.shards.get(key.shard::<SHARDS>()) else { return };
        let mut shard = shard.lock();
        if shard.has_room(key, self.per_shard, now) {
            let arrivals = shard.buckets.entry(key).or_default();
            for (arrival, ahead) in arrivals.iter_mut().zip(ahead) {
                *arrival = (*arrival).max(now.saturating_add(*ahead));
            }
        }
    }

    /// Whether the bucket has something left; takes nothing, and makes no bucket.
    pub(crate) fn look(&self, limit: &Limit, key: BucketKey, now: Now) -> Result<(), Exceeded> {
        let Some(shard) = self.shards.get(key.shard::<SHARDS>()) else { return Ok(()) };
        let shard = shard.lock();
        let arrivals = shard.buckets.get(&key);
        arrivals.map_or(Ok(()), |arrivals| limit.look(arrivals, nanoseconds(now)))
    }

    /// How many buckets are held, for the metrics.
    pub(crate) fn buckets(&self) -> usize {
        let count = |shard: &Lock<Shard>| shard.lock().buckets.len();
        self.shards.iter().map(count).sum()
    }
}

fn nanoseconds(now: Now) -> u64 {
    u64::try_from(now.ticks().as_nanos()).unwrap_or(u64::MAX)
}

impl Shard {
    fn bucket(
        &mut self,
        key: BucketKey,
        limit: &Limit,
        capacity: usize,
        now: u64,
    ) -> &mut Arrivals {
        if !self.has_room(key, capacity, now) {
            return self.overflow.entry(limit.name().to_owned()).or_default();
        }
        self.buckets.entry(key).or_default()
    }

    /// Whether the bucket is there or can be made; a full shard drops what is finished.
    fn has_room(&mut self, key: BucketKey, capacity: usize, now: u64) -> bool {
        if self.buckets.len() < capacity || self.buckets.contains_key(&key) {
            return true;
        }
        let sweep_at =
            self.swept.saturating_add(u64::try_from(SWEEP_EVERY.as_nanos()).unwrap_or(0));
        if self.swept == 0 || now >= sweep_at {
            self.buckets.retain(|_, arrivals| arrivals.iter().any(|&arrival| arrival > now));
            self.swept = now.max(1);
        }
        self.buckets.len() < capacity
    }
}

/// Keys are digests already, so their own low bits are the best hash.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        let half = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        let (high, low) = (half(key >> 64), half(key));
        self.0 = high ^ low.rotate_left(32);
    }
}

#[cfg(test)]
mod tests;
