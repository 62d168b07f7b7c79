//! Numbers about the shared store, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the times that calls are counted by; the metrics have their labels.
const BOUNDS: [Duration; 6] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
];

/// Outlives the store that it counts for, as a reload may replace that.
#[derive(Default)]
pub(crate) struct StoreCounts {
    /// Calls by latency; the last is everything longer.
    calls: [AtomicU64; BOUNDS.len() + 1],
    failures: AtomicU64,
    scripts: AtomicU64,
    /// Admitted without the store: the most by which a limit may be exceeded.
    uncounted: AtomicU64,
    /// Refused here, because the store has said so already.
    denied_here: AtomicU64,
    /// Revocations that reached the primary only, as far as it said.
    unreplicated: AtomicU64,
    /// Milliseconds the last revocation of another replica took to arrive.
    stream_lag: AtomicU64,
}

/// Numbers about the shared store at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreNumbers {
    pub(crate) calls: [u64; BOUNDS.len() + 1],
    pub(crate) failures: u64,
    pub(crate) scripts: u64,
    pub(crate) uncounted: u64,
    pub(crate) denied_here: u64,
    pub(crate) unreplicated: u64,
    pub(crate) stream_lag_ms: u64,
    pub(crate) is_resting: bool,
    pub(crate) replicas: u32,
}

impl StoreCounts {
    pub(super) fn count_call(&self, took: Duration, answered: bool) {
        let bucket = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        if let Some(calls) = self.calls.get(bucket) {
            calls.fetch_add(1, Ordering::Relaxed);
        }
        if !answered {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count_script(&self) {
        self.scripts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_uncounted(&self) {
        self.uncounted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_denied_here(&self) {
        self.denied_here.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_unreplicated(&self) {
        self.unreplicated.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_stream_lag(&self, milliseconds: u64) {
        self.stream_lag.store(milliseconds, Ordering::Relaxed);
    }

    pub(super) fn numbers(&self) -> StoreNumbers {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        StoreNumbers {
            calls: self.calls.each_ref().map(read),
            failures: read(&self.failures),
            scripts: read(&self.scripts),
            uncounted: read(&self.uncounted),
            denied_here: read(&self.denied_here),
            unreplicated: read(&self.unreplicated),
            stream_lag_ms: read(&self.stream_lag),
            is_resting: false,
            replicas: 0,
        }
    }
}
