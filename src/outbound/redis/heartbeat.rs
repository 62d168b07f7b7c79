//! Tells the shared store that this replica is alive, and learns how many there are.

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
use crate::base::text::hex;

static BEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("heartbeat.lua")));

/// The heartbeat of this replica.
pub(super) struct Heartbeat {
    redis: Redis,
    key: String,
    name: String,
    /// Replicas that the last one found; at least this one.
    replicas: AtomicU32,
    counts: Arc<StoreCounts>,
}

impl Heartbeat {
    pub(super) fn new(redis: Redis, key: String, counts: Arc<StoreCounts>) -> Self {
        // Two replicas of one name would count as one.
        let mut name = [0; 16];
        let _ = aws_lc_rs::rand::fill(&mut name);
        Self { redis, key, name: hex(&name), replicas: AtomicU32::new(1), counts }
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
            self.replicas.store(u32::try_from(*replicas).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
        Ok(())
    }

    fn request(&self, named: ScriptName) -> RedisRequest {
        BEAT.request(named, &self.key, &[self.name.as_str()])
    }
}
