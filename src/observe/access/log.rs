//! The buffers of the access log, and the thread that writes them out.
//!
//! Lines are written into buffers that a separate thread flushes every `FLUSH_EVERY`: a
//! request never waits for the disk. Under load a full buffer wakes the thread earlier, so
//! the buffers stay small and in the processor's caches. If the log's reader stalls, lines
//! are dropped and counted, not kept.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use super::combined;
use super::json;
use super::logfmt;
use super::plain;
use super::stamp::Stamp;
use crate::base::lock::Lock;
use crate::base::scatter::scatter;
use crate::config::{Format, Lines};
use crate::observe::event::{Event, Line, Outcome, RequestEvent};
use crate::observe::shard::{SHARDS, shard_of_thread};

const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// A shard is flushed when it holds this much.
const FLUSH_AT: usize = 64 * 1024;
/// A buffer that had to grow beyond this is freed.
const KEPT: usize = 4 * FLUSH_AT;
/// Longest unwritten text per shard; further lines are dropped.
const BACKLOG: usize = 4 * 1024 * 1024;

/// Where lines go.
#[derive(Clone, Debug)]
pub enum Sink {
    Memory(Arc<Lock<Vec<u8>>>),
    Off,
    Stdout,
}

/// The access log of the process.
#[derive(Clone)]
pub struct AccessLog(Arc<Inner>);

struct Inner {
    shards: [Lock<Buffer>; SHARDS],
    /// Replaces a buffer while that one is written out.
    spare: Lock<String>,
    flusher: OnceLock<Thread>,
    format: Format,
    sink: Sink,
    dropped: AtomicU64,
}

/// Lines not yet written out.
#[derive(Default)]
struct Buffer {
    text: String,
    stamp: Stamp,
    /// The lines that are written; the same in every shard.
    lines: Lines,
    /// Lines looked at, for the choice among them.
    turn: u64,
}

impl AccessLog {
    /// Starts the flushing thread; it ends when the last clone is dropped.
    pub fn start(format: Format, sink: Sink) -> std::io::Result<Self> {
        let writes = !matches!(sink, Sink::Off);
        let shared = Arc::new(Inner {
            shards: Default::default(),
            spare: Lock::default(),
            flusher: OnceLock::new(),
            format,
            sink,
            dropped: AtomicU64::new(0),
        });
        if writes {
            let weak = Arc::downgrade(&shared);
            let flusher =
                std::thread::Builder::new().name("access-log".into()).spawn(move || {
                    while let Some(shared) = weak.upgrade() {
                        shared.flush();
                        drop(shared);
                        std::thread::park_timeout(FLUSH_EVERY);
                    }
                })?;
            shared.flusher.get_or_init(|| flusher.thread().clone());
        }
        Ok(Self(shared))
    }

    #[inline]
    pub(in crate::observe) fn record(&self, event: Event<'_>) {
        match event {
            Event::Request(RequestEvent::Ended(line)) => self.write(line),
            Event::Request(
                RequestEvent::Limited { .. }
                | RequestEvent::Redirected { .. }
                | RequestEvent::Refused { .. },
            )
            | Event::Connection(_)
            | Event::Reloaded { .. }
            | Event::Session(_)
            | Event::Step(_)
            | Event::Token(_)
            | Event::Upstream(_) => {}
        }
    }

    fn write(&self, line: &Line<'_>) {
        if matches!(self.0.sink, Sink::Off) {
            return;
        }
        let Some(shard) = self.0.shards.get(self.0.shard()) else { return };
        let mut buffer = shard.lock();
        if !buffer.wants(line) {
            return;
        }
        let Buffer { text, stamp, .. } = &mut *buffer;
        if text.len() > BACKLOG {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = text.len();
        match self.0.format {
            Format::Combined => combined::push(line, text, stamp),
            Format::Json => json::push(line, text, stamp),
            Format::Logfmt => logfmt::push(line, text, stamp),
            Format::Text => plain::push(line, text, stamp),
        }
        let is_due = before < FLUSH_AT && text.len() >= FLUSH_AT;
        drop(buffer);
        if is_due && let Some(flusher) = self.0.flusher.get() {
            flusher.unpark();
        }
    }

    /// Writes these lines from now on.
    pub(crate) fn keep(&self, lines: Lines) {
        for shard in &self.0.shards {
            shard.lock().lines = lines;
        }
    }

    /// Lines dropped because the log's reader stalled.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Writes out the buffers, at the end of the process.
    pub fn flush(&self) {
        self.0.flush();
    }
}

impl Inner {
    /// The shard this thread writes to. Lines kept in memory stay in order.
    fn shard(&self) -> usize {
        if matches!(self.sink, Sink::Memory(_)) { 0 } else { shard_of_thread() }
    }

