//! Pauses between attempts to reach what cannot be reached: each twice as long as the one
//! before, up to a ceiling.
//!
//! A pause is shortened by up to half of it, at random, so that replicas that have met with
//! the same failure do not come back together. No pause is longer than the ceiling.

use std::time::Duration;

/// Ceiling where a task in the background tries the shared store.
pub(crate) const LONGEST_UNREACHED: Duration = Duration::from_secs(5);

/// The pauses of one place.
pub(crate) struct Pauses {
    first: Duration,
    longest: Duration,
    failed: u32,
}

impl Pauses {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failed: 0 }
    }

    /// The pause after another failure.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(self.failed));
        self.failed = self.failed.saturating_add(1);
        scattered(doubled.min(self.longest))
    }

    /// After a success, the next failure is the first again.
    pub(crate) fn reset(&mut self) {
        self.failed = 0;
    }
}

/// Between half of a pause and all of it.
fn scattered(pause: Duration) -> Duration {
    let mut byte = [0; 1];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let [part] = byte;
    pause.saturating_sub(pause / 2 * u32::from(part) / 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);

    #[test]
    fn each_pause_is_twice_the_one_before_up_to_the_ceiling() {
        let mut pauses = Pauses::new(FIRST, LONGEST_UNREACHED);
        for whole in [500, 1000, 2000, 4000, 5000, 5000].map(Duration::from_millis) {
            let pause = pauses.next();
            assert!((whole / 2..=whole).contains(&pause), "{pause:?} of {whole:?}");
        }
        (0..100).for_each(|_| assert!(pauses.next() <= LONGEST_UNREACHED));
        assert!(pauses.next() <= LONGEST_UNREACHED);
    }

    #[test]
    fn a_success_makes_the_next_failure_the_first_again() {
        let mut pauses = Pauses::new(FIRST, LONGEST_UNREACHED);
        (0..9).for_each(|_| assert!(pauses.next() <= LONGEST_UNREACHED));
        pauses.reset();
        assert!(pauses.next() <= FIRST);
    }

    #[test]
    fn replicas_that_fail_together_do_not_come_back_together() {
        let all: Vec<_> = (0..32).map(|_| Pauses::new(FIRST, LONGEST_UNREACHED).next()).collect();
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert!(different.len() > 8, "{all:?}");
    }
}
