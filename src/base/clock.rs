//! The current time, read at the edge and passed down as a value.
//!
//! `Now` is taken once per request. It carries two readings, because they
//! answer different questions: expiry is a matter of the wall clock, while
//! limits count on the monotonic one, so that setting the clock back neither
//! locks users out nor hands out a fresh allowance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    unix_ms: u64,
    ticks: Duration,
}

impl Now {
    /// The wall-clock instant `seconds` after the epoch; the monotonic reading
    /// is the same number, which is what tests and the command line want.
    pub const fn at(seconds: u64) -> Self {
        Self { unix_ms: seconds * 1000, ticks: Duration::from_secs(seconds) }
    }

    /// Whole seconds since the epoch (RFC 7519 `NumericDate`).
    pub const fn unix(self) -> u64 {
        self.unix_ms / 1000
    }

    pub const fn unix_ms(self) -> u64 {
        self.unix_ms
    }

    /// The monotonic reading: only differences mean anything.
    pub const fn ticks(self) -> Duration {
        self.ticks
    }

    /// The same instant, moved on by `step` on both clocks.
    #[must_use]
    pub fn plus(self, step: Duration) -> Self {
        Self {
            unix_ms: self.unix_ms.saturating_add(milliseconds(step)),
            ticks: self.ticks.saturating_add(step),
        }
    }

    /// Time passed since `earlier` on the monotonic clock; zero if none did.
    pub fn since(self, earlier: Self) -> Duration {
        self.ticks.saturating_sub(earlier.ticks)
    }
}

/// Whole milliseconds. `Duration::as_millis` counts, and divides, with twice as many bits.
pub(crate) const fn milliseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1000).saturating_add(time.subsec_millis() as u64)
}

/// Where `Now` comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Stands still until a test moves it.
    Manual(Arc<ManualClock>),
    System(Instant),
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system time")]
    pub fn system() -> Self {
        Self::System(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system time")]
    pub fn now(&self) -> Now {
        match self {
            Self::Manual(clock) => clock.now(),
            Self::System(start) => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Now { unix_ms: milliseconds(since_epoch), ticks: start.elapsed() }
            }
        }
    }

    /// Time passed since `earlier`; asks one clock only.
    pub fn since(&self, earlier: Now) -> Duration {
        match self {
            Self::Manual(clock) => clock.now().since(earlier),
            Self::System(start) => start.elapsed().saturating_sub(earlier.ticks),
        }
    }
}

/// A clock for tests: milliseconds since the epoch, moved by hand.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    pub fn at(seconds: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seconds * 1000)))
    }

    pub fn advance(&self, step: Duration) {
        self.0.fetch_add(milliseconds(step), Ordering::SeqCst);
    }

    fn now(&self) -> Now {
        let unix_ms = self.0.load(Ordering::SeqCst);
        Now { unix_ms, ticks: Duration::from_millis(unix_ms) }
    }
}
