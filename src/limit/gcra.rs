//! The generic cell rate algorithm, as values: one limit, one bucket, one answer.
//!
//! GCRA (ITU-T I.371, "virtual scheduling") keeps one number per rate: the
//! theoretical arrival time. `30/minute` admits 30 at once and then one every 2 s.
//! Several rates must all admit; a refused request takes nothing from any of them.
//!
//! Pure: `memory` keeps the arrival times.

use std::time::Duration;

use http::HeaderValue;

use super::setting::{LEASED_FOR, OnError, Sharing};
use crate::base::digest::{Kind, Mark};
use crate::base::text;
use crate::base::units::{Rate, whole_seconds};

/// More rates than this on one limit are a configuration error.
pub(crate) const MAX_RATES: usize = 4;

/// One `limit` setting, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    name: String,
    mark: Mark,
    cells: Vec<Cell>,
    policy_header: HeaderValue,
    sharing: Sharing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    label: String,
    /// Nanoseconds until one more is admitted.
    interval: u64,
    /// Nanoseconds the arrival time may run ahead of the clock.
    tolerance: u64,
}

/// An admitted request, with the remaining quota for the `RateLimit` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    left: [Left; MAX_RATES],
}

/// A refused request: nothing was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exceeded {
    pub retry_after: Duration,
    left: [Left; MAX_RATES],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Left {
    count: u64,
    until_full: Duration,
}

/// One user's bucket of one limit: a digest over the digests of both, so no name of
/// a limit can run into the name of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketKey(u128);

impl BucketKey {
    pub(super) const fn bits(self) -> u128 {
        self.0
    }

    /// The key that has these bits in another process.
    pub(super) const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The shard, of so many, that holds the bucket. The count is a constant, because
    /// dividing by a variable is slow at this width.
    pub(super) fn shard<const SHARDS: usize>(self) -> usize {
        usize::try_from(self.0 % SHARDS as u128).unwrap_or(0)
    }
}

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
            sharing: Sharing::default(),
        }
    }

    /// The same limit with what it says about sharing.
    #[must_use]
    pub(crate) fn shared_as(self, sharing: Sharing) -> Self {
        Self { sharing, ..self }
    }

    /// The `RateLimit-Policy` field (draft-ietf-httpapi-ratelimit-headers).
    pub fn policy_header(&self) -> &HeaderValue {
        &self.policy_header
    }

    /// The bucket of one user (or, for anonymous limits, one address).
    pub fn bucket(&self, whose: Mark) -> BucketKey {
        BucketKey(self.mark.combine(whose).bits())
    }

    /// Name of the limit in the settings.
    pub(super) fn name(&self) -> &str {
        &self.name
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
    /// The `RateLimit` field: the remaining quota, and the time until it is full.
    pub(crate) fn header(&self, limit: &Limit) -> HeaderValue {
        limit.render(&self.left)
    }
}

impl Exceeded {
    pub fn header(&self, limit: &Limit) -> HeaderValue {
        limit.render(&self.left)
    }
}

/// Theoretical arrival times, one per rate of the limit.
pub(super) type Arrivals = [u64; MAX_RATES];

impl Limit {
    /// The algorithm: every rate admits and advances, or none moves. `now` is in
    /// nanoseconds.
    pub(super) fn take(&self, arrivals: &mut Arrivals, now: u64) -> Result<Admitted, Exceeded> {
        self.look(arrivals, now)?;
        for (cell, arrival) in self.cells.iter().zip(arrivals.iter_mut()) {
            *arrival = (*arrival).max(now).saturating_add(cell.interval);
        }
        Ok(Admitted { left: self.left(arrivals, now) })
    }

    /// Whether `take` would admit now; takes nothing.
    pub(super) fn look(&self, arrivals: &Arrivals, now: u64) -> Result<(), Exceeded> {
        let wait = |(cell, arrival): (&Cell, &u64)| {
            arrival.saturating_sub(now).saturating_sub(cell.tolerance)
        };
        let longest = self.cells.iter().zip(arrivals.iter()).map(wait).max().unwrap_or(0);
        if longest == 0 {
            return Ok(());
        }
        let left = self.left(arrivals, now);
        Err(Exceeded { retry_after: Duration::from_nanos(longest), left })
    }

