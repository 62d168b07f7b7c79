//! Limits that all replicas count together, exactly: one key per user in the shared store,
//! one round trip for all rates of all limits of a request.
//!
//! A user who is over the limit costs nothing: the store's refusal holds here until its
//! time is over. Every answer of the store is also learned by the counters in memory, so
//! that an outage begins with what is used up, not with a fresh allowance.

use std::slice;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::gcra::{Admitted, Arrivals, BucketKey, Exceeded, Limit};
use super::lease::{Lease, Leases};
use super::memory::Limits;
use super::question::{Admit, Quota, StoreTurns, Taken, Turn};
use super::setting::{LEASED_FOR, OnError};
use crate::base::clock::Now;
use crate::base::digest::Mark;
use crate::outbound::redis::{Script, SharedStore};

/// Users whose refusal is remembered here.
const DENIED: usize = 64 * 1024;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::in_time(include_str!("take.lua")));

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Exceeded(Exceeded),
    /// The store does not answer, and the limit says to refuse then.
    Uncounted,
}

/// The limits of a `[shared]` table.
pub(crate) struct SharedLimits {
    store: Arc<SharedStore>,
    on_error: OnError,
    denied: Limits,
    leases: Leases,
}

impl SharedLimits {
    pub(crate) fn new(store: Arc<SharedStore>, on_error: OnError) -> Self {
        let denied = Limits::with_capacity(DENIED);
        Self { store, on_error, denied, leases: Leases::default() }
    }

    /// Takes `cost` from the user's bucket over all replicas, or nothing. `here` are the
    /// counters of this process.
    pub(crate) async fn take(
        &self,
        here: &Limits,
        limit: &Limit,
        whose: Mark,
        cost: u32,
        now: Now,
    ) -> Result<Admitted, Denied> {
        let mut turns = [Turn::new(limit, whose)];
        self.take_together(here, &mut turns, whose, cost, now).await.map_err(|(_, why)| why)?;
        let [turn] = turns;
        Ok(turn.limit.admitted(&turn.ahead))
    }

    /// Takes one from each limit, or nothing from any. Of those that refuse, the one with
    /// the longest wait is told, by its place in `limits`.
    pub(crate) async fn take_all(
        &self,
        here: &Limits,
        limits: &[&Limit],
        whose: Mark,
        now: Now,
    ) -> Result<(), (usize, Denied)> {
        let mut turns: Vec<_> = limits.iter().map(|limit| Turn::new(limit, whose)).collect();
        self.take_together(here, &mut turns, whose, 1, now).await
    }

    /// Takes one from each limit that admits, whatever the others say, in one question.
    pub(crate) async fn take_each(
        &self,
        here: &Limits,
        limits: &[&Limit],
        whose: Mark,
        now: Now,
    ) -> Vec<Result<(), Denied>> {
        let mut turns: Vec<_> = limits.iter().map(|limit| Turn::new(limit, whose)).collect();
        let mut results = Vec::with_capacity(turns.len());
        for turn in &mut turns {
            let prepared = self.prepare(slice::from_mut(turn), 1, now);
            if prepared.is_err() {
                turn.quota = Quota::Refused;
            }
            results.push(prepared.map_err(|(_, why)| Denied::Exceeded(why)));
        }
        let question = StoreTurns { turns: &turns, cost: 1, admit: Admit::Each };
        if question.is_empty() {
            return results;
        }
        let mut taken = self.ask(question, whose).await.map(Vec::into_iter);
        let asked = turns.iter_mut().zip(&mut results).filter(|(turn, _)| turn.is_asked());
        for (turn, result) in asked {
            let turn = slice::from_mut(turn);
            let done = match taken.as_mut().map(Iterator::next) {
                Some(Some(taken)) => self.taken(here, turn, &[taken], 1, now),
                Some(None) | None => self.without_store(here, turn, now),
            };
            *result = done.map_err(|(_, why)| why);
        }
        results
    }

    /// Whether the user may have something left, as far as is known here.
    pub(crate) fn look(&self, limit: &Limit, key: BucketKey, now: Now) -> Result<(), Exceeded> {
        if limit.lease().is_some() && self.leases.has_left(key, now) {
            return Ok(());
        }
        let looked = self.denied.look(limit, key, now);
        looked.inspect_err(|_| self.store.counts.count_denied_here())
    }

