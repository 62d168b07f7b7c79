//! Threads for work that takes one for milliseconds: a signature with RSA, a key derived
//! from a password.
//!
//! A serving thread that did it would keep all its other connections waiting. So the work is
//! done aside, by as many threads as there are cores, which yield to the serving ones.
//!
//! Bounded: the queue is the callers themselves, first come, first served; one that gives up
//! leaves it. The threads start with the first work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::{error, fmt};

use rustix::process::{getpid, getpriority_process, setpriority_process};
use tokio::sync::{Semaphore, oneshot};

use super::lock::Lock;

/// Added to their `nice` value: on a busy machine they get a tenth of a serving thread's time,
/// and never keep one waiting.
const YIELDING: i32 = 10;
/// The highest `nice` value.
const LEAST_PRIORITY: i32 = 19;

/// Threads for slow work.
pub(crate) struct Aside {
    name: &'static str,
    threads: usize,
    places: Arc<Semaphore>,
    jobs: OnceLock<Sender<Job>>,
}

struct Job(Box<dyn FnOnce() + Send>);

/// The work was not done: it panicked, or the system refuses a thread.
#[derive(Debug)]
pub(crate) struct NotDone;

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a thread for slow work has failed")
    }
}

impl error::Error for NotDone {}

impl Aside {
    /// `name` is that of the threads.
    pub(crate) fn new(name: &'static str) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let places = Arc::new(Semaphore::new(threads));
        Self { name, threads, places, jobs: OnceLock::new() }
    }

    /// Does the work on another thread, as soon as one is free.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| NotDone)?;
        let (done, result) = oneshot::channel();
        let job = move || {
            // Kept to the end of the work, even if no caller waits any more.
            let _place = place;
            let _ = done.send(work());
        };
        let jobs = self.jobs.get_or_init(|| self.start());
        jobs.send(Job(Box::new(job))).map_err(|_| NotDone)?;
        result.await.map_err(|_| NotDone)
    }

    fn start(&self) -> Sender<Job> {
        let (jobs, queue) = channel();
        let queue = Arc::new(Lock::new(queue));
        for _ in 0..self.threads {
            let queue = queue.clone();
            let thread = std::thread::Builder::new().name(self.name.to_owned());
            if let Err(error) = thread.spawn(move || work_off(&queue)) {
                tracing::error!(%error, threads = self.name, "cannot start a thread for slow work");
            }
        }
        jobs
    }
}

/// Lets the threads that serve have the processor before this one, from now on.
pub(crate) fn yield_to_others() {
    // The priority of the process is that of its first thread, whatever this one's is.
    let own = getpriority_process(Some(getpid())).unwrap_or_default();
    // Where that is not allowed, the threads compete as equals.
    let _ = setpriority_process(None, LEAST_PRIORITY.min(own + YIELDING));
}

/// Until the owner is gone.
fn work_off(queue: &Lock<Receiver<Job>>) {
    yield_to_others();
    loop {
        let next = queue.lock().recv();
        let Ok(Job(job)) = next else { return };
        // The caller sees that the sender is gone; the panic itself has been printed.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::pin::Pin;
    use std::task::Poll;

    use tokio::sync::OwnedSemaphorePermit;

    use super::*;

    /// Keeps every thread busy until the result is dropped.
    pub(crate) fn all_busy(aside: &Aside) -> OwnedSemaphorePermit {
        let threads = u32::try_from(aside.threads).unwrap();
        aside.places.clone().try_acquire_many_owned(threads).unwrap()
    }

    #[tokio::test]
    async fn work_is_done_on_another_thread_that_yields_to_the_serving_ones() {
        let aside = Aside::new("aside");
        let here = std::thread::current().id();
        let look = || (std::thread::current().id(), getpriority_process(None).unwrap());
        let (there, yields) = aside.run(look).await.unwrap();
        assert_ne!(there, here);
        let own = getpriority_process(Some(getpid())).unwrap();
        assert_eq!(yields, LEAST_PRIORITY.min(own + YIELDING));
        assert_eq!(look().1, own, "only those threads");
    }

    #[tokio::test]
    async fn as_much_is_under_way_as_there_are_threads_and_the_rest_waits() {
        let aside = Aside::new("aside");
        let busy = all_busy(&aside);
        let mut waiting = Box::pin(aside.run(|| "done"));
        assert!(poll_once(&mut waiting).await.is_none());
        drop(busy);
        assert_eq!(waiting.await.unwrap(), "done");
    }

    #[tokio::test]
    async fn work_without_a_waiter_is_not_done() {
        let aside = Aside::new("aside");
        let busy = all_busy(&aside);
        let (did, done) = channel();
        let mut given_up = Box::pin(aside.run(move || did.send(()).unwrap()));
        assert!(poll_once(&mut given_up).await.is_none());
        drop(given_up);
        drop(busy);
        aside.run(|| ()).await.unwrap();
        assert!(done.recv().is_err());
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_work_only() {
        let aside = Aside::new("aside");
        for _ in 0..2 * aside.threads {
            assert!(aside.run(|| panic!("on purpose")).await.is_err());
        }
        assert_eq!(aside.run(|| 1).await.unwrap(), 1);
    }

    /// Polls once; the result, if it is there.
    pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            Poll::Ready(match Pin::new(&mut *future).poll(context) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            })
        })
        .await
    }
}
