//! The time a request's head may take, and that between requests, kept per connection.
//!
//! The framework bounds each read of a head but not the head as a whole, and it would set
//! a timer for each pause. The listener runs connections under `watch` and reports arriving
//! bytes; the gateway reports when a head has arrived and when its request has ended.
//!
//! The time of a head starts with its first byte; for a connection's first head, when
//! the connection is accepted.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::base::clock::milliseconds;

/// The time at which a connection is closed.
#[derive(Debug)]
pub(super) struct Deadline {
    started: Instant,
    /// In milliseconds after it was accepted; zero while a request is being handled.
    at_ms: AtomicU64,
    head: Duration,
    idle: Duration,
    /// Whether a request has ended and the time of the next head has not been set.
    is_idle: AtomicBool,
    /// Whether bytes have arrived since.
    has_begun: AtomicBool,
    /// Whether to look at the clock: a connection is woken far more often for other
    /// reasons, and each look has a cost.
    has_rung: AtomicBool,
    /// The task that serves the connection.
    task: OnceLock<Waker>,
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadlinePassed {
    /// A head did not arrive in time, or the connection was ended from outside.
    Head,
    /// No further request began.
    Idle,
}

impl Wake for Deadline {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }
}

impl Deadline {
    /// Each head may take the time `head`, and begins within `idle` of the request before.
    pub(super) fn new(head: Duration, idle: Duration) -> Arc<Self> {
        let deadline = Self {
            started: Instant::now(),
            at_ms: AtomicU64::new(0),
            head,
            idle,
            is_idle: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
            has_rung: AtomicBool::new(true),
            task: OnceLock::new(),
        };
        deadline.set(Some(head));
        Arc::new(deadline)
    }

    /// Serves a connection until `serving` ends or a time has passed.
    pub(super) async fn watch<T>(
        self: Arc<Self>,
        serving: impl Future<Output = T>,
    ) -> Result<T, DeadlinePassed> {
        let mut serving = pin!(serving);
        let mut sleep = pin!(tokio::time::sleep(self.head));
        let alarm = Waker::from(self.clone());
        poll_fn(|context| {
            if let Poll::Ready(served) = serving.as_mut().poll(context) {
                return Poll::Ready(Ok(served));
            }
            self.task.get_or_init(|| context.waker().clone());
            let has_begun = self.begin_head();
            if (self.has_rung.swap(false, Ordering::AcqRel) || has_begun)
                && self.poll_passed(sleep.as_mut(), &alarm).is_ready()
            {
                let is_idle = self.is_idle.load(Ordering::Relaxed);
                return Poll::Ready(Err(if is_idle {
                    DeadlinePassed::Idle
                } else {
                    DeadlinePassed::Head
                }));
            }
            Poll::Pending
        })
        .await
    }

    /// Called when bytes arrive.
    pub(super) fn received(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// Sets the deadline of a head that has begun to arrive; returns whether it did. Most
    /// heads arrive whole and need no look at the clock.
    fn begin_head(&self) -> bool {
        let begins =
            self.has_begun.load(Ordering::Relaxed) && self.is_idle.swap(false, Ordering::Relaxed);
        if begins {
            self.set(Some(self.head));
        }
        begins
    }

    /// Called when a request's head is complete.
    pub(super) fn head_has_arrived(&self) {
        self.is_idle.store(false, Ordering::Relaxed);
        self.set(None);
    }

    /// Called when a request has ended: the next head may begin within the idle time, and
    /// has its own time from its first byte.
    pub(super) fn request_has_ended(&self) {
        self.has_begun.store(false, Ordering::Relaxed);
        self.is_idle.store(true, Ordering::Relaxed);
        self.set(Some(self.idle));
    }

    /// Ends the connection.
    pub(super) fn end_now(self: &Arc<Self>) {
        self.is_idle.store(false, Ordering::Relaxed);
        self.at_ms.store(1, Ordering::Release);
        self.wake_by_ref();
    }

    fn set(&self, after: Option<Duration>) {
        let at = after.map_or(0, |after| milliseconds(self.started.elapsed() + after).max(1));
        self.at_ms.store(at, Ordering::Release);
    }

    /// Ready when the deadline has passed. Moving the deadline does not wake it, which
    /// would cost each request two turns of its task: a deadline is always set at least
    /// `head` or `idle` ahead, so while a request is handled it is enough to look again after
    /// the shorter of them. A deadline that moves closer, because a head begins, is looked at in the
    /// same turn.
    fn poll_passed(&self, mut sleep: Pin<&mut Sleep>, alarm: &Waker) -> Poll<()> {
        loop {
            let now = Instant::now();
            let at = match self.at_ms.load(Ordering::Acquire) {
                0 => now + self.head.min(self.idle),
                at => self.started + Duration::from_millis(at),
            };
            if now >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
            if sleep.as_mut().poll(&mut Context::from_waker(alarm)).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(60);
    /// Time for which the first request is handled.
    const HANDLED: Duration = Duration::from_secs(120);

    /// Life of a connection that waits `pause` after its first request, then
    /// sends the first byte of another head and no more; and why it ends.
    async fn lasts(pause: Duration, idle: Duration) -> (Duration, DeadlinePassed) {
        let deadline = Deadline::new(HEAD, idle);
        let began = Instant::now();
        let serving = async {
            deadline.received();
            tokio::time::sleep(HEAD / 2).await;
            deadline.head_has_arrived();
            tokio::time::sleep(HANDLED).await;
            deadline.request_has_ended();
            tokio::time::sleep(pause).await;
            deadline.received();
            std::future::pending::<()>().await;
        };
        let passed = deadline.clone().watch(serving).await.unwrap_err();
        (began.elapsed() - HEAD / 2 - HANDLED, passed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_heads_time_starts_with_its_first_octet() {
        let slack = Duration::from_millis(5);
        for pause in [0, 1, 9, 30, 59].map(Duration::from_secs) {
            let (took, passed) = lasts(pause, IDLE).await;
            assert!(took >= pause + HEAD && took < pause + HEAD + slack, "{pause:?}: {took:?}");
            assert_eq!(passed, DeadlinePassed::Head);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_next_head_ends_after_the_idle_time() {
        let slack = Duration::from_millis(5);
        for idle in [HEAD / 10, HEAD - slack, HEAD, IDLE] {
            let (took, passed) = lasts(idle * 2, idle).await;
            assert!(took >= idle && took < idle + slack, "{idle:?}: {took:?}");
            assert_eq!(passed, DeadlinePassed::Idle);
        }
    }
}
