//! Tokens: minted, issued, and fetched from remote issuers.

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::gauges::{CircuitState, Gauges};
use crate::observe::event::{CallResult, TokenEvent};
use crate::observe::registry::{DURATIONS, MetricRegistry, number};

pub(super) struct TokenMetrics {
    minted: IntCounterVec,
    issued: IntCounterVec,
    compared: IntCounterVec,
    differences: IntCounterVec,
    call_seconds: HistogramVec,
    circuits: IntGaugeVec,
    cached: IntGauge,
    audit_failures: IntCounter,
}

impl TokenMetrics {
    pub(super) fn new(registry: &MetricRegistry) -> Self {
        Self {
            minted: registry.counters("portcullis_mints_total", "Tokens minted.", &["token"]),
            issued: registry.counters(
                "portcullis_tokens_total",
                "Tokens answered, minted or cached.",
                &["token", "origin"],
            ),
            compared: registry.counters(
                "portcullis_shadow_answers_total",
                "The app's answers of tokens in shadow mode, by whether the gateway's is the same.",
                &["token", "result"],
            ),
            differences: registry.counters(
                "portcullis_shadow_differences_total",
                "Differences between the app's answers and the gateway's.",
                &["token", "kind"],
            ),
            call_seconds: registry.seconds_by(
                "portcullis_exchange_seconds",
                "Time of calls to remote issuers, by whether they answered.",
                &DURATIONS,
                &["token", "result"],
            ),
            circuits: registry.gauges(
                "portcullis_issuer_circuit",
                "Remote issuers: 0 in use, 1 paused after failures, 2 being tried.",
                &["token"],
            ),
            cached: registry.gauge("portcullis_cached_tokens", "Tokens in the cache."),
            audit_failures: registry.counter(
                "portcullis_audit_failures_total",
                "Lines of the audit log that could not be written.",
            ),
        }
    }

    pub(super) fn count(&self, event: TokenEvent<'_>) {
        match event {
            TokenEvent::Called { token, result, took } => {
                let result = match result {
                    CallResult::Answered => "answered",
                    CallResult::Failed => "failed",
                };
                let seconds = self.call_seconds.with_label_values(&[token, result]);
                seconds.observe(took.as_secs_f64());
            }
            TokenEvent::Compared { token, result } => {
                self.compared.with_label_values(&[token, result.as_str()]).inc();
            }
            TokenEvent::Differs { token, kind } => {
                self.differences.with_label_values(&[token, kind.as_str()]).inc();
            }
            TokenEvent::Issued { token, origin } => {
                self.issued.with_label_values(&[token, origin.as_str()]).inc();
            }
            TokenEvent::Minted { token } => self.minted.with_label_values(&[token]).inc(),
            // Counted as a request's refusal.
            TokenEvent::Refused(_) => {}
        }
    }

    pub(super) fn set(&self, gauges: &Gauges) {
        self.cached.set(number(gauges.cached_tokens));
        self.circuits.reset();
        for (token, state) in &gauges.circuits {
            let number = match state {
                CircuitState::Closed => 0,
                CircuitState::Open => 1,
                CircuitState::Trying => 2,
            };
            self.circuits.with_label_values(&[token.as_str()]).set(number);
        }
        let counted = self.audit_failures.get();
        self.audit_failures.inc_by(gauges.audit_failures.saturating_sub(counted));
    }
}
