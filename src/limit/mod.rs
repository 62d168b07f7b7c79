//! How many answers one user may take: GCRA per limit and user.
//!
//! The generic cell rate algorithm (ITU-T I.371, "virtual scheduling") keeps one
//! number per rate: the theoretical arrival time. `30/minute` admits 30 at once
//! and then one every 2 s. Several rates must all admit; a refused request takes
//! nothing from any of them. Counters outlive a reload (`live.rs` owns them),
//! because a reload must not hand out a fresh allowance.
//!
//! Memory is bounded: `CAPACITY` users at about 64 bytes each. A user whose
//! allowance is full again needs no entry, so those are dropped first. Should
//! every entry still be needed, newcomers share one bucket per limit: that
//! slows newcomers down and never frees anybody.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU32;
use std::time::Duration;

use http::HeaderValue;

use crate::base::clock::Now;
use crate::base::digest::{Kind, Mark};
use crate::base::lock::Lock;
use crate::base::text;
use crate::base::units::Rate;

/// Entries in all; at about 64 bytes each, some 32 MiB when full.
const CAPACITY: usize = 512 * 1024;
const SHARDS: usize = 64;
/// A full shard looks for finished entries at most this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// More rates than this on one limit are a configuration error.
pub const MAX_RATES: usize = 4;

/// What one `limit` setting says, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    name: String,
    mark: Mark,
    cells: Vec<Cell>,
    policy_header: HeaderValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    label: String,
    /// Nanoseconds until one more is admitted.
    interval: u64,
    /// How far ahead of the clock the arrival time may run.
    tolerance: u64,
}

/// What is left after an admitted request, for the `RateLimit` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    left: [Left; MAX_RATES],
}

/// A refused request: nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub retry_after: Duration,
    left: [Left; MAX_RATES],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Left {
    count: u64,
    until_full: Duration,
}

/// Whose bucket: the marks of limit and user together, so that no spelling of
/// either runs into the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BucketKey(u128);

impl Limit {
    /// `name` labels the quota in the `RateLimit` headers.
    pub fn new(name: &str, rates: &[Rate]) -> Self {
        let cell = |(index, rate): (usize, &Rate)| {
            let window = u64::try_from(rate.window.as_nanos()).unwrap_or(u64::MAX);
            let interval = (window / u64::from(rate.count.get())).max(1);
            let label = if index == 0 { name.to_owned() } else { format!("{name}-{}", index + 1) };
            Cell { label, interval, tolerance: interval * u64::from(rate.count.get() - 1) }
        };
        let cells: Vec<Cell> = rates.iter().take(MAX_RATES).enumerate().map(cell).collect();
        let policy = |(cell, rate): (&Cell, &Rate)| {
            let window = rate.window.as_secs_f64().ceil();
            format!("\"{}\";q={};w={window}", cell.label, rate.count)
        };
        let policy_header = cells.iter().zip(rates).map(policy).collect::<Vec<_>>().join(", ");
        Self {
            name: name.to_owned(),
            mark: Mark::new(Kind::Limit, name),
            cells,
            policy_header: header_value(policy_header),
        }
    }

    /// The `RateLimit-Policy` field (draft-ietf-httpapi-ratelimit-headers).
    pub fn policy_header(&self) -> &HeaderValue {
        &self.policy_header
    }

    /// The bucket of one user (or, for anonymous limits, one address).
    pub fn bucket(&self, whose: Mark) -> BucketKey {
        BucketKey(self.mark.combine(whose).bits())
    }

    fn render(&self, left: &[Left; MAX_RATES]) -> HeaderValue {
        let mut text = String::with_capacity(64);
        for (cell, left) in self.cells.iter().zip(left) {
            text.push_str(if text.is_empty() { "\"" } else { ", \"" });
            text.push_str(&cell.label);
            text.push_str("\";r=");
            text::push(&mut text, left.count);
            text.push_str(";t=");
            text::push(&mut text, whole_seconds(left.until_full));
        }
        header_value(text)
    }
}

/// Labels are paths and names of the configuration, which fit a header.
fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

impl Admitted {
    /// The `RateLimit` field: what is left, and when all of it is back.
    pub fn header(&self, limit: &Limit) -> HeaderValue {
        limit.render(&self.left)
    }
}

