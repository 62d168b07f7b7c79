//! One line per request.
//!
//! Lines are written into buffers that a thread of their own flushes every
//! `FLUSH_EVERY`: a request never waits for the disk. Under load a full buffer
//! wakes the thread earlier, so the buffers stay small and in the processor's
//! caches. If the log's reader stalls, lines are dropped and counted, not kept.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use super::escape::{escape, escape_word};
use super::event::{Event, Line, RequestEvent};
use super::shard::{SHARDS, shard_of_thread};
use crate::base::calendar::push_rfc3339;
use crate::base::clock::milliseconds;
use crate::base::lock::Lock;
use crate::base::text;
use crate::config::Format;
use crate::request::address_text;

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
pub struct AccessLog(Arc<Shared>);

struct Shared {
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
}

/// The time of the last line; lines of the same second reuse all but its fraction.
#[derive(Default)]
struct Stamp {
    second: u64,
    text: String,
}

impl AccessLog {
    /// Starts the flushing thread; it ends when the last clone is dropped.
    pub fn start(format: Format, sink: Sink) -> std::io::Result<Self> {
        let writes = !matches!(sink, Sink::Off);
        let shared = Arc::new(Shared {
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
    pub(super) fn record(&self, event: Event<'_>) {
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
        let Buffer { text, stamp } = &mut *buffer;
        if text.len() > BACKLOG {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = text.len();
        match self.0.format {
            Format::Json => line.json(text, stamp),
            Format::Text => line.text(text, stamp),
        }
        let is_due = before < FLUSH_AT && text.len() >= FLUSH_AT;
        drop(buffer);
        if is_due && let Some(flusher) = self.0.flusher.get() {
            flusher.unpark();
        }
    }

    /// Lines dropped because the log's reader stalled.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Writes out what is buffered; for the end of the process.
    pub fn flush(&self) {
        self.0.flush();
    }
}

impl Shared {
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

impl Drop for Shared {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Stamp {
    fn push(&mut self, out: &mut String, unix_ms: u64) {
        let second = unix_ms / 1000;
        if self.second != second || self.text.is_empty() {
            self.second = second;
            self.text.clear();
            push_rfc3339(&mut self.text, second * 1000);
            // Up to the fraction.
            self.text.truncate(self.text.len().saturating_sub("000Z".len()));
        }
        out.push_str(&self.text);
        text::push_below(out, unix_ms, 1000);
        out.push('Z');
    }
}

impl Line<'_> {
    fn json(&self, out: &mut String, stamp: &mut Stamp) {
        out.push_str("{\"time\":\"");
        stamp.push(out, self.unix_ms);
        out.push_str("\",\"request_id\":\"");
        escape(out, self.request_id);
        out.push_str("\",\"trace_id\":\"");
        out.push_str(self.trace_id);
        out.push_str("\",\"method\":\"");
        escape(out, self.method);
        out.push_str("\",\"host\":\"");
        escape(out, self.host);
        out.push_str("\",\"path\":\"");
        escape(out, self.path);
        out.push_str("\",\"route\":\"");
        escape(out, self.route);
        if let Some(client) = self.client {
            out.push_str("\",\"client\":\"");
            address_text::push(out, client);
        }
        if let Some(user) = self.user {
            out.push_str("\",\"user\":\"");
            escape(out, user);
        }
        if !self.source.is_empty() {
            out.push_str("\",\"source\":\"");
            escape(out, self.source);
        }
        out.push_str("\",\"outcome\":\"");
        out.push_str(self.outcome.as_str());
        if !self.reason.is_empty() {
            out.push_str("\",\"reason\":\"");
            out.push_str(self.reason);
        }
        out.push_str("\",\"status\":");
        text::push(out, self.status.into());
        out.push_str(",\"ms\":");
        push_milliseconds(out, self.took);
        out.push_str("}\n");
    }

    fn text(&self, out: &mut String, stamp: &mut Stamp) {
        stamp.push(out, self.unix_ms);
        push(out, format_args!(" {} ", self.status));
        escape_word(out, self.method);
        out.push(' ');
        escape_word(out, self.path);
        push(out, format_args!(" {} ", self.outcome.as_str()));
        escape_word(out, self.route);
        if let Some(user) = self.user {
            out.push_str(" user=");
            escape_word(out, user);
        }
        if !self.source.is_empty() {
            out.push_str(" source=");
            escape_word(out, self.source);
        }
        if !self.reason.is_empty() {
            push(out, format_args!(" reason={}", self.reason));
        }
        out.push(' ');
        push_milliseconds(out, self.took);
        out.push_str("ms ");
        escape_word(out, self.request_id);
        out.push('\n');
    }
}

fn push_milliseconds(out: &mut String, took: Duration) {
    text::push(out, milliseconds(took));
    out.push('.');
    text::push_below(out, took.subsec_micros().into(), 1000);
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::event::Outcome;

    const LINE: Line<'_> = Line {
        unix_ms: 1_767_225_600_042,
        request_id: "r\"1",
        trace_id: "0af7651916cd43dd8448eb211c80319c",
        method: "GET",
        host: "app.example",
        path: "/a\"\u{1b}[31m\n",
        route: "token.portive",
        client: None,
        user: Some("u1"),
        source: "next-auth",
        outcome: Outcome::Issued,
        reason: "cached",
        code: None,
        status: 200,
        took: Duration::from_micros(1_234),
    };

    #[test]
    fn a_line_is_one_json_object_whatever_the_path() {
        let mut out = String::new();
        LINE.json(&mut out, &mut Stamp::default());
        assert_eq!(out.matches('\n').count(), 1);
        let line: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(line["path"], "/a\"\u{1b}[31m\n");
        assert_eq!(line["time"], "2026-01-01T00:00:00.042Z");
        assert_eq!(line["ms"], 1.234);
        assert_eq!(line["request_id"], "r\"1");
    }

    #[test]
    fn the_time_is_that_of_each_line() {
        let mut stamp = Stamp::default();
        for unix_ms in [0, 999, 1_767_225_600_042, 1_767_225_600_999, 1_767_225_601_000] {
            let (mut kept, mut anew) = (String::new(), String::new());
            stamp.push(&mut kept, unix_ms);
            push_rfc3339(&mut anew, unix_ms);
            assert_eq!(kept, anew);
        }
    }

    #[test]
    fn text_lines_carry_no_control_characters() {
        let mut out = String::new();
        LINE.text(&mut out, &mut Stamp::default());
        assert!(out.trim_end().chars().all(|c| !c.is_control()));
    }

    #[test]
    fn a_user_id_is_one_word_of_a_text_line_whatever_is_in_it() {
        let usual = {
            let mut out = String::new();
            LINE.text(&mut out, &mut Stamp::default());
            out.split(' ').count()
        };
        for odd in [
            "alice source=jwt",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200f}b",
            "a\u{61c}b",
            "a\u{2028}b",
            "a\u{85}b",
            "a\u{a0}b",
            "a\u{3000}b",
            "a\u{200b}b",
            "a\u{feff}b",
            "a\u{e0041}b",
            "a\tb\nc",
        ] {
            let mut out = String::new();
            let line = Line { user: Some(odd), path: "/", request_id: odd, ..LINE };
            line.text(&mut out, &mut Stamp::default());
            assert_eq!(out.split(' ').count(), usual, "{odd:?}");
            let text = out.trim_end();
            assert!(text.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{text:?}");
        }
    }

    #[test]
    fn letters_of_any_script_stay_readable_in_a_text_line() {
        let mut named = String::new();
        Line { user: Some("Zo\u{eb}-\u{4e2d}"), ..LINE }.text(&mut named, &mut Stamp::default());
        assert!(named.contains(" user=Zo\u{eb}-\u{4e2d} "), "{named}");
    }
}
