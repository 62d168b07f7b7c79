//! Builds Prometheus metrics and registers them.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Bounds of histograms, in seconds: those that OpenTelemetry's convention lists for HTTP
/// durations, so that panels made for others fit.
pub(super) const DURATIONS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The metrics of the process, each by its name. Labels are names from the
/// configuration and constants, never a user, a path or an address.
#[derive(Default)]
pub(super) struct MetricRegistry(Registry);

impl MetricRegistry {
    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(GaugeVec::new(Opts::new(name, help), labels))
    }

    pub(super) fn float_counters(&self, name: &str, help: &str, labels: &[&str]) -> CounterVec {
        self.register(CounterVec::new(Opts::new(name, help), labels))
    }

    /// A histogram of seconds.
    pub(super) fn seconds(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(options))
    }

    pub(super) fn seconds_by(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, labels))
    }

    /// In the Prometheus text exposition format.
    pub(super) fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.0.gather()).unwrap_or_default()
    }

    /// Names are constants of the files in `metrics/`, valid and used once each, so
    /// neither step can fail; a test renders every metric.
    #[expect(clippy::expect_used, reason = "names are constants, covered by a test")]
    fn register<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("names of metrics are valid");
        self.0.register(Box::new(metric.clone())).expect("names of metrics are unique");
        metric
    }
}

/// A gauge's value; no count reaches `i64::MAX`.
pub(super) fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