impl Exceeded {
    pub fn header(&self, limit: &Limit) -> HeaderValue {
        limit.render(&self.left)
    }
}

/// Seconds, rounded up: a client that waits that long is admitted.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Theoretical arrival times, one per rate of the limit.
type Arrivals = [u64; MAX_RATES];

impl Limit {
    /// The algorithm itself: all rates admit and advance, or none moves.
    fn take(&self, arrivals: &mut Arrivals, now: u64) -> Result<Admitted, Exceeded> {
        let wait = |(cell, arrival): (&Cell, &u64)| {
            arrival.saturating_sub(now).saturating_sub(cell.tolerance)
        };
        let longest = self.cells.iter().zip(arrivals.iter()).map(wait).max().unwrap_or(0);
        if longest > 0 {
            let left = self.left(arrivals, now);
            return Err(Exceeded { retry_after: Duration::from_nanos(longest), left });
        }
        for (cell, arrival) in self.cells.iter().zip(arrivals.iter_mut()) {
            *arrival = (*arrival).max(now).saturating_add(cell.interval);
        }
        Ok(Admitted { left: self.left(arrivals, now) })
    }

    fn left(&self, arrivals: &Arrivals, now: u64) -> [Left; MAX_RATES] {
        let mut all = [Left::default(); MAX_RATES];
        for ((cell, arrival), left) in self.cells.iter().zip(arrivals).zip(&mut all) {
            let ahead = arrival.saturating_sub(now);
            let free = (cell.tolerance + cell.interval).saturating_sub(ahead);
            *left = Left { count: free / cell.interval, until_full: Duration::from_nanos(ahead) };
        }
        all
    }
}

/// All counters of the process.
pub struct Limits {
    shards: Vec<Lock<Shard>>,
    per_shard: usize,
}

#[derive(Default)]
struct Shard {
    buckets: HashMap<BucketKey, Arrivals, BuildHasherDefault<KeyHasher>>,
    /// Shared buckets for newcomers while the shard is full, one per limit.
    overflow: HashMap<String, Arrivals>,
    swept: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Limits {
    fn with_capacity(capacity: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Lock::default()).collect();
        Self { shards, per_shard: (capacity / SHARDS).max(1) }
    }

    /// Takes one from the bucket, or nothing.
    pub fn take(&self, limit: &Limit, key: BucketKey, now: Now) -> Result<Admitted, Exceeded> {
        let now = u64::try_from(now.ticks().as_nanos()).unwrap_or(u64::MAX);
        let index = usize::try_from(key.0 % SHARDS as u128).unwrap_or(0);
        let Some(shard) = self.shards.get(index) else {
            // `index` is below SHARDS, the length of `shards`.
            return Err(Exceeded { retry_after: Duration::ZERO, left: Default::default() });
        };
        // Nothing below can panic half-way, so a poisoned lock guards sound data.
        let mut shard = shard.lock();
        let arrivals = shard.bucket(key, limit, self.per_shard, now);
        limit.take(arrivals, now)
    }

    /// Buckets held, for the metrics.
    pub fn held(&self) -> usize {
        let count = |shard: &Lock<Shard>| shard.lock().buckets.len();
        self.shards.iter().map(count).sum()
    }
}

impl Shard {
    fn bucket(
        &mut self,
        key: BucketKey,
        limit: &Limit,
        capacity: usize,
        now: u64,
    ) -> &mut Arrivals {
        if self.buckets.len() >= capacity && !self.buckets.contains_key(&key) {
            let sweep_at =
                self.swept.saturating_add(u64::try_from(SWEEP_EVERY.as_nanos()).unwrap_or(0));
            if self.swept == 0 || now >= sweep_at {
                self.buckets.retain(|_, arrivals| arrivals.iter().any(|&arrival| arrival > now));
                self.swept = now.max(1);
            }
            if self.buckets.len() >= capacity {
                return self.overflow.entry(limit.name.clone()).or_default();
            }
        }
        self.buckets.entry(key).or_default()
    }
}

/// Keys are digests already: their own low bits are the best hash.
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

/// A rate of `count` per `window`, for tests and defaults.
pub const fn per(count: NonZeroU32, window: Duration) -> Rate {
    Rate { count, window }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::units;

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
        assert!(limits.held() <= SHARDS);
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
}
