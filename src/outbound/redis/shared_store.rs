//! The store that replicas share: a connector with one deadline for every call, and a breaker
//! for each server.
//!
//! After three failures in a row a server is not asked: callers are answered at once, and
//! a task in the background (`recovery`) tries it, so no request pays for finding out
//! whether it is back. In a Cluster the other servers are asked as before. Another task
//! tells the store that this replica is alive, and learns how many there are.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{ToRedisArgs, Value};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::breaker::{Breaker, Change, Place};
use super::connector::Redis;
use super::failure::Failure;
use super::heartbeat::{Heartbeat, Member};
use super::pauses::LONGEST_UNREACHED;
use super::recovery::{Ended, Recovery, note_closed};
use super::request::RedisRequest;
use super::script::{Script, ScriptName};
use super::store_counts::{StoreCounts, StoreNumbers};
use crate::base::lock::Lock;
use crate::base::redis_url::{RedisNode, RedisServers, RedisUrl};

/// Between two heartbeats; a replica counts for 10 s after its last.
const HEARTBEAT: Duration = Duration::from_millis(2500);
/// Shortest deadline of a heartbeat: no request waits for it.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_millis(500);

/// The store of a `[shared]` table.
pub(crate) struct SharedStore {
    pub(crate) redis: Redis,
    prefix: String,
    timeout: Duration,
    is_replicated: bool,
    /// Of the store as a whole; in a Cluster, while it is not known who has a key.
    whole: Arc<Breaker>,
    /// Of the servers of a Cluster.
    servers: Lock<Vec<(RedisNode, Arc<Breaker>)>>,
    heartbeat: Arc<Heartbeat>,
    runtime: Handle,
    me: Weak<Self>,
    pub(crate) counts: Arc<StoreCounts>,
}

impl SharedStore {
    /// Connects in the background; connections live in `runtime`.
    pub(crate) fn start(
        url: RedisUrl,
        prefix: &str,
        timeout: Duration,
        counts: Arc<StoreCounts>,
        me: Member,
        runtime: &Handle,
    ) -> Arc<Self> {
        let is_replicated =
            matches!(url.servers, RedisServers::Cluster(_) | RedisServers::Sentinel(_));
        let redis = Redis::new(url, LONGEST_UNREACHED, runtime.clone());
        let key = format!("{prefix}:replicas");
        let heartbeat = Heartbeat::new(redis.clone(), key, counts.clone(), me);
        let store = Arc::new_cyclic(|me| Self {
            redis,
            prefix: prefix.to_owned(),
            timeout,
            is_replicated,
            whole: Arc::default(),
            servers: Lock::default(),
            heartbeat: Arc::new(heartbeat),
            runtime: runtime.clone(),
            me: me.clone(),
            counts,
        });
        runtime.spawn(keep(Arc::downgrade(&store)));
        store
    }

    /// One of our keys, by its purpose.
    pub(crate) fn key(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// Replicas seen lately, this one included.
    pub(crate) fn replicas(&self) -> u32 {
        self.heartbeat.replicas()
    }

    /// This replica, for the store that takes the place of this one.
    pub(crate) fn member(&self) -> Member {
        self.heartbeat.member()
    }

    /// Whether the store itself has replicas, which a write can wait for.
    pub(crate) fn is_replicated(&self) -> bool {
        self.is_replicated
    }

    /// Runs a script once. Only where the server does not know it, it is sent in full.
    pub(crate) async fn run<A: ToRedisArgs + Clone>(
        &self,
        script: &Script,
        key: &str,
        arguments: A,
    ) -> Result<Value, Failure> {
        let known = script.request(ScriptName::ByDigest, key, arguments.clone());
        let (place, breaker) = self.breaker(known.slot());
        if breaker.is_open() {
            return Err(Failure::Unreachable);
        }
        let began = Instant::now();
        let mut answers = self.redis.send(&known, self.timeout).await;
        if answers == Err(Failure::NoScript) {
            self.counts.count_script();
            let left = self.timeout.saturating_sub(began.elapsed());
            answers =
                self.redis.send(&script.request(ScriptName::InFull, key, arguments), left).await;
        }
        let answers = self.record(place, &breaker, began, answers);
        answers.map(|answers| answers.into_iter().next().unwrap_or(Value::Nil))
    }

    /// The answers to commands, each sent at most once.
    pub(crate) async fn ask(&self, request: &RedisRequest) -> Result<Vec<Value>, Failure> {
        let (place, breaker) = self.breaker(request.slot());
        if breaker.is_open() {
            return Err(Failure::Unreachable);
        }
        let began = Instant::now();
        let answers = self.redis.send(request, self.timeout).await;
        self.record(place, &breaker, began, answers)
    }

    /// The breaker of the server that has a slot.
    fn breaker(&self, slot: u16) -> (Place, Arc<Breaker>) {
        let Some(node) = self.redis.known_owner(slot) else {
            return (Place::Whole, self.whole.clone());
        };
        let mut servers = self.servers.lock();
        if let Some((_, breaker)) = servers.iter().find(|(known, _)| *known == node) {
            return (Place::Server(node), breaker.clone());
        }
        servers.retain(|(known, _)| self.redis.has_primary(known));
        let breaker = Arc::<Breaker>::default();
        servers.push((node.clone(), breaker.clone()));
        (Place::Server(node), breaker)
    }

    fn record<T>(
        &self,
        place: Place,
        breaker: &Arc<Breaker>,
        began: Instant,
        answer: Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.counts.count_call(began.elapsed(), answer.is_ok());
        match &answer {
            Ok(_) => note_closed(breaker.succeeded()),
            Err(failure) => match breaker.failed() {
                Change::Opened => {
                    tracing::warn!(cause = %failure, "calls to the shared store are paused; \
                                                      `on_error` is in force");
                    self.recover(place, breaker.clone(), failure.clone());
                }
                Change::Closed | Change::None => {}
            },
        }
        answer
    }

    /// For the metrics.
    pub(crate) fn numbers(&self) -> StoreNumbers {
        let is_resting = self.whole.is_open()
            || self.servers.lock().iter().any(|(_, breaker)| breaker.is_open());
        let replicas = self.replicas();
        StoreNumbers { is_resting, replicas, ..self.counts.numbers() }
    }

    fn recover(&self, place: Place, breaker: Arc<Breaker>, cause: Failure) {
        let (redis, heartbeat) = (self.redis.clone(), Arc::downgrade(&self.heartbeat));
        let (timeout, me) = (self.timeout, self.me.clone());
        let recovery = Recovery { redis, heartbeat, place: place.clone(), breaker, cause, timeout };
        self.runtime.spawn(async move {
            if recovery.run().await == Ended::Left
                && let (Some(store), Place::Server(node)) = (me.upgrade(), place)
            {
                store.servers.lock().retain(|(known, _)| *known != node);
            }
        });
    }

    /// Tells the store that this replica is there, unless its server is paused.
    async fn beat(&self) {
        let (place, breaker) = self.breaker(self.heartbeat.slot());
        if !breaker.is_open() {
            let began = Instant::now();
            let beaten = self.heartbeat.beat(self.timeout.max(HEARTBEAT_TIMEOUT)).await;
            let _ = self.record(place, &breaker, began, beaten);
        }
    }
}

/// Ends when the store is dropped.
async fn keep(store: Weak<SharedStore>) {
    loop {
        let Some(store) = store.upgrade() else { return };
        store.beat().await;
        drop(store);
        tokio::time::sleep(HEARTBEAT).await;
    }
}
