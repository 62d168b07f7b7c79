//! The question of one request's limits to the shared store, and its answer. Pure.

use redis::{RedisWrite, ToRedisArgs, Value};

use super::gcra::{Arrivals, BucketKey, Limit, MAX_RATES};
use crate::base::digest::Mark;

/// One limit's turn in a request.
pub(super) struct Turn<'l> {
    pub(super) limit: &'l Limit,
    pub(super) key: BucketKey,
    pub(super) quota: Quota,
    /// How far its arrival times are ahead, once it has taken something.
    pub(super) ahead: Arrivals,
}

/// Where a limit takes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quota {
    /// A lease of this replica: taken.
    Leased,
    /// Nothing: its refusal is known here.
    Refused,
    /// The store, up to `most`, after it got `back`: per rate, in nanoseconds.
    Store { most: u32, back: Arrivals },
    /// Not decided yet.
    Waiting,
}

impl<'l> Turn<'l> {
    pub(super) fn new(limit: &'l Limit, whose: Mark) -> Self {
        let (key, ahead) = (limit.bucket(whose), Arrivals::default());
        Self { limit, key, quota: Quota::Waiting, ahead }
    }

    /// Whether the store is asked about it.
    pub(super) fn is_asked(&self) -> bool {
        match self.quota {
            Quota::Store { .. } => true,
            Quota::Leased | Quota::Refused | Quota::Waiting => false,
        }
    }
}

/// The meaning of a refusal by one limit for the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Admit {
    /// They admit together, or nothing is taken from any.
    All,
    /// Nothing: each answers for itself.
    Each,
}

/// The turns that need the store, as arguments of its script (`take.lua`).
#[derive(Clone, Copy)]
pub(super) struct StoreTurns<'t, 'l> {
    pub(super) turns: &'t [Turn<'l>],
    /// The least that each takes.
    pub(super) cost: u32,
    pub(super) admit: Admit,
}

/// The answer about one limit.
pub(super) struct Taken {
    pub(super) count: u32,
    /// Nanoseconds until the limit admits; zero where it would have.
    pub(super) wait: u64,
    /// Per rate, nanoseconds the arrival time is ahead.
    pub(super) ahead: Arrivals,
}

impl ToRedisArgs for StoreTurns<'_, '_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let admit = match self.admit {
            Admit::All => "all",
            Admit::Each => "each",
        };
        admit.write_redis_args(out);
        for turn in self.turns {
            let Quota::Store { most, back } = turn.quota else { continue };
            out.write_arg_fmt(turn.limit.stored_name());
            let rates = turn.limit.microseconds();
            rates.len().write_redis_args(out);
            for number in [self.cost, most] {
                number.write_redis_args(out);
            }
            for ((interval, tolerance), back) in rates.zip(back) {
                for number in [interval, tolerance, back / 1000] {
                    number.write_redis_args(out);
                }
            }
        }
    }

    fn num_of_args(&self) -> usize {
        let of_turn = |turn: &Turn<'_>| 4 + 3 * turn.limit.microseconds().len();
        1 + self.turns.iter().filter(|turn| turn.is_asked()).map(of_turn).sum::<usize>()
    }
}

impl StoreTurns<'_, '_> {
    pub(super) fn is_empty(&self) -> bool {
        !self.turns.iter().any(Turn::is_asked)
    }

    /// The script's answer, in the order of the turns that asked; `None` if it is another.
    pub(super) fn read(&self, answer: &Value) -> Option<Vec<Taken>> {
        let Value::Array(parts) = answer else { return None };
        let mut numbers = parts.iter().map(|part| match part {
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        });
        let asked = self.turns.iter().filter(|turn| turn.is_asked());
        let taken = asked.map(|turn| {
            let count = u32::try_from(numbers.next()??).ok()?;
            let wait = numbers.next()??.saturating_mul(1000);
            let mut ahead = [0; MAX_RATES];
            for (ahead, _) in ahead.iter_mut().zip(turn.limit.microseconds()) {
                *ahead = numbers.next()??.saturating_mul(1000);
            }
            Some(Taken { count, wait, ahead })
        });
        let taken = taken.collect::<Option<Vec<_>>>()?;
        let is_sound = |one: &Taken| one.wait > 0 || one.count >= self.cost;
        let are_sound = match self.admit {
            Admit::All => taken.iter().any(|one| one.wait > 0) || taken.iter().all(is_sound),
            Admit::Each => taken.iter().all(is_sound),
        };
        are_sound.then_some(taken)
    }
}
