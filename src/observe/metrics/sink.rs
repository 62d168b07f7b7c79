//! All metrics of the process, as a sink of events.

use super::connections::Connections;
use super::gauges::Gauges;
use super::process::Process;
use super::requests::Requests;
use super::shared::SharedStoreMetrics;
use super::tokens::TokenMetrics;
use super::upstreams::Upstreams;
use super::usage::Usage;
use crate::observe::event::Event;
use crate::observe::registry::MetricRegistry;

pub(in crate::observe) struct Metrics {
    registry: MetricRegistry,
    connections: Connections,
    process: Process,
    requests: Requests,
    shared: SharedStoreMetrics,
    tokens: TokenMetrics,
    upstreams: Upstreams,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = MetricRegistry::default();
        Self {
            connections: Connections::new(&registry),
            process: Process::new(&registry),
            requests: Requests::new(&registry),
            shared: SharedStoreMetrics::new(&registry),
            tokens: TokenMetrics::new(&registry),
            upstreams: Upstreams::new(&registry),
            registry,
        }
    }
}

impl Metrics {
    #[inline]
    pub(in crate::observe) fn count(&self, event: Event<'_>) {
        match event {
            Event::Connection(event) => self.connections.count(event),
            Event::Reloaded { result, problems: _ } => self.process.reloaded(result),
            Event::Request(event) => self.requests.count(event),
            Event::Step(_) => {}
            Event::Session(checked) => self.requests.checked(checked),
            Event::Token(event) => self.tokens.count(event),
            Event::Upstream(event) => self.upstreams.count(event),
        }
    }

    /// In the Prometheus text exposition format.
    pub(in crate::observe) fn render(&self, gauges: &Gauges) -> String {
        self.connections.set(gauges);
        self.process.set(gauges, Usage::read().as_ref());
        self.requests.set(gauges);
        self.shared.set(gauges);
        self.tokens.set(gauges);
        self.upstreams.set(gauges);
        self.registry.render()
    }
}
