//! Whether a server of the shared store is in use, and when a paused one is tried
//! again.
//!
//! Pure but for its counters. A server that accepts calls but does not answer is spared:
//! it is tried after 1 s, then after twice as long each time, up to 30 s: an attempt waits
//! for its answer meanwhile. One that cannot be reached, or reports that it is not ready,
//! gives no sign when it is back, so it is tried after 0.5 s, then after twice as long, up
//! to 5 s.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::failure::Failure;
use super::pauses::{LONGEST_UNREACHED, Pauses};
use crate::base::redis_url::RedisNode;

/// Failures in a row that open it.
const FAILURES: u32 = 3;
/// First and longest pause of a server that does not answer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// First pause where nothing reaches the server, or nothing but a refusal comes of it.
const FIRST_UNREACHED: Duration = Duration::from_millis(500);

/// The breaker of one server.
#[derive(Default)]
pub(super) struct Breaker {
    failed: AtomicU32,
    is_open: AtomicBool,
}

/// A server with its own breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One of a Cluster.
    Server(RedisNode),
    /// The store, however many servers it has.
    Whole,
}

/// The change that a call's outcome makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Closed,
    None,
    Opened,
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    pub(super) fn succeeded(&self) -> Change {
        self.failed.store(0, Ordering::Release);
        if self.is_open.load(Ordering::Acquire) && self.is_open.swap(false, Ordering::AcqRel) {
            return Change::Closed;
        }
        Change::None
    }

    pub(super) fn failed(&self) -> Change {
        let failed = self.failed.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        if failed >= FAILURES && !self.is_open.swap(true, Ordering::AcqRel) {
            return Change::Opened;
        }
        Change::None
    }
}

/// The pauses between attempts while a breaker is open.
pub(super) struct Backoff {
    /// The next pause of a server that does not answer.
    silent: Duration,
    unreached: Pauses,
}

impl Default for Backoff {
    fn default() -> Self {
        let unreached = Pauses::new(FIRST_UNREACHED, LONGEST_UNREACHED);
        Self { silent: FIRST_PAUSE, unreached }
    }
}

impl Backoff {
    /// The time from the failure that opened the breaker to the first attempt.
    pub(super) fn first_pause(&mut self, failure: &Failure) -> Duration {
        if is_hard_on_the_server(failure) { FIRST_PAUSE } else { self.unreached.next() }
    }

    /// Longest time of the next attempt: its answer may come late, and is worth waiting
    /// for, because it tells that the server is back.
    pub(super) fn patience(&self) -> Duration {
        self.silent
    }

    /// The time from the start of an attempt that failed to the next one.
    pub(super) fn pause_after(&mut self, failure: &Failure) -> Duration {
        if !is_hard_on_the_server(failure) {
            self.silent = FIRST_PAUSE;
            return self.unreached.next();
        }
        self.unreached.reset();
        let pause = self.silent;
        self.silent = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

fn is_hard_on_the_server(failure: &Failure) -> bool {
    match failure {
        Failure::Lost
        | Failure::ReadOnly
        | Failure::Redirected { .. }
        | Failure::TryAgain
        | Failure::Unreachable => false,
        Failure::Server(code) => !matches!(code.as_str(), "CLUSTERDOWN" | "LOADING" | "MASTERDOWN"),
        Failure::Certificate(_)
        | Failure::NoScript
        | Failure::NotAllowed(_)
        | Failure::TimedOut
        | Failure::Unfit(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_open_it_and_one_answer_closes_it() {
        let breaker = Breaker::default();
        assert_eq!([breaker.failed(), breaker.failed()], [Change::None; 2]);
        assert_eq!(breaker.succeeded(), Change::None);
        assert_eq!([breaker.failed(), breaker.failed()], [Change::None; 2]);
        assert!(!breaker.is_open());
        assert_eq!([breaker.failed(), breaker.failed()], [Change::Opened, Change::None]);
        assert!(breaker.is_open());
        assert_eq!([breaker.succeeded(), breaker.succeeded()], [Change::Closed, Change::None]);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_server_that_does_not_answer_is_asked_after_twice_as_long_each_time() {
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            assert_eq!(backoff.patience(), backoff.silent);
            pauses.push(backoff.pause_after(&Failure::TimedOut).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_server_that_is_away_is_tried_soon_and_then_less_and_less_often() {
        let mut backoff = Backoff::default();
        backoff.pause_after(&Failure::TimedOut);
        let loading = Failure::Server("LOADING".to_owned());
        let mut most = FIRST_UNREACHED;
        for failure in [Failure::Unreachable, Failure::Lost, Failure::ReadOnly, loading] {
            let pause = backoff.pause_after(&failure);
            assert!((most / 2..=most).contains(&pause), "{failure}: {pause:?} of {most:?}");
            assert_eq!(backoff.patience(), FIRST_PAUSE);
            most *= 2;
        }
        (0..9).for_each(|_| assert!(backoff.pause_after(&Failure::Lost) <= LONGEST_UNREACHED));
        let other = Failure::Server("OOM".to_owned());
        assert_eq!(backoff.pause_after(&other), FIRST_PAUSE);
        assert!(backoff.pause_after(&Failure::Lost) <= FIRST_UNREACHED, "it has answered since");
    }

    #[test]
    fn the_first_attempt_is_made_soon() {
        assert!(Backoff::default().first_pause(&Failure::Unreachable) <= FIRST_UNREACHED);
        assert_eq!(Backoff::default().first_pause(&Failure::TimedOut), FIRST_PAUSE);
    }
}
