//! Standard error of the process, kept to be searched.

use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Memory;

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        WRITTEN.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything the gateway itself says, at any level, and what the operator would
/// see of the framework.
pub(super) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let targets = Targets::new()
            .with_target("portcullis", LevelFilter::TRACE)
            .with_default(LevelFilter::WARN);
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Memory);
        tracing_subscriber::registry().with(targets).with(layer).init();
        portcullis::testing::forward_libraries(tracing::Level::WARN);
    });
}

/// Lines since the last call.
pub(super) fn take() -> Vec<u8> {
    std::mem::take(&mut *WRITTEN.lock().unwrap_or_else(PoisonError::into_inner))
}
