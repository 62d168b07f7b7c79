//! The app's servers. Labels are names from the configuration; an address the
//! resolver found is never one.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::gauges::Gauges;
use crate::observe::event::UpstreamEvent;
use crate::observe::registry::{MetricRegistry, number};
use crate::upstream::{EndpointState, ProbeResult};

pub(super) struct Upstreams {
    servers: IntGaugeVec,
    in_use: IntGaugeVec,
    failures: IntCounterVec,
    ejections: IntCounterVec,
    probes: IntCounterVec,
}

impl Upstreams {
    pub(super) fn new(registry: &MetricRegistry) -> Self {
        Self {
            servers: registry.gauges(
                "portcullis_upstream_servers",
                "Addresses of a server: up, down by its probes, or ejected after failing.",
                &["upstream", "server", "state"],
            ),
            in_use: registry.gauges(
                "portcullis_upstream_requests",
                "Requests a server is answering.",
                &["upstream", "server"],
            ),
            failures: registry.counters(
                "portcullis_upstream_failures_total",
                "Connections that failed, or closed without an answer.",
                &["upstream"],
            ),
            ejections: registry.counters(
                "portcullis_upstream_ejections_total",
                "Servers left out for a while after failing.",
                &["upstream"],
            ),
            probes: registry.counters(
                "portcullis_upstream_probes_total",
                "Health probes, by result.",
                &["upstream", "result"],
            ),
        }
    }

    pub(super) fn count(&self, event: UpstreamEvent<'_>) {
        match event {
            UpstreamEvent::Ejected { upstream } => {
                self.ejections.with_label_values(&[label(upstream)]).inc();
            }
            UpstreamEvent::Failed { upstream } => {
                self.failures.with_label_values(&[label(upstream)]).inc();
            }
            UpstreamEvent::Probed { upstream, outcome } => {
                let result = match outcome {
                    ProbeResult::Failed => "failed",
                    ProbeResult::Good => "ok",
                };
                self.probes.with_label_values(&[label(upstream), result]).inc();
            }
        }
    }

    /// Sums the addresses of each server; servers a reload has removed disappear.
    pub(super) fn set(&self, gauges: &Gauges) {
        self.servers.reset();
        self.in_use.reset();
        for server in &gauges.servers {
            let labels = [label(&server.upstream), server.server.as_str()];
            for (state, word) in [
                (EndpointState::Up, "up"),
                (EndpointState::Down, "down"),
                (EndpointState::Ejected, "ejected"),
            ] {
                let [upstream, name] = labels;
                let gauge = self.servers.with_label_values(&[upstream, name, word]);
                gauge.add(i64::from(state == server.state));
            }
            self.in_use.with_label_values(&labels).add(number(server.in_use));
        }
    }
}

/// The only upstream has no name in the settings.
fn label(upstream: &str) -> &str {
    if upstream.is_empty() { "default" } else { upstream }
}
