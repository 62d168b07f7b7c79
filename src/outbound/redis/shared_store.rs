//! The store that replicas share: a connector with one deadline for every call, and a breaker.
//!
//! After three failures in a row nothing is asked: callers are answered at once, and a
//! task in the background tries about once a second, so no request pays for finding out
//! whether the store is back. The same task tells the store that this replica is there,
//! and learns how many are.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{ToRedisArgs, Value};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::connector::Redis;
use super::failure::Failure;
use super::request::Request;
use super::script::{Named, Script};
use super::store_counts::{StoreCounts, StoreNumbers};
use crate::base::redis_url::{RedisUrl, Servers};
use crate::base::text::hex;

/// Failures in a row that open the breaker.
const FAILURES: u32 = 3;
/// Between two heartbeats; a replica counts for 10 s after its last.
const HEARTBEAT: Duration = Duration::from_millis(2500);
/// Between two attempts while the breaker is open, plus a quarter at random.
const PROBE: Duration = Duration::from_secs(1);
/// Longest wait for an attempt in the background.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

static BEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("heartbeat.lua")));

/// The store of a `[shared]` table.
pub(crate) struct SharedStore {
    pub(crate) redis: Redis,
    prefix: String,
    timeout: Duration,
    is_replicated: bool,
    failed: AtomicU32,
    is_open: AtomicBool,
    /// Replicas that the last heartbeat found; at least this one.
    replicas: AtomicU32,
    pub(crate) counts: Arc<StoreCounts>,
}

impl SharedStore {
    /// Connects in the background; connections live in `runtime`.
    pub(crate) fn start(
        url: RedisUrl,
        prefix: &str,
        timeout: Duration,
        counts: Arc<StoreCounts>,
        runtime: &Handle,
    ) -> Arc<Self> {
        let is_replicated = matches!(url.servers, Servers::Cluster(_) | Servers::Sentinel(_));
        let store = Arc::new(Self {
            redis: Redis::new(url, runtime.clone()),
            prefix: prefix.to_owned(),
            timeout,
            is_replicated,
            failed: AtomicU32::new(0),
            is_open: AtomicBool::new(false),
            replicas: AtomicU32::new(1),
            counts,
        });
        runtime.spawn(keep(Arc::downgrade(&store)));
        store
    }

    /// A key of ours, by what it is for.
    pub(crate) fn key(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// Replicas seen lately, this one included.
    pub(crate) fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed).max(1)
    }

    /// Whether the store has replicas of its own, which a write can wait for.
    pub(crate) fn is_replicated(&self) -> bool {
        self.is_replicated
    }

    /// Whether the store is left alone after failures.
    pub(crate) fn is_resting(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Runs a script once. Only where the server does not know it, it is sent in full.
    pub(crate) async fn run<A: ToRedisArgs + Clone>(
        &self,
        script: &Script,
        key: &str,
        arguments: A,
    ) -> Result<Value, Failure> {
        if self.is_resting() {
            return Err(Failure::Unreachable);
        }
        self.run_within(script, key, arguments, self.timeout).await
    }

    /// The answers to commands, each sent at most once.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Vec<Value>, Failure> {
        if self.is_resting() {
            return Err(Failure::Unreachable);
        }
        let began = Instant::now();
        let answers = self.redis.send(request, self.timeout).await;
        self.record(began, answers)
    }

    async fn run_within<A: ToRedisArgs + Clone>(
        &self,
        script: &Script,
        key: &str,
        arguments: A,
        timeout: Duration,
    ) -> Result<Value, Failure> {
        let began = Instant::now();
        let known = script.request(Named::ByDigest, key, arguments.clone());
        let mut answers = self.redis.send(&known, timeout).await;
        if answers == Err(Failure::NoScript) {
            self.counts.count_script();
            let left = timeout.saturating_sub(began.elapsed());
            answers = self.redis.send(&script.request(Named::InFull, key, arguments), left).await;
        }
        self.record(began, answers).map(|answers| answers.into_iter().next().unwrap_or(Value::Nil))
    }

    fn record<T>(&self, began: Instant, answer: Result<T, Failure>) -> Result<T, Failure> {
        self.counts.count_call(began.elapsed(), answer.is_ok());
        match &answer {
            Ok(_) => {
                self.failed.store(0, Ordering::Release);
                if self.is_open.swap(false, Ordering::AcqRel) {
                    tracing::info!("the shared store answers again");
                }
            }
            Err(failure) => {
                let failed = self.failed.fetch_add(1, Ordering::AcqRel) + 1;
                if failed >= FAILURES && !self.is_open.swap(true, Ordering::AcqRel) {
                    tracing::warn!(cause = %failure, "the shared store is left alone for a while; `on_error` is in force");
                }
            }
        }
        answer
    }

    /// For the metrics.
    pub(crate) fn numbers(&self) -> StoreNumbers {
        let (is_resting, replicas) = (self.is_resting(), self.replicas());
        StoreNumbers { is_resting, replicas, ..self.counts.numbers() }
    }

    async fn beat(&self, name: &str) {
        let timeout =
            if self.is_resting() { PROBE_TIMEOUT } else { self.timeout.max(PROBE_TIMEOUT) };
        let beat = self.run_within(&BEAT, &self.key("replicas"), &[name], timeout).await;
        if let Ok(Value::Array(parts)) = beat
            && let Some(Value::Int(replicas)) = parts.first()
        {
            self.replicas.store(u32::try_from(*replicas).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }
}

/// Ends when the store is dropped.
async fn keep(store: std::sync::Weak<SharedStore>) {
    let mut name = [0; 16];
    // Two replicas of one name would count as one.
    let _ = aws_lc_rs::rand::fill(&mut name);
    let jitter = Duration::from_millis(u64::from(name[0]));
    let name = hex(&name);
    loop {
        let Some(store) = store.upgrade() else { return };
        store.beat(&name).await;
        let pause = if store.is_resting() { PROBE + jitter } else { HEARTBEAT };
        drop(store);
        tokio::time::sleep(pause).await;
    }
}
