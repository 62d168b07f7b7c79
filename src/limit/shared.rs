//! Limits that all replicas count together, exactly: one key per limit and user in the
//! shared store, one round trip for all rates.
//!
//! A user who is over the limit costs nothing: the store's refusal holds here until its
//! time is over. Every answer of the store is also learned by the counters in memory, so
//! that an outage begins with what is used up, not with a fresh allowance.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::Value;

use super::gcra::{Admitted, Arrivals, BucketKey, Exceeded, Limit, MAX_RATES};
use super::lease::Leases;
use super::memory::Limits;
use super::setting::{LEASED_FOR, OnError};
use crate::base::clock::Now;
use crate::outbound::redis::{Script, SharedStore};

/// Users whose refusal is remembered here.
const DENIED: usize = 64 * 1024;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));

/// Why a request is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Exceeded(Exceeded),
    /// The store gives no answer, and the limit says to refuse then.
    Uncounted,
}

/// The limits of a `[shared]` table.
pub(crate) struct SharedLimits {
    store: Arc<SharedStore>,
    on_error: OnError,
    denied: Limits,
    leases: Leases,
}

/// The script's answer.
struct Taken {
    count: u32,
    wait: u64,
    /// Per rate, nanoseconds the arrival time is ahead.
    ahead: Arrivals,
}

impl SharedLimits {
    pub(crate) fn new(store: Arc<SharedStore>, on_error: OnError) -> Self {
        let denied = Limits::with_capacity(DENIED);
        Self { store, on_error, denied, leases: Leases::default() }
    }

    /// Takes `cost` from the bucket over all replicas, or nothing. `here` are the counters
    /// of this process.
    pub(crate) async fn take(
        &self,
        here: &Limits,
        limit: &Limit,
        key: BucketKey,
        cost: u32,
        now: Now,
    ) -> Result<Admitted, Denied> {
        self.look(limit, key, now).map_err(Denied::Exceeded)?;
        let lease = limit.lease().filter(|lease| *lease >= cost.saturating_mul(2));
        let (most, back) = match lease {
            Some(lease) => match self.leases.take(key, cost, now) {
                Ok(ahead) => return Ok(limit.admitted(&ahead)),
                Err(unused) => (lease, unused),
            },
            None => (cost, 0),
        };
        match self.ask(limit, key, (cost, most, back), lease.is_some()).await {
            Some(taken) => self.taken(here, limit, key, (cost, lease.is_some()), &taken, now),
            None => self.without_store(here, limit, key, now),
        }
    }

    /// Whether the store has refused this user until later than now.
    pub(crate) fn look(&self, limit: &Limit, key: BucketKey, now: Now) -> Result<(), Exceeded> {
        let looked = self.denied.look(limit, key, now);
        looked.inspect_err(|_| self.store.counts.count_denied_here())
    }

    fn taken(
        &self,
        here: &Limits,
        limit: &Limit,
        key: BucketKey,
        (cost, leases): (u32, bool),
        taken: &Taken,
        now: Now,
    ) -> Result<Admitted, Denied> {
        here.learn(key, &taken.ahead, now);
        if taken.count >= cost {
            if taken.count > cost {
                self.leases.put(key, taken.count - cost, taken.ahead, now);
            }
            return Ok(limit.admitted(&taken.ahead));
        }
        // With leases, the store refuses a lease's life earlier than the limit itself.
        let earlier = if leases { LEASED_FOR } else { Duration::ZERO };
        let earlier = u64::try_from(earlier.as_nanos()).unwrap_or(0);
        self.denied.learn(key, &taken.ahead.map(|ahead| ahead.saturating_add(earlier)), now);
        Err(Denied::Exceeded(limit.exceeded(taken.wait, &taken.ahead)))
    }

    /// `on_error` is in force.
    fn without_store(
        &self,
        here: &Limits,
        limit: &Limit,
        key: BucketKey,
        now: Now,
    ) -> Result<Admitted, Denied> {
        let admitted = match limit.on_error().unwrap_or(self.on_error) {
            OnError::Allow => Ok(limit.admitted(&Arrivals::default())),
            OnError::Deny => return Err(Denied::Uncounted),
            OnError::Local => here.take_part(limit, key, self.store.replicas(), now),
        };
        if admitted.is_ok() {
            self.store.counts.count_uncounted();
        }
        admitted.map_err(Denied::Exceeded)
    }

    async fn ask(
        &self,
        limit: &Limit,
        key: BucketKey,
        (least, most, back): (u32, u32, u32),
        leases: bool,
    ) -> Option<Taken> {
        let name = self.store.key(&format!("l:{:032x}", key.bits()));
        let mut arguments = vec![u64::from(least), u64::from(most), u64::from(back)];
        limit.push_microseconds(&mut arguments, leases);
        let answer = self.store.run(&TAKE, &name, arguments.as_slice()).await.ok()?;
        Taken::read(&answer)
    }
}

impl Taken {
    fn read(answer: &Value) -> Option<Self> {
        let Value::Array(parts) = answer else { return None };
        let mut numbers = parts.iter().map(|part| match part {
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        });
        let count = u32::try_from(numbers.next()??).ok()?;
        let wait = numbers.next()??.saturating_mul(1000);
        let mut ahead = [0; MAX_RATES];
        for (ahead, number) in ahead.iter_mut().zip(numbers) {
            *ahead = number?.saturating_mul(1000);
        }
        Some(Self { count, wait, ahead })
    }
}
