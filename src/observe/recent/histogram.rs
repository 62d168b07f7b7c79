//! Durations, counted so that percentiles can be read: eight steps for each doubling, so
//! a percentile is at most an eighth too high.

use std::time::Duration;

/// Steps per doubling, as a power of two.
const STEPS: u32 = 3;
/// Up to about 1,100 s; longer ones count as that.
const BUCKETS: usize = 28 << STEPS;

#[derive(Clone)]
pub(crate) struct Histogram(Box<[u32; BUCKETS]>);

impl Default for Histogram {
    fn default() -> Self {
        Self(Box::new([0; BUCKETS]))
    }
}

impl Histogram {
    pub(super) fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.0.get_mut(bucket(micros)) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0.iter()) {
            *count = count.saturating_add(*more);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|&count| u64::from(count)).sum()
    }

    /// The time that `percent` of the durations do not exceed, in milliseconds.
    pub(crate) fn percentile(&self, percent: f64) -> Option<f64> {
        let all = self.count();
        let mut left = all as f64 * percent / 100.0;
        let reached = self.0.iter().position(|&count| {
            left -= f64::from(count);
            count > 0 && left <= 0.0
        });
        reached.map(|bucket| limit(bucket) as f64 / 1000.0)
    }
}

fn bucket(micros: u64) -> usize {
    let micros = micros.max(1 << STEPS);
    let doublings = micros.ilog2() - STEPS;
    let step = (micros >> doublings) & ((1 << STEPS) - 1);
    let bucket = (u64::from(doublings) << STEPS) + step;
    usize::try_from(bucket).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The first duration above a bucket, in microseconds.
fn limit(bucket: usize) -> u64 {
    let (doublings, step) = (bucket >> STEPS, bucket as u64 & ((1 << STEPS) - 1));
    ((1 << STEPS) + step + 1) << doublings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_at_most_an_eighth_too_high() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50.0), None);
        for micros in [8, 9, 50, 777, 12_345, 999_999, 60_000_000] {
            let mut one = Histogram::default();
            one.add(Duration::from_micros(micros));
            let (exact, read) = (micros as f64 / 1000.0, one.percentile(99.0).unwrap());
            assert!(read >= exact && read <= exact * 1.126, "{read} for {exact}");
            histogram.merge(&one);
        }
        histogram.add(Duration::ZERO);
        histogram.add(Duration::MAX);
        assert_eq!(histogram.count(), 9);
        assert!(histogram.percentile(1.0).unwrap() < 0.01);
        let median = histogram.percentile(50.0).unwrap();
        assert!((0.777..0.88).contains(&median), "{median}");
    }
}
