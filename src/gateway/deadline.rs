//! The time a request's head may take, kept per connection.
//!
//! The framework bounds each read of a head but not the head as a whole. Whoever
//! accepts connections runs them under `watch`; the gateway reports when a head
//! has arrived and when its request has ended.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// When a connection is to be closed.
#[derive(Debug)]
pub(super) struct Deadline {
    started: tokio::time::Instant,
    /// In milliseconds after it was accepted; zero while a request is being handled.
    at_ms: AtomicU64,
    first_head: Duration,
    next_head: Duration,
    /// Whether the time is to be looked at: a connection is woken for its own sake
    /// far more often, and asking the runtime's clock each time is not for free.
    has_rung: AtomicBool,
    /// The task that serves the connection.
    task: OnceLock<Waker>,
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
    pub(super) fn new(first_head: Duration, next_head: Duration) -> Arc<Self> {
        let deadline = Self {
            started: tokio::time::Instant::now(),
            at_ms: AtomicU64::new(0),
            first_head,
            next_head,
            has_rung: AtomicBool::new(true),
            task: OnceLock::new(),
        };
        deadline.set(Some(first_head));
        Arc::new(deadline)
    }

    /// Serves a connection until `serving` ends or a head is late, which is `None`.
    pub(super) async fn watch<T>(self: Arc<Self>, serving: impl Future<Output = T>) -> Option<T> {
        let (mut serving, mut passed) = (pin!(serving), pin!(self.passed()));
        let alarm = Waker::from(self.clone());
        poll_fn(|context| {
            if let Poll::Ready(served) = serving.as_mut().poll(context) {
                return Poll::Ready(Some(served));
            }
            self.task.get_or_init(|| context.waker().clone());
            if self.has_rung.swap(false, Ordering::AcqRel)
                && passed.as_mut().poll(&mut Context::from_waker(&alarm)).is_ready()
            {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Called when a request's head is complete.
    pub(super) fn head_has_arrived(&self) {
        self.set(None);
    }

    /// Called when a request has ended: the next head may take the idle time and
    /// then its own.
    pub(super) fn request_has_ended(&self) {
        self.set(Some(self.next_head));
    }

    fn set(&self, after: Option<Duration>) {
        let at = after.map_or(0, |after| {
            u64::try_from((self.started.elapsed() + after).as_millis()).unwrap_or(u64::MAX).max(1)
        });
        self.at_ms.store(at, Ordering::Release);
    }

    /// Completes when the deadline has passed. Nobody wakes it when the deadline
    /// moves, which would cost every request two turns of its task: a deadline
    /// is never set less than `first_head` ahead, so looking again after that
    /// long is soon enough.
    async fn passed(&self) {
        loop {
            match self.at_ms.load(Ordering::Acquire) {
                0 => tokio::time::sleep(self.first_head).await,
                at => {
                    let at = self.started + Duration::from_millis(at);
                    if tokio::time::Instant::now() >= at {
                        return;
                    }
                    tokio::time::sleep_until(at).await;
                }
            }
        }
    }
}
