//! A remote issuer that keeps failing is not called for a while.
//!
//! The cache remembers failures per user; this remembers them per issuer. After a
//! few unanswered calls in a row, requests fail at once instead of waiting for
//! another one, until a pause is over that doubles each time. Then one call is let
//! through, and its outcome counts for all.
//!
//! Pure except for the table's lock: time is an argument.

use std::collections::HashMap;
use std::time::Duration;

use super::error::IssueError;
use crate::base::clock::Now;
use crate::base::lock::Lock;
use crate::observe::CircuitState;

/// Failed calls in a row that open the circuit.
const PATIENCE: u32 = 5;
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause that an issuer can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How a call ended.
#[derive(Clone, Copy)]
pub(super) enum CallOutcome {
    Answered,
    /// The error, and the pause that the issuer asked for, if any.
    Failed(IssueError, Option<Duration>),
}

/// The issuers of all tokens, by the token's name.
#[derive(Default)]
pub(super) struct Circuits(Lock<HashMap<String, Circuit>>);

#[derive(Default)]
struct Circuit {
    failures: u32,
    open: Option<Pause>,
    is_trying: bool,
}

struct Pause {
    until: Now,
    /// Returned to callers while the circuit is open.
    error: IssueError,
}

/// The right to call the issuer; `ended` says how the call went.
pub(super) struct CallPermit<'c> {
    circuits: &'c Circuits,
    token: &'c str,
    is_trial: bool,
}

/// The name under which the first call of a token has its circuit.
pub(super) fn first_call(token: &str) -> String {
    format!("{token}.first")
}

impl Circuits {
    /// The right to call the issuer now, else its last failure.
    pub(super) fn enter<'c>(
        &'c self,
        token: &'c str,
        now: Now,
    ) -> Result<CallPermit<'c>, IssueError> {
        let mut circuits = self.0.lock();
        let circuit = circuits.entry(token.to_owned()).or_default();
        let Some(pause) = &circuit.open else {
            return Ok(CallPermit { circuits: self, token, is_trial: false });
        };
        if circuit.is_trying || now.ticks() < pause.until.ticks() {
            return Err(pause.error);
        }
        circuit.is_trying = true;
        Ok(CallPermit { circuits: self, token, is_trial: true })
    }

    /// The rest of the pause after an issuer that is merely busy.
    pub(super) fn busy(&self, token: &str, now: Now) -> Option<Duration> {
        let circuits = self.0.lock();
        let pause = circuits.get(token)?.open.as_ref()?;
        let rest = pause.until.ticks().checked_sub(now.ticks())?;
        (pause.error == IssueError::Unavailable && !rest.is_zero()).then_some(rest)
    }

    pub(super) fn state(&self, token: &str) -> CircuitState {
        let circuits = self.0.lock();
        match circuits.get(token) {
            Some(circuit) if circuit.is_trying => CircuitState::Trying,
            Some(circuit) if circuit.open.is_some() => CircuitState::Open,
            Some(_) | None => CircuitState::Closed,
        }
    }

    /// Forgets every failure: the settings have changed, perhaps for that.
    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }

    fn with(&self, token: &str, change: impl FnOnce(&mut Circuit)) {
        let mut circuits = self.0.lock();
        if let Some(circuit) = circuits.get_mut(token) {
            change(circuit);
        }
    }
}

impl CallPermit<'_> {
    pub(super) fn ended(self, outcome: CallOutcome, now: Now) {
        self.circuits.with(self.token, |circuit| match outcome {
            CallOutcome::Answered => *circuit = Circuit::default(),
            CallOutcome::Failed(error, wait) => circuit.failed(error, wait, now),
        });
    }
}

/// A cancelled call has found out nothing: another request may try.
impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        if self.is_trial {
            self.circuits.with(self.token, |circuit| circuit.is_trying = false);
        }
    }
}

impl Circuit {
    fn failed(&mut self, error: IssueError, wait: Option<Duration>, now: Now) {
        self.failures = self.failures.saturating_add(1);
        let pause = match wait {
            Some(wait) => wait.clamp(SHORTEST_PAUSE, LONGEST_WAIT),
            None if self.failures < PATIENCE => return,
            None => {
                let doubled = 2_u32.saturating_pow(self.failures - PATIENCE);
                SHORTEST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
            }
        };
        self.open = Some(Pause { until: now.plus(pause), error });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now::at(seconds)
    }

    fn fail(circuits: &Circuits, now: u64) -> bool {
        let Ok(permit) = circuits.enter("t", at(now)) else { return false };
        permit.ended(CallOutcome::Failed(IssueError::Timeout, None), at(now));
        true
    }

    #[test]
    fn an_issuer_is_left_alone_after_five_failures_and_longer_each_time() {
        let circuits = Circuits::default();
        assert_eq!((0..9).filter(|_| fail(&circuits, 100)).count(), 5);
        assert_eq!(circuits.state("t"), CircuitState::Open);
        assert_eq!(circuits.enter("t", at(100)).err(), Some(IssueError::Timeout));
        let called: Vec<_> = (100..200).filter(|&now| fail(&circuits, now)).collect();
        assert_eq!(called, [101, 103, 107, 115, 131, 161, 191]);
    }

    #[test]
    fn one_call_tries_and_its_outcome_counts_for_all() {
        let circuits = Circuits::default();
        (0..5).for_each(|_| assert!(fail(&circuits, 100)));
        let permit = circuits.enter("t", at(101)).ok().unwrap();
        assert_eq!(circuits.state("t"), CircuitState::Trying);
        assert!(circuits.enter("t", at(500)).is_err());
        permit.ended(CallOutcome::Answered, at(101));
        assert_eq!(circuits.state("t"), CircuitState::Closed);
        assert_eq!((0..9).filter(|_| fail(&circuits, 101)).count(), 5, "the count starts at zero");
    }

    #[test]
    fn a_trial_that_is_given_up_leaves_room_for_another() {
        let circuits = Circuits::default();
        (0..5).for_each(|_| assert!(fail(&circuits, 100)));
        drop(circuits.enter("t", at(101)).ok().unwrap());
        assert_eq!(circuits.state("t"), CircuitState::Open);
        assert!(circuits.enter("t", at(101)).is_ok());
    }

    #[test]
    fn an_answer_resets_the_count_of_failures() {
        let circuits = Circuits::default();
        for _ in 0..4 {
            (0..4).for_each(|_| assert!(fail(&circuits, 100)));
            circuits.enter("t", at(100)).ok().unwrap().ended(CallOutcome::Answered, at(100));
        }
        assert_eq!(circuits.state("t"), CircuitState::Closed);
    }

    #[test]
    fn an_issuer_that_names_a_time_is_asked_then_but_not_next_year() {
        let circuits = Circuits::default();
        for (wish, pause) in [(7, 7), (1_000_000, 60), (0, 1)] {
            circuits.forget();
            let wish = Some(Duration::from_secs(wish));
            let permit = circuits.enter("t", at(100)).ok().unwrap();
            permit.ended(CallOutcome::Failed(IssueError::Unavailable, wish), at(100));
            assert_eq!(circuits.busy("t", at(100)), Some(Duration::from_secs(pause)));
            assert_eq!(circuits.busy("t", at(100 + pause)), None);
            assert!(circuits.enter("t", at(99 + pause)).is_err());
            assert!(circuits.enter("t", at(100 + pause)).is_ok());
        }
    }

    #[test]
    fn one_issuers_trouble_is_not_anothers() {
        let circuits = Circuits::default();
        (0..5).for_each(|_| assert!(fail(&circuits, 100)));
        assert!(circuits.enter("other", at(100)).is_ok());
    }
}
