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
use super::used::Used;
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
    pub(crate) fn used(&self, now: Now) -> Vec<Used> {
        let (ticks, unix_ms) = (nanoseconds(now), now.unix_ms());
        let full_at = |arrival: &u64| match arrival.saturating_sub(ticks) {
            0 => 0,
            ahead => unix_ms.saturating_add(ahead.div_ceil(1_000_000)),
        };
        let used = |(key, arrivals): (&BucketKey, &Arrivals)| Used {
            key: *key,
            full_at_ms: arrivals.each_ref().map(full_at),
        };
        let is_used = |used: &Used| used.full_at_ms.iter().any(|&at| at > 0);
        let of_shard = |shard: &Lock<Shard>| -> Vec<Used> {
            shard.lock().buckets.iter().map(used).filter(is_used).collect()
        };
        self.shards.iter().flat_map(of_shard).collect()
    }

    /// Takes what another process says is used up. Nobody gains by it: of two times the
    /// later one counts.
    pub(crate) fn merge(&self, used: &Used, now: Now) {
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
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::digest::{Kind, Mark};
    use crate::base::units::{self, Rate};

    fn limit(rates: &[&str]) -> Limit {
        let rates: Vec<Rate> = rates.iter().map(|rate| units::rate(rate).unwrap()).collect();
        Limit::new("portive", &rates)
    }

    fn user(id: &str) -> Mark {
        Mark::new(Kind::User, id)
    }

    fn at(milliseconds: u64) -> Now {
        Now::at(0).plus(Duration::from_millis(1_000_000 + milliseconds))
    }

    #[test]
    fn thirty_a_minute_admits_thirty_at_once_and_then_one_every_two_seconds() {
        let (limits, limit) = (Limits::default(), limit(&["30/minute"]));
        let key = limit.bucket(user("u1"));
        for _ in 0..30 {
            assert!(limits.take(&limit, key, at(0)).is_ok());
        }
        let refused = limits.take(&limit, key, at(0)).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(2));
        assert!(limits.take(&limit, key, at(1_999)).is_err());
        assert!(limits.take(&limit, key, at(2_000)).is_ok());
        assert!(limits.take(&limit, key, at(2_001)).is_err());
        assert!(limits.take(&limit, key, at(4_000)).is_ok());
    }

    #[test]
    fn a_look_takes_nothing_and_makes_no_bucket() {
        let (limits, limit) = (Limits::default(), limit(&["1/hour"]));
        let key = limit.bucket(user("u1"));
        assert_eq!(limits.look(&limit, key, at(0)), Ok(()));
        assert_eq!(limits.buckets(), 0);
        assert!(limits.take(&limit, key, at(0)).is_ok());
        let refused = limits.take(&limit, key, at(1)).unwrap_err();
        assert_eq!(limits.look(&limit, key, at(1)), Err(refused));
    }

    #[test]
    fn headers_say_what_is_left_and_when_all_of_it_is_back() {
        let (limits, limit) = (Limits::default(), limit(&["30/minute"]));
        let first = limits.take(&limit, limit.bucket(user("u1")), at(0)).unwrap();
        assert_eq!(limit.policy_header(), r#""portive";q=30;w=60"#);
        assert_eq!(first.header(&limit), r#""portive";r=29;t=2"#);
    }

    #[test]
    fn a_request_refused_by_one_rate_takes_nothing_from_the_others() {
        let (limits, limit) = (Limits::default(), limit(&["2/s", "3/minute"]));
        let key = limit.bucket(user("u1"));
        assert!(limits.take(&limit, key, at(0)).is_ok());
        assert!(limits.take(&limit, key, at(0)).is_ok());
        for _ in 0..100 {
            assert!(limits.take(&limit, key, at(10)).is_err());
        }
        assert!(limits.take(&limit, key, at(1_000)).is_ok(), "the minute still had one");
        let refused = limits.take(&limit, key, at(2_000)).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(18));
    }

    #[test]
    fn a_request_refused_by_one_limit_takes_nothing_from_the_others() {
        let limits = Limits::default();
        let named = |name: &str, rate: &str| Limit::new(name, &[units::rate(rate).unwrap()]);
        let (wide, narrow) = (named("wide", "4/minute"), named("narrow", "1/minute"));
        let twin = named("wide", "2/minute");
        let of = |limit: &Limit| limit.bucket(user("u1"));
        let all = [(&wide, of(&wide)), (&narrow, of(&narrow))];
        let reversed = [(&narrow, of(&narrow)), (&wide, of(&wide))];
        assert_eq!(limits.take_all(&all, at(0)), Ok(()));
        for _ in 0..100 {
            let (index, refused) = limits.take_all(&all, at(0)).unwrap_err();
            assert_eq!((index, refused.retry_after), (1, Duration::from_secs(60)));
            assert_eq!(limits.take_all(&reversed, at(0)).unwrap_err().0, 0);
        }
        assert!(limits.take_all(&[(&wide, of(&wide)), (&wide, of(&wide))], at(0)).is_ok());
        let both = [(&wide, of(&wide)), (&twin, of(&twin))];
        assert!(limits.take_all(&both, at(0)).is_err(), "one was left, two are wanted");
        assert!(limits.take(&wide, of(&wide), at(0)).is_ok(), "and it is still there");
        assert!(limits.take(&wide, of(&wide), at(0)).is_err());
        assert_eq!(limits.take_all(&[], at(0)), Ok(()));
    }

    #[test]
    fn several_limits_taken_at_once_are_exact_in_parallel() {
        let limits = Arc::new(Limits::default());
        let names = ["a", "b", "c"];
        let of_each = |rate: &str| {
            let of = |name: &&str| Limit::new(name, &[units::rate(rate).unwrap()]);
            names.iter().map(of).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..6)
            .map(|turn| {
                let (limits, all) = (limits.clone(), of_each("30/minute"));
                std::thread::spawn(move || {
                    let mut all: Vec<_> =
                        all.iter().map(|limit| (limit, limit.bucket(user("u1")))).collect();
                    all.rotate_left(turn % 3);
                    (0..50).filter(|_| limits.take_all(&all[..2], at(0)).is_ok()).count()
                })
            })
            .collect();
        let admitted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        // Each takes two of the three, so 90 places are enough for 45 at the most.
        assert!((30..=45).contains(&admitted), "{admitted}");
    }

    #[test]
    fn users_and_limits_do_not_share_buckets() {
        let (limits, one) = (Limits::default(), limit(&["1/hour"]));
        let other = Limit::new("other", &[units::rate("1/hour").unwrap()]);
        assert!(limits.take(&one, one.bucket(user("a")), at(0)).is_ok());
        assert!(limits.take(&one, one.bucket(user("b")), at(0)).is_ok());
        assert!(limits.take(&other, other.bucket(user("a")), at(0)).is_ok());
        assert!(limits.take(&one, one.bucket(user("a")), at(0)).is_err());
    }

    #[test]
    fn a_thousand_parallel_requests_yield_exactly_thirty() {
        let limits = Arc::new(Limits::default());
        let limit = Arc::new(limit(&["30/minute"]));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (limits, limit) = (limits.clone(), limit.clone());
                std::thread::spawn(move || {
                    let key = limit.bucket(user("u1"));
                    (0..125).filter(|_| limits.take(&limit, key, at(0)).is_ok()).count()
                })
            })
            .collect();
        let admitted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(admitted, 30);
    }

    #[test]
    fn a_full_table_never_frees_a_user_who_used_up_the_allowance() {
        let (limits, limit) = (Limits::with_capacity(SHARDS), limit(&["1/hour"]));
        let attacker = limit.bucket(user("attacker"));
        assert!(limits.take(&limit, attacker, at(0)).is_ok());
        for number in 0..10_000 {
            let _ = limits.take(&limit, limit.bucket(user(&number.to_string())), at(1));
        }
        assert!(limits.take(&limit, attacker, at(2)).is_err());
        assert!(limits.buckets() <= SHARDS);
    }

    #[test]
    fn entries_that_are_full_again_make_room() {
        let (limits, limit) = (Limits::with_capacity(SHARDS), limit(&["1/s"]));
        for number in 0..10_000 {
            let _ = limits.take(&limit, limit.bucket(user(&number.to_string())), at(0));
        }
        let later = at(60_000);
        let admitted = (0..50).filter(|number| {
            limits.take(&limit, limit.bucket(user(&format!("n{number}"))), later).is_ok()
        });
        assert!(admitted.count() >= 25, "most newcomers find a bucket of their own");
    }

    #[test]
    fn what_is_used_up_is_so_in_another_process() {
        let (here, there, limit) = (Limits::default(), Limits::default(), limit(&["3/minute"]));
        let key = limit.bucket(user("ada"));
        for _ in 0..3 {
            assert!(here.take(&limit, key, at(0)).is_ok());
        }
        // Its clock started at another time.
        let elsewhere = |ms: u64| Now::at(1000).plus(Duration::from_millis(ms));
        assert_eq!(elsewhere(0).unix_ms(), at(0).unix_ms());
        let used = here.used(at(0));
        assert_eq!(used.len(), 1);
        for _ in 0..2 {
            let line = used[0].line();
            there.merge(&Used::read(&line).unwrap(), elsewhere(0));
            assert_eq!(Used::read(line.get(1..).unwrap()), None);
        }
        assert!(there.take(&limit, key, elsewhere(19_000)).is_err());
        assert!(there.take(&limit, key, elsewhere(20_001)).is_ok());
        assert!(there.take(&limit, key, elsewhere(20_002)).is_err());
        assert!(here.used(at(60_001)).is_empty(), "full again");
    }
}
