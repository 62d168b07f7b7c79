//! How the app's servers are doing, in numbers. Labels are names of the
//! configuration; an address the resolver found is never one.

use std::sync::Arc;

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::metrics::register;
use crate::base::clock::Now;
use crate::upstream::{EndpointState, Pool, ProbeResult, Upstream};

pub struct UpstreamMetrics {
    servers: IntGaugeVec,
    in_use: IntGaugeVec,
    failures: IntCounterVec,
    ejections: IntCounterVec,
    probes: IntCounterVec,
}

impl UpstreamMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        Self {
            servers: gauge(
                "portcullis_upstream_servers",
                "Addresses of a server: up, down by its probes, or ejected after failing.",
                &["upstream", "server", "state"],
            ),
            in_use: gauge(
                "portcullis_upstream_requests",
                "Requests a server is answering.",
                &["upstream", "server"],
            ),
            failures: counter(
                "portcullis_upstream_failures_total",
                "Connections that failed, or ended without a word.",
                &["upstream"],
            ),
            ejections: counter(
                "portcullis_upstream_ejections_total",
                "Servers left out for a while after failing.",
                &["upstream"],
            ),
            probes: counter(
                "portcullis_upstream_probes_total",
                "Health probes, by result.",
                &["upstream", "result"],
            ),
        }
    }

    pub fn failed(&self, upstream: &Upstream) {
        self.failures.with_label_values(&[label(upstream)]).inc();
    }

    pub fn ejected(&self, upstream: &Upstream) {
        self.ejections.with_label_values(&[label(upstream)]).inc();
    }

    pub fn probed(&self, upstream: &Upstream, outcome: ProbeResult) {
        let result = match outcome {
            ProbeResult::Failed => "failed",
            ProbeResult::Good => "ok",
        };
        self.probes.with_label_values(&[label(upstream), result]).inc();
    }

    /// Counts the servers as they are now.
    pub fn survey<'u>(
        &self,
        upstreams: impl IntoIterator<Item = (&'u Upstream, Arc<Pool>)>,
        now: Now,
    ) {
        self.servers.reset();
        self.in_use.reset();
        for (upstream, pool) in upstreams {
            let name = label(upstream);
            for endpoint in pool.endpoints().iter() {
                let server = endpoint.server.to_string();
                let state = endpoint.state(now);
                for (kind, word) in [
                    (EndpointState::Up, "up"),
                    (EndpointState::Down, "down"),
                    (EndpointState::Ejected, "ejected"),
                ] {
                    let gauge = self.servers.with_label_values(&[name, &server, word]);
                    gauge.add(i64::from(kind == state));
                }
                let in_use = i64::try_from(endpoint.in_use()).unwrap_or(i64::MAX);
                self.in_use.with_label_values(&[name, &server]).add(in_use);
            }
        }
    }
}

fn label(upstream: &Upstream) -> &str {
    if upstream.name.is_empty() { "default" } else { &upstream.name }
}