    async fn take_together(
        &self,
        here: &Limits,
        turns: &mut [Turn<'_>],
        whose: Mark,
        cost: u32,
        now: Now,
    ) -> Result<(), (usize, Denied)> {
        self.prepare(turns, cost, now).map_err(|(index, why)| (index, Denied::Exceeded(why)))?;
        let question = StoreTurns { turns, cost, admit: Admit::All };
        if question.is_empty() {
            return Ok(());
        }
        let admitted = match self.ask(question, whose).await {
            Some(taken) => self.taken(here, turns, &taken, cost, now),
            None => self.without_store(here, turns, now),
        };
        if admitted.is_err() {
            self.give_leased(turns, cost);
        }
        admitted
    }

    /// The store's answer about each turn that asks, if there is one.
    async fn ask(&self, question: StoreTurns<'_, '_>, whose: Mark) -> Option<Vec<Taken>> {
        let name = self.store.key(&format!("l:{:032x}", whose.bits()));
        let answer = self.store.run(&TAKE, &name, question).await.ok()?;
        question.read(&answer)
    }

    /// Takes from the leases there are, and says what to ask the store for; nothing of both
    /// where the store has refused one of the limits until later than now.
    fn prepare(
        &self,
        turns: &mut [Turn<'_>],
        cost: u32,
        now: Now,
    ) -> Result<(), (usize, Exceeded)> {
        let mut over: Vec<(BucketKey, Lease)> = Vec::new();
        let mut refused: Option<(usize, Exceeded)> = None;
        for (index, turn) in turns.iter_mut().enumerate() {
            let lease = turn.limit.lease().filter(|lease| *lease >= cost.saturating_mul(2));
            let mut back = Arrivals::default();
            if lease.is_some() && refused.is_none() {
                match self.leases.take(turn.key, cost, now) {
                    Ok(ahead) => {
                        (turn.quota, turn.ahead) = (Quota::Leased, ahead);
                        continue;
                    }
                    Err(Some(lease)) => {
                        back = lease.unused(turn.limit, now);
                        over.push((turn.key, lease));
                    }
                    Err(None) => {}
                }
            }
            turn.quota = Quota::Store { most: lease.unwrap_or(cost), back };
            // What is given back may be what the store lacked.
            if back == Arrivals::default()
                && let Err(exceeded) = self.denied.look(turn.limit, turn.key, now)
                && refused.is_none_or(|(_, known)| known.retry_after < exceeded.retry_after)
            {
                refused = Some((index, exceeded));
            }
        }
        let Some(refused) = refused else { return Ok(()) };
        self.store.counts.count_denied_here();
        self.give_leased(turns, cost);
        over.into_iter().for_each(|(key, lease)| self.leases.restore(key, lease));
        Err(refused)
    }

    /// As the store decided.
    fn taken(
        &self,
        here: &Limits,
        turns: &mut [Turn<'_>],
        taken: &[Taken],
        cost: u32,
        now: Now,
    ) -> Result<(), (usize, Denied)> {
        let mut refused: Option<(usize, &Taken)> = None;
        let asked = turns.iter_mut().enumerate().filter(|(_, turn)| turn.is_asked());
        for ((index, turn), taken) in asked.zip(taken) {
            turn.ahead = taken.ahead;
            here.learn(turn.key, &taken.ahead, now);
            if taken.wait > 0 {
                self.remember(turn, now);
                if refused.is_none_or(|(_, longest)| longest.wait < taken.wait) {
                    refused = Some((index, taken));
                }
            } else if taken.count > cost {
                self.leases.put(turn.key, taken.count - cost, taken.ahead, now);
            }
        }
        let Some((index, taken)) = refused else { return Ok(()) };
        let limit = turns.get(index).map(|turn| turn.limit);
        let exceeded = limit.map(|limit| limit.exceeded(taken.wait, &taken.ahead));
        Err((index, Denied::Exceeded(exceeded.unwrap_or_default())))
    }

    /// The store refuses the user until later.
    fn remember(&self, turn: &Turn<'_>, now: Now) {
        // With leases, it does so a lease's life earlier than the limit itself.
        let earlier = if turn.limit.lease().is_some() { LEASED_FOR } else { Duration::ZERO };
        let earlier = u64::try_from(earlier.as_nanos()).unwrap_or(0);
        let ahead: Arrivals = turn.ahead.map(|ahead| ahead.saturating_add(earlier));
        self.denied.learn(turn.key, &ahead, now);
    }

    /// `on_error` of each limit is in force.
    fn without_store(
        &self,
        here: &Limits,
        turns: &mut [Turn<'_>],
        now: Now,
    ) -> Result<(), (usize, Denied)> {
        let mut local = Vec::new();
        let mut places = Vec::new();
        for (index, turn) in turns.iter().enumerate().filter(|(_, turn)| turn.is_asked()) {
            match turn.limit.on_error().unwrap_or(self.on_error) {
                OnError::Allow => {}
                OnError::Deny => return Err((index, Denied::Uncounted)),
                OnError::Local => {
                    local.push((turn.limit, turn.key));
                    places.push(index);
                }
            }
        }
        let place = |index: usize| places.get(index).copied().unwrap_or_default();
        let taken = here.take_part_of_all(&local, self.store.replicas(), now);
        let taken = taken.map_err(|(index, why)| (place(index), Denied::Exceeded(why)))?;
        for (index, ahead) in taken.into_iter().enumerate() {
            if let Some(turn) = turns.get_mut(place(index)) {
                turn.ahead = ahead;
            }
        }
        self.store.counts.count_uncounted();
        Ok(())
    }

    /// Puts back what was taken from leases.
    fn give_leased(&self, turns: &mut [Turn<'_>], cost: u32) {
        for turn in turns.iter().filter(|turn| turn.quota == Quota::Leased) {
            self.leases.give(turn.key, cost);
        }
    }
}

#[cfg(test)]
mod tests;
