//! Diagnostics of the process, on standard error.
//!
//! The proxy framework logs through `log`; its records are capped at `warn`
//! whatever the level, because at `debug` it prints whole request heads, and its
//! sample HTTP server is silenced because it prints targets with their query.
//! Records of libraries carry their text alone: which file of which crate wrote it
//! helps no operator, and tells versions to every reader of the log.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Format, Log};

/// Starts logging for the process. A second call changes nothing.
pub(crate) fn start(log: &Log) {
    let targets = Targets::new()
        .with_target("portcullis", log.level)
        .with_default(log.level.min(Level::WARN));
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
    forward_libraries(log.level);
}

/// Passes on what libraries write through `log`, of `level` or `warn` at most. A second
/// call changes nothing.
pub fn forward_libraries(level: Level) {
    if log::set_logger(&Libraries).is_ok() {
        let errors_only = level == Level::ERROR;
        let most = if errors_only { log::LevelFilter::Error } else { log::LevelFilter::Warn };
        log::set_max_level(most);
    }
}

/// The records of libraries that use `log`.
struct Libraries;

impl log::Log for Libraries {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
            && !metadata.target().starts_with("pingora_core::apps::http_app")
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args();
        match record.level() {
            log::Level::Error => tracing::error!(target: "library", "{text}"),
            log::Level::Warn => tracing::warn!(target: "library", "{text}"),
            log::Level::Info | log::Level::Debug | log::Level::Trace => {}
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use log::Log as _;

    use super::*;
    use crate::base::lock::Lock;

    #[derive(Clone, Default)]
    struct Memory(Arc<Lock<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_record_of_a_library_names_no_file_and_no_module() {
        let memory = Memory::default();
        let writer = memory.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
        let layer = layer.with_target(false).json().flatten_event(true).with_current_span(false);
        let subscriber = tracing_subscriber::registry().with(layer);
        log::set_max_level(log::LevelFilter::Warn);
        let write = |level, target: &str| {
            let mut record = log::Record::builder();
            record.level(level).target(target).module_path(Some("lib::inner"));
            record.file(Some("/registry/lib-1.2.3/src/inner.rs")).line(Some(7));
            Libraries.log(&record.args(format_args!("it broke")).build());
        };
        tracing::subscriber::with_default(subscriber, || {
            write(log::Level::Warn, "lib::inner");
            write(log::Level::Info, "lib::inner");
            write(log::Level::Error, "pingora_core::apps::http_app");
        });
        let written = String::from_utf8(memory.0.lock().clone()).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        let line: serde_json::Value = serde_json::from_str(&written).unwrap();
        let mut members: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        members.sort();
        assert_eq!(members, ["level", "message", "timestamp"], "{written}");
    }
}
