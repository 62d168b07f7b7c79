//! Counters for Prometheus: one file per part of the gateway that is counted.

mod connections;
mod gauges;
mod process;
mod requests;
mod shared;
mod sink;
mod tokens;
mod upstreams;
mod usage;

pub(crate) use gauges::{CircuitState, Gauges, ServerGauge};
pub(super) use sink::Metrics;
