//! Tells the shared store that this replica is alive, and learns how many there are.
//!
//! In an outage a limit is divided by that number, so it must not shrink because of one: a
//! store that comes back empty knows the first replica to return, and no other yet.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;

use super::connector::Redis;
use super::failure::Failure;
use super::request::RedisRequest;
use super::script::{Script, ScriptName};
use super::store_counts::StoreCounts;
use crate::base::lock::Lock;
use crate::base::text::hex;

static BEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("heartbeat.lua")));

/// Time in which every replica that is there has said so: the longest pause of one that was
/// cut off from the store, and the time for which the store remembers it.
const ALL_HAVE_BEATEN: Duration = Duration::from_secs(40);
/// Longest time between two answers of a store that is not away: the time for which it
/// remembers a replica.
const IN_CONTACT: Duration = Duration::from_secs(10);

/// A replica, which stays the same when a reload changes its store.
pub(crate) struct Member {
    name: String,
    /// Replicas it knows of, itself included.
    replicas: u32,
}

impl Member {
    pub(crate) fn new() -> Self {
        // Two replicas of one name would count as one.
        let mut name = [0; 16];
        let _ = aws_lc_rs::rand::fill(&mut name);
        Self { name: hex(&name), replicas: 1 }
    }
}

/// The heartbeat of this replica.
pub(super) struct Heartbeat {
    redis: Redis,
    key: String,
    name: String,
    seen: Lock<Seen>,
    /// Replicas that limits are divided by; at least this one.
    replicas: AtomicU32,
    counts: Arc<StoreCounts>,
}

impl Heartbeat {
    pub(super) fn new(redis: Redis, key: String, counts: Arc<StoreCounts>, me: Member) -> Self {
        let Member { name, replicas } = me;
        let seen = Lock::new(Seen { replicas, ..Seen::default() });
        Self { redis, key, name, seen, replicas: AtomicU32::new(replicas), counts }
    }

    pub(super) fn member(&self) -> Member {
        Member { name: self.name.clone(), replicas: self.replicas() }
    }

    /// Replicas seen lately, this one included.
    pub(super) fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed).max(1)
    }

    pub(super) fn slot(&self) -> u16 {
        self.request(ScriptName::ByDigest).slot()
    }

    /// One beat. Told twice, a replica still counts once.
    pub(super) async fn beat(&self, timeout: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        let mut answers = self.redis.send(&self.request(ScriptName::ByDigest), timeout).await;
        if answers == Err(Failure::NoScript) {
            self.counts.count_script();
            let left = timeout.saturating_sub(began.elapsed());
            answers = self.redis.send(&self.request(ScriptName::InFull), left).await;
        }
        if let Some(Value::Array(parts)) = answers?.first()
            && let Some(Value::Int(replicas)) = parts.first()
        {
            let found = u32::try_from(*replicas).unwrap_or(u32::MAX);
            self.replicas.store(self.seen.lock().found(found, Instant::now()), Ordering::Relaxed);
        }
        Ok(())
    }

    fn request(&self, named: ScriptName) -> RedisRequest {
        BEAT.request(named, &self.key, &[self.name.as_str()])
    }
}

/// How many replicas there are, from what each answer says.
#[derive(Default)]
struct Seen {
    replicas: u32,
    /// Fewer have been found since then, and the most of those.
    fewer: Option<(Instant, u32)>,
    answered: Option<Instant>,
}

impl Seen {
    /// The number after an answer. More replicas count at once, fewer only when all that are
    /// there have had the time to say so.
    fn found(&mut self, found: u32, now: Instant) -> u32 {
        let last = self.answered.replace(now);
        if last.is_some_and(|last| now.saturating_duration_since(last) > IN_CONTACT) {
            self.fewer = None;
        }
        if found >= self.replicas {
            (self.replicas, self.fewer) = (found, None);
            return found;
        }
        let (since, most) =
            self.fewer.map_or((now, found), |(since, most)| (since, most.max(found)));
        self.fewer = Some((since, most));
        if now.saturating_duration_since(since) >= ALL_HAVE_BEATEN {
            (self.replicas, self.fewer) = (most, None);
        }
        self.replicas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers after answers, each with its second.
    fn numbers(answers: &[(u64, u32)]) -> Vec<u32> {
        let (mut seen, began) = (Seen::default(), Instant::now());
        let at = |second: u64| began + Duration::from_secs(second);
        answers.iter().map(|&(second, found)| seen.found(found, at(second))).collect()
    }

    #[test]
    fn a_store_that_comes_back_empty_makes_nobody_believe_to_be_alone() {
        assert_eq!(numbers(&[(0, 3), (2, 1), (5, 2), (7, 3), (10, 3)]), [3; 5]);
        // Others return up to half a minute later.
        assert_eq!(numbers(&[(0, 8), (20, 1), (29, 1), (38, 2), (47, 7), (56, 8)]), [8; 6]);
        // Each outage begins the wait again.
        assert_eq!(numbers(&[(0, 3), (5, 1), (14, 1), (44, 1), (53, 1), (62, 1)]), [3; 6]);
    }

    #[test]
    fn more_replicas_count_at_once_and_fewer_when_all_have_had_time_to_say_so() {
        assert_eq!(numbers(&[(0, 1), (2, 5), (4, 9)]), [1, 5, 9]);
        let gone: Vec<_> = (0..9).map(|turn| (turn * 5, if turn == 3 { 6 } else { 4 })).collect();
        let answers = [&[(0, 9)], &gone[..]].concat();
        assert_eq!(numbers(&answers), [&[9; 9][..], &[6]].concat(), "the most that were found");
    }
}
