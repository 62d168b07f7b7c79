//! Diagnostics of the process, on standard error.
//!
//! The proxy framework logs through `log`; its records are capped at `warn`
//! whatever the level, because at `debug` it prints whole request heads, and its
//! sample HTTP server is silenced because it prints targets with their query.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Format, Log};

/// Starts logging for the process. A second call changes nothing.
pub(crate) fn start(log: &Log) {
    let targets = Targets::new()
        .with_target("portcullis", log.level)
        .with_target("pingora", log.level.min(Level::WARN))
        .with_target("pingora_core", log.level.min(Level::WARN))
        .with_target("pingora_proxy", log.level.min(Level::WARN))
        .with_target("pingora_core::apps::http_app", LevelFilter::OFF)
        .with_default(LevelFilter::from_level(log.level.min(Level::WARN)));
    let format = log.format.unwrap_or_else(|| {
        if std::io::stderr().is_terminal() { Format::Text } else { Format::Json }
    });
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let started = match format {
        Format::Json => {
            registry.with(layer.json().flatten_event(true).with_current_span(false)).try_init()
        }
        Format::Text => registry.with(layer).try_init(),
    };
    // Fails if logging has started: tests run several gateways in one process.
    drop(started);
}