    fn flush(&self) {
        let mut lines = self.spare.lock();
        for shard in &self.shards {
            let mut buffer = shard.lock();
            if buffer.text.is_empty() {
                continue;
            }
            std::mem::swap(&mut buffer.text, &mut lines);
            drop(buffer);
            match &self.sink {
                Sink::Memory(memory) => {
                    memory.lock().extend_from_slice(lines.as_bytes());
                }
                Sink::Off => {}
                Sink::Stdout => {
                    let mut stdout = std::io::stdout().lock();
                    // A closed standard output cannot be reported anywhere.
                    drop(stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush()));
                }
            }
            lines.clear();
            if lines.capacity() > KEPT {
                *lines = String::new();
            }
        }
    }
}

impl Buffer {
    /// Whether a line is written. Of a part, every refusal, failure and broken connection is.
    fn wants(&mut self, line: &Line<'_>) -> bool {
        let share = match self.lines {
            Lines::All => return true,
            Lines::None => return false,
            Lines::Part(share) => share,
        };
        self.turn = self.turn.wrapping_add(1);
        line.status >= 400
            || matches!(line.outcome, Outcome::Aborted | Outcome::Refused)
            || share.picks(scatter(self.turn))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::share;
    use crate::observe::access::example::LINE;

    fn written(lines: Lines, line: &Line<'_>, times: usize) -> usize {
        let memory = Arc::new(Lock::new(Vec::new()));
        let log = AccessLog::start(Format::Json, Sink::Memory(memory.clone())).unwrap();
        log.keep(lines);
        (0..times).for_each(|_| log.write(line));
        log.flush();
        let bytes = memory.lock();
        bytes.iter().filter(|&&byte| byte == b'\n').count()
    }

    #[test]
    fn a_part_of_the_lines_is_about_that_part() {
        let part = Lines::Part(share("10%").unwrap());
        let count = written(part, &LINE, 10_000);
        assert!((900..1100).contains(&count), "{count}");
        assert_eq!(written(Lines::All, &LINE, 100), 100);
        assert_eq!(written(Lines::None, &LINE, 100), 0);
    }

    #[test]
    fn of_a_part_nothing_that_went_wrong_is_missing() {
        let part = Lines::Part(share("0.0001%").unwrap());
        for (outcome, status) in [
            (Outcome::Refused, 401),
            (Outcome::Refused, 303),
            (Outcome::Aborted, 0),
            (Outcome::Forwarded, 500),
            (Outcome::Forwarded, 404),
        ] {
            let line = Line { outcome, status, ..LINE };
            assert_eq!(written(part, &line, 100), 100, "{outcome:?} {status}");
        }
        let line = Line { outcome: Outcome::Refused, status: 401, ..LINE };
        assert_eq!(written(Lines::None, &line, 100), 0, "off is off");
    }

    #[test]
    fn the_part_does_not_follow_a_pattern_of_the_traffic() {
        let memory = Arc::new(Lock::new(Vec::new()));
        let log = AccessLog::start(Format::Json, Sink::Memory(memory.clone())).unwrap();
        log.keep(Lines::Part(share("50%").unwrap()));
        for turn in 0..2000 {
            log.write(&Line { path: if turn % 2 == 0 { "/even" } else { "/odd" }, ..LINE });
        }
        log.flush();
        let text = String::from_utf8(memory.lock().clone()).unwrap();
        for path in ["/even", "/odd"] {
            let count = text.matches(path).count();
            assert!((400..600).contains(&count), "{path}: {count}");
        }
    }
}
