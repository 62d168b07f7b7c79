//! What time it is, read at the edge and passed down as a value.
//!
//! `Now` is taken once per request. It carries two readings, because they
//! answer different questions: expiry is a matter of the wall clock, while
//! limits count on the monotonic one, so that setting the clock back neither
//! locks users out nor hands out a fresh allowance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::base::text;

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
        let step_ms = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
        Self {
            unix_ms: self.unix_ms.saturating_add(step_ms),
            ticks: self.ticks.saturating_add(step),
        }
    }

    /// Time passed since `earlier` on the monotonic clock; zero if none did.
    pub fn since(self, earlier: Self) -> Duration {
        self.ticks.saturating_sub(earlier.ticks)
    }
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
                let unix_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
                Now { unix_ms, ticks: start.elapsed() }
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
        self.0.fetch_add(u64::try_from(step.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn now(&self) -> Now {
        let unix_ms = self.0.load(Ordering::SeqCst);
        Now { unix_ms, ticks: Duration::from_millis(unix_ms) }
    }
}

/// RFC 3339 in UTC, with milliseconds (days to date as in Howard Hinnant's
/// `civil_from_days`).
pub fn push_rfc3339(out: &mut String, unix_ms: u64) {
    let (days, rest) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    for (number, unit, after) in [
        (year, 10_000, '-'),
        (month, 100, '-'),
        (day, 100, 'T'),
        (hour, 100, ':'),
        (minute, 100, ':'),
        (second, 100, '.'),
        (milli, 1000, 'Z'),
    ] {
        text::push_below(out, number, unit);
        out.push(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        let time = |unix: u64| {
            let mut out = String::new();
            push_rfc3339(&mut out, unix * 1000);
            out
        };
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(1_709_251_199), "2024-02-29T23:59:59.000Z");
        assert_eq!(time(4_107_542_400), "2100-03-01T00:00:00.000Z");
    }
}
