//! Metrics of the shared store, and of what happens without it.

use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge};

use super::gauges::Gauges;
use crate::observe::registry::{MetricRegistry, number};

/// Labels of the calls by time, as `outbound::redis::BOUNDS` divides them.
const WITHIN: [&str; 7] = ["0.5ms", "1ms", "5ms", "10ms", "25ms", "50ms", "longer"];

pub(super) struct SharedStoreMetrics {
    calls: IntCounterVec,
    failures: IntCounter,
    scripts: IntCounter,
    uncounted: IntCounter,
    denied_here: IntCounter,
    unreplicated: IntCounter,
    stream_lag: GaugeVec,
    breaker: IntGauge,
    replicas: IntGauge,
}

impl SharedStoreMetrics {
    pub(super) fn new(registry: &MetricRegistry) -> Self {
        Self {
            calls: registry.counters(
                "portcullis_shared_calls_total",
                "Calls to the shared store, by the time they took.",
                &["within"],
            ),
            failures: registry.counter(
                "portcullis_shared_failures_total",
                "Calls to the shared store without an answer.",
            ),
            scripts: registry.counter(
                "portcullis_shared_scripts_total",
                "Scripts sent in full, because the store did not know them.",
            ),
            uncounted: registry.counter(
                "portcullis_shared_uncounted_total",
                "Requests admitted without the store: the most by which limits were exceeded.",
            ),
            denied_here: registry.counter(
                "portcullis_shared_denied_here_total",
                "Requests over a limit that were refused without asking the store again.",
            ),
            unreplicated: registry.counter(
                "portcullis_shared_unreplicated_total",
                "Revocations that no replica of the store had confirmed within 50 ms.",
            ),
            stream_lag: registry.float_gauges(
                "portcullis_shared_stream_lag_seconds",
                "Age of the last revocation from another replica when it arrived.",
                &[],
            ),
            breaker: registry.gauge(
                "portcullis_shared_breaker",
                "The shared store: 0 in use, 1 paused after failures.",
            ),
            replicas: registry.gauge(
                "portcullis_shared_replicas",
                "Replicas that limits are divided by while the store is away: those seen lately.",
            ),
        }
    }

    pub(super) fn set(&self, gauges: &Gauges) {
        let Some(numbers) = &gauges.shared else {
            self.breaker.set(0);
            self.replicas.set(0);
            return;
        };
        for (within, calls) in WITHIN.iter().zip(numbers.calls) {
            advance(&self.calls.with_label_values(&[*within]), calls);
        }
        advance(&self.failures, numbers.failures);
        advance(&self.scripts, numbers.scripts);
        advance(&self.uncounted, numbers.uncounted);
        advance(&self.denied_here, numbers.denied_here);
        advance(&self.unreplicated, numbers.unreplicated);
        let lag = std::time::Duration::from_millis(numbers.stream_lag_ms).as_secs_f64();
        self.stream_lag.with_label_values::<&str>(&[]).set(lag);
        self.breaker.set(i64::from(numbers.is_resting));
        self.replicas.set(number(numbers.replicas));
    }
}

fn advance(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