    /// As `take`, with one part of so many: what one replica may admit while no store counts
    /// for all. `arrivals` hold what was used up over all replicas.
    pub(super) fn take_part(
        &self,
        arrivals: &mut Arrivals,
        parts: u32,
        now: u64,
    ) -> Result<Admitted, Exceeded> {
        let part = |cell: &Cell| {
            let interval = cell.interval.saturating_mul(u64::from(parts));
            let tolerance = (cell.tolerance + cell.interval).saturating_sub(interval);
            Cell { label: String::new(), interval, tolerance }
        };
        let cells: Vec<Cell> = self.cells.iter().map(part).collect();
        let wait = |(cell, arrival): (&Cell, &u64)| {
            arrival.saturating_sub(now).saturating_sub(cell.tolerance)
        };
        let longest = cells.iter().zip(arrivals.iter()).map(wait).max().unwrap_or(0);
        if longest > 0 {
            return Err(self.exceeded(longest, &Self::ahead(arrivals, now)));
        }
        for (cell, arrival) in cells.iter().zip(arrivals.iter_mut()) {
            *arrival = (*arrival).max(now).saturating_add(cell.interval);
        }
        Ok(self.admitted(&Self::ahead(arrivals, now)))
    }

    fn ahead(arrivals: &Arrivals, now: u64) -> Arrivals {
        arrivals.map(|arrival| arrival.saturating_sub(now))
    }

    /// As the store decided; `ahead` in nanoseconds.
    pub(super) fn admitted(&self, ahead: &Arrivals) -> Admitted {
        Admitted { left: self.left(ahead, 0) }
    }

    /// As the store decided; `wait` and `ahead` in nanoseconds.
    pub(super) fn exceeded(&self, wait: u64, ahead: &Arrivals) -> Exceeded {
        Exceeded { retry_after: Duration::from_nanos(wait), left: self.left(ahead, 0) }
    }

    /// Interval and tolerance of each rate in whole microseconds, for the store's script.
    /// Where replicas take leases, the tolerance is shorter by a lease's life.
    pub(super) fn microseconds(&self) -> impl ExactSizeIterator<Item = (u64, u64)> + '_ {
        let shorter = if self.lease().is_some() { LEASED_FOR.as_micros() } else { 0 };
        let shorter = u64::try_from(shorter).unwrap_or(0);
        self.cells.iter().map(move |cell| {
            let interval = cell.interval.div_ceil(1000).max(1);
            (interval, (cell.tolerance / 1000).saturating_sub(shorter))
        })
    }

    /// The limit among those of a user in the shared store: half of its mark is enough for
    /// as many as a file has.
    pub(super) fn stored_name(&self) -> impl std::fmt::Display {
        std::fmt::from_fn(|f| write!(f, "{:016x}", self.mark.bits() >> 64))
    }

    /// Admissions that a replica takes ahead, if it does.
    pub(super) fn lease(&self) -> Option<u32> {
        let percent = u64::from(self.sharing.lease?);
        let part = |cell: &Cell| (cell.tolerance / cell.interval.max(1) + 1) * percent / 100;
        self.cells.iter().map(part).min().and_then(|part| u32::try_from(part).ok())
    }

    pub(super) fn on_error(&self) -> Option<OnError> {
        self.sharing.on_error
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units;

    const SECOND: u64 = 1_000_000_000;

    fn limit(rates: &[&str]) -> Limit {
        let rates: Vec<Rate> = rates.iter().map(|rate| units::rate(rate).unwrap()).collect();
        Limit::new("portive", &rates)
    }

    #[test]
    fn a_refused_request_leaves_every_arrival_time_where_it_was() {
        let (limit, mut arrivals) = (limit(&["1/s", "2/minute"]), Arrivals::default());
        assert!(limit.take(&mut arrivals, SECOND).is_ok());
        let before = arrivals;
        assert!(limit.take(&mut arrivals, SECOND).is_err());
        assert_eq!(arrivals, before);
    }

    #[test]
    fn the_wait_of_several_rates_is_that_of_the_slowest() {
        let (limit, mut arrivals) = (limit(&["1/s", "1/minute"]), Arrivals::default());
        assert!(limit.take(&mut arrivals, SECOND).is_ok());
        let refused = limit.take(&mut arrivals, SECOND).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(60));
        assert_eq!(refused.header(&limit), r#""portive";r=0;t=1, "portive-2";r=0;t=60"#);
    }
}
