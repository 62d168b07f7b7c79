//! Diagnostics of the process, on standard error.
//!
//! The proxy framework logs through `log`; its records are capped at `warn`
//! whatever the level, because at `debug` it prints whole request heads, and its
//! sample HTTP server is silenced because it prints targets with their query.
//! Records of libraries carry their text alone: which file of which crate wrote it
//! helps no operator, and tells versions to every reader of the log.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::base::lock::Lock;
use crate::config::{Format, Log};

/// The current level. It belongs to the process, as standard error does; absent where
/// another collector is installed, as in tests.
static LEVEL: OnceLock<InForce> = OnceLock::new();

struct InForce {
    filter: reload::Handle<Targets, Registry>,
    level: Lock<Level>,
}

/// Starts logging for the process. A second call changes nothing.
pub(crate) fn start(log: &Log) {
    let (filter, handle) = reload::Layer::new(targets(log.level));
    let is_terminal = std::io::stderr().is_terminal();
    let format = log.format.filter(|format| matches!(format, Format::Json | Format::Text));
    let format = format.unwrap_or(if is_terminal { Format::Text } else { Format::Json });
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let started = match format {
        Format::Text => registry.with(layer).try_init(),
        Format::Combined | Format::Json | Format::Logfmt => {
            registry.with(layer.json().flatten_event(true).with_current_span(false)).try_init()
        }
    };
    // Fails if logging has started: tests run several gateways in one process.
    if started.is_ok() {
        LEVEL.get_or_init(|| InForce { filter: handle, level: Lock::new(log.level) });
    }
    forward_libraries(log.level);
}

/// The gateway's own records of this level, those of libraries of `warn` at most.
fn targets(level: Level) -> Targets {
    Targets::new().with_target("portcullis", level).with_default(level.min(Level::WARN))
}

/// Writes records of this level from now on; whether there was anything to change.
pub(crate) fn set_level(level: Level) -> bool {
    let Some(in_force) = LEVEL.get() else { return false };
    let mut current = in_force.level.lock();
    if *current != level && in_force.filter.reload(targets(level)).is_ok() {
        *current = level;
        log::set_max_level(most_of_libraries(level));
    }
    true
}

/// The current level.
pub(crate) fn level() -> Option<Level> {
    LEVEL.get().map(|in_force| *in_force.level.lock())
}

/// Passes on what libraries write through `log`, of `level` or `warn` at most. A second
/// call changes nothing.
pub fn forward_libraries(level: Level) {
    if log::set_logger(&Libraries).is_ok() {
        log::set_max_level(most_of_libraries(level));
    }
}

fn most_of_libraries(level: Level) -> log::LevelFilter {
    if level == Level::ERROR { log::LevelFilter::Error } else { log::LevelFilter::Warn }
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
