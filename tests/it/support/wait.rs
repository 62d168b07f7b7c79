//! Waiting and measuring on a machine that may be busy.

use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `done` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, done: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, done);
}

/// As `eventually`, for what takes longer on a busy machine, like an election.
#[track_caller]
pub(crate) fn eventually_within(patience: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < patience, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Measures how long something takes, without the time for which threads of this process,
/// gateway and app among them, were ready to run and had no processor.
pub(crate) struct Stopwatch {
    began: Instant,
    starved: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { starved: starved(), began: Instant::now() }
    }

    /// For upper bounds: what a busy machine adds does not count.
    pub(crate) fn elapsed(&self) -> Duration {
        let on_the_wall = self.began.elapsed();
        on_the_wall.saturating_sub(starved().saturating_sub(self.starved))
    }

    /// For lower bounds, and for whether the test itself was in time.
    pub(crate) fn on_the_wall(&self) -> Duration {
        self.began.elapsed()
    }
}

/// How long threads of this process have waited for a processor in all; zero where the
/// system does not tell.
fn starved() -> Duration {
    let of_thread = |thread: std::fs::DirEntry| {
        let told = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        told.split(' ').nth(1)?.parse::<u64>().ok()
    };
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    Duration::from_nanos(threads.flatten().filter_map(of_thread).sum())
}

/// Runs `attempt` until one was through `within` this time: only then has the test kept the
/// time limits that it is about, and its result counts.
#[track_caller]
pub(crate) fn in_time<T>(within: Duration, mut attempt: impl FnMut() -> T) -> T {
    for _ in 0..30 {
        let began = Instant::now();
        let result = attempt();
        if began.elapsed() < within {
            return result;
        }
    }
    panic!("the machine never had {within:?} for this test");
}
