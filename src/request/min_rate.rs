//! The least that a body must move while one side waits for the client.

use std::time::Duration;

/// So many octets in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinRate {
    pub octets: u64,
    pub window: Duration,
}

impl MinRate {
    /// 1 KiB per second, looked at after half a minute, or sooner where clients are given
    /// less patience for one piece.
    pub(crate) fn default_with(body_timeout: Duration) -> Self {
        let window = Duration::from_secs(30).min(body_timeout * 2).max(Duration::from_secs(1));
        Self { octets: 1024 * window.as_secs(), window }
    }
}
