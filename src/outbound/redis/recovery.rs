//! Tries a paused server of the shared store until it answers again.
//!
//! One attempt at a time, and each waits for its answer until the next is due: a server
//! that was frozen answers the moment it resumes. One that cannot be reached is tried less
//! and less often. Sentinels, or the other servers of a Cluster, are asked twice a second
//! who the primary is, which costs the server itself nothing; a new connection is tried at
//! once.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::breaker::{Backoff, Breaker, Change, Place};
use super::connector::Redis;
use super::failure::Failure;
use super::heartbeat::Heartbeat;

/// Between two questions who the primary is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A paused server.
pub(super) struct Recovery {
    pub(super) redis: Redis,
    /// Gone when the store is.
    pub(super) heartbeat: Weak<Heartbeat>,
    pub(super) place: Place,
    pub(super) breaker: Arc<Breaker>,
    /// The failure that opened the breaker.
    pub(super) cause: Failure,
    /// Longest wait of a request.
    pub(super) timeout: Duration,
}

/// The reason for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BegunBy {
    /// There was a new connection.
    Connection,
    /// The pause was over.
    Pause,
}

/// How it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The server answers.
    Answers,
    /// The store is not used any more.
    Dropped,
    /// The server has left the Cluster, or is no longer a primary.
    Left,
}

impl Recovery {
    pub(super) async fn run(self) -> Ended {
        let mut backoff = Backoff::default();
        let first = Instant::now() + backoff.first_pause(&self.cause) + jitter();
        let mut began_by = self.wait(first).await;
        loop {
            if self.has_left() {
                return Ended::Left;
            }
            let Some(heartbeat) = self.heartbeat.upgrade() else { return Ended::Dropped };
            self.redis.allow_attempt(&self.place);
            let began = Instant::now();
            let attempt = self.attempt(&heartbeat, backoff.patience());
            let tried = tokio::select! {
                tried = attempt => Some(tried),
                () = self.connected() => None,
            };
            drop(heartbeat);
            match tried {
                Some(Ok(())) => {
                    note_closed(self.breaker.succeeded());
                    return Ended::Answers;
                }
                Some(Err(_)) if !self.breaker.is_open() => return Ended::Answers,
                Some(Err(failure)) => {
                    let until = began + backoff.pause_after(&failure);
                    began_by = match began_by {
                        BegunBy::Pause => self.wait(until).await,
                        BegunBy::Connection => self.rest(until).await,
                    };
                }
                // The new connection deserves an attempt of its own.
                None => began_by = BegunBy::Connection,
            }
        }
    }

    /// Asks once. An answer that comes late tells that the server is back, not that it is
    /// fast enough: then it is asked again, within the deadline of requests.
    async fn attempt(&self, heartbeat: &Heartbeat, patience: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        self.ask(heartbeat, patience).await?;
        if began.elapsed() <= self.timeout {
            return Ok(());
        }
        self.ask(heartbeat, self.timeout).await
    }

    async fn ask(&self, heartbeat: &Heartbeat, patience: Duration) -> Result<(), Failure> {
        match &self.place {
            Place::Server(node) => self.redis.ping(node, patience).await,
            Place::Whole => heartbeat.beat(patience).await,
        }
    }

    /// Waits until then, or until there is a new connection.
    async fn wait(&self, until: Instant) -> BegunBy {
        match timeout_at(until, self.connected()).await {
            Ok(()) => BegunBy::Connection,
            Err(_) => BegunBy::Pause,
        }
    }

    /// Waits until then, even if something connects: a server that takes connections and
    /// lets every attempt fail (one that is a replica now) would be tried without a pause.
    async fn rest(&self, until: Instant) -> BegunBy {
        while Instant::now() < until && !self.is_over() {
            self.redis.look_for_primary();
            sleep_until(until.min(Instant::now() + LOOK_EVERY)).await;
        }
        BegunBy::Pause
    }

    /// Whether there is nothing to wait for.
    fn is_over(&self) -> bool {
        self.heartbeat.strong_count() == 0 || self.has_left()
    }

    fn has_left(&self) -> bool {
        match &self.place {
            Place::Server(node) => !self.redis.has_primary(node),
            Place::Whole => false,
        }
    }

    /// Ends when there is a new connection, or the server is no longer a primary; looks for
    /// the primary meanwhile.
    async fn connected(&self) {
        let renewed = self.redis.renewed(&self.place);
        tokio::pin!(renewed);
        while timeout(LOOK_EVERY, &mut renewed).await.is_err() {
            if self.is_over() {
                return;
            }
            self.redis.look_for_primary();
        }
    }
}

pub(super) fn note_closed(change: Change) {
    match change {
        Change::Closed => tracing::info!("the shared store answers again"),
        Change::None | Change::Opened => {}
    }
}

/// Up to a quarter of a second: replicas that have met with the same failure do not come
/// back together.
fn jitter() -> Duration {
    let mut byte = [0; 1];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let [milliseconds] = byte;
    Duration::from_millis(u64::from(milliseconds))
}
