//! The audit log: one JSON line for each token issued or refused.
//!
//! The access log never delays a request. This log can be made a condition: where
//! it is `required`, a token is handed out only after its line has been written.
//! One thread writes; lines that arrive meanwhile are written together, so waiting
//! requests share one write. A line holds the token's digest, never the token.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::event::{AuditEntry, CachedOrMinted, Event, TokenDecision, TokenEvent};
use crate::base::calendar::push_rfc3339;
use crate::base::lock::Lock;
use crate::config::AuditDestination;
use crate::policy::AuditMode;

/// Longest queue of lines to be written.
const BACKLOG: usize = 8192;
/// Most lines per write.
const BATCH: usize = 512;
/// A line not written within this time counts as lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// The line could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten;

/// The audit log of the process; off until started.
#[derive(Clone, Default)]
pub struct AuditLog(Option<Arc<Inner>>);

struct Inner {
    lines: SyncSender<Line>,
    output: Arc<Output>,
    need: AuditMode,
}

struct Line {
    text: String,
    /// Receives whether the line has been written.
    written: Option<oneshot::Sender<bool>>,
}

/// The thread's destination; `reopen` replaces the file under it.
struct Output {
    destination: AuditDestination,
    file: Lock<Option<File>>,
    /// Lines queued or being written.
    waiting: AtomicUsize,
    /// Lines that could not be written.
    failed: AtomicU64,
}

impl AuditLog {
    /// Opens the destination and starts the thread, which ends with the last clone.
    pub fn start(destination: AuditDestination, need: AuditMode) -> io::Result<Self> {
        let file = match &destination {
            AuditDestination::File(path) => Some(open(path)?),
            AuditDestination::Stdout => None,
        };
        let output = Arc::new(Output {
            destination,
            file: Lock::new(file),
            waiting: AtomicUsize::new(0),
            failed: AtomicU64::new(0),
        });
        let (lines, received) = sync_channel(BACKLOG);
        let writing = output.clone();
        std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || writing.write_until_closed(&received))?;
        Ok(Self(Some(Arc::new(Inner { lines, output, need }))))
    }

    /// Off without settings.
    pub fn from_settings(settings: &Option<(AuditDestination, AuditMode)>) -> io::Result<Self> {
        settings.clone().map_or(Ok(Self::default()), |(to, need)| Self::start(to, need))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes one line. If the log or the token requires it, returns after the line
    /// has been written, or fails.
    pub(super) async fn write(
        &self,
        entry: &AuditEntry<'_>,
        need: AuditMode,
    ) -> Result<(), Unwritten> {
        let Some(shared) = &self.0 else { return Ok(()) };
        let text = json(entry);
        if need == AuditMode::Wanted && shared.need == AuditMode::Wanted {
            shared.send(Line { text, written: None });
            return Ok(());
        }
        let (written, outcome) = oneshot::channel();
        if !shared.send(Line { text, written: Some(written) }) {
            return Err(Unwritten);
        }
        match tokio::time::timeout(PATIENCE, outcome).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) | Err(_) => Err(Unwritten),
        }
    }

    #[inline]
    pub(super) fn record(&self, event: Event<'_>) {
        match event {
            Event::Token(TokenEvent::Refused(entry)) => self.note(entry),
            // A token that is issued is written by `write`, which may refuse it.
            Event::Token(
                TokenEvent::Called { .. }
                | TokenEvent::Compared { .. }
                | TokenEvent::Differs { .. }
                | TokenEvent::Issued { .. }
                | TokenEvent::Minted { .. },
            )
            | Event::Connection(_)
            | Event::Reloaded { .. }
            | Event::Request(_)
            | Event::Session(_)
            | Event::Step(_)
            | Event::Upstream(_) => {}
        }
    }

    /// Writes a line without waiting for it.
    fn note(&self, entry: &AuditEntry<'_>) {
        if let Some(shared) = &self.0 {
            shared.send(Line { text: json(entry), written: None });
        }
    }

    /// Waits a moment for queued lines: for the end of the process.
    pub fn flush(&self) {
        const STEP: Duration = Duration::from_millis(5);
        let Some(shared) = &self.0 else { return };
        let mut waited = Duration::ZERO;
        while shared.output.waiting.load(Ordering::Acquire) > 0 && waited < PATIENCE {
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }

    /// Opens the file again after it has been moved away. If that fails, lines
    /// continue to go into the open one.
    pub fn reopen(&self) -> io::Result<()> {
        let Some(shared) = &self.0 else { return Ok(()) };
        let AuditDestination::File(path) = &shared.output.destination else { return Ok(()) };
        let file = open(path)?;
        *shared.output.file.lock() = Some(file);
        Ok(())
    }

    /// Lines that could not be written so far.
    pub fn failed(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.output.failed.load(Ordering::Relaxed))
    }
}

impl Inner {
    /// Whether there was room for the line.
    fn send(&self, line: Line) -> bool {
        self.output.waiting.fetch_add(1, Ordering::AcqRel);
        let sent = self.lines.try_send(line).is_ok();
        if !sent {
            self.output.waiting.fetch_sub(1, Ordering::AcqRel);
            self.output.failed.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}

impl Output {
    fn write_until_closed(&self, lines: &Receiver<Line>) {
        let mut is_torn = false;
        while let Ok(first) = lines.recv() {
            let batch: Vec<Line> =
                std::iter::once(first).chain(lines.try_iter().take(BATCH - 1)).collect();
            // A failed write may have left part of a line: end it here.
            let mut text = if is_torn { "\n".to_owned() } else { String::new() };
            text.extend(batch.iter().map(|line| line.text.as_str()));
            let written = self.write(text.as_bytes());
            if let (Err(error), false) = (&written, is_torn) {
                tracing::error!(%error, "the audit log cannot be written");
            }
            is_torn = written.is_err();
            let count = batch.len();
            if is_torn {
                let lost = u64::try_from(count).unwrap_or(u64::MAX);
                self.failed.fetch_add(lost, Ordering::Relaxed);
            }
            for written in batch.into_iter().filter_map(|line| line.written) {
                // The request may have stopped waiting.
                let _ = written.send(!is_torn);
            }
            self.waiting.fetch_sub(count, Ordering::AcqRel);
        }
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock();
        match &mut *file {
            Some(file) => file.write_all(text),
            None => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text).and_then(|()| stdout.flush())
            }
        }
    }
}

/// Opens for appending; a new file is readable by its owner only.
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The line. Its second member tells it apart from lines of the access log.
fn json(entry: &AuditEntry<'_>) -> String {
    let mut time = String::new();
    push_rfc3339(&mut time, entry.unix_ms);
    let mut line = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            line.insert(name.to_owned(), value);
        }
    };
    put("time", Some(time.into()));
    match entry.decision {
        TokenDecision::Issued { .. } => put("audit", Some("issued".into())),
        TokenDecision::Refused(_) => put("audit", Some("refused".into())),
    }
    put("token", Some(entry.token.into()));
    put("place", Some(entry.place.as_str().into()));
    put("user", entry.user.map(Value::from));
    match entry.decision {
        TokenDecision::Issued { token, ttl, origin } => {
            put("key", entry.key.map(Value::from));
            put("sha256", Some(hex(digest(&SHA256, token).as_ref()).into()));
            put("ttl", Some(ttl.into()));
            put("cached", Some((origin == CachedOrMinted::Cached).into()));
        }
        TokenDecision::Refused(code) => put("code", Some(code.as_str().into())),
    }
    put("client", entry.client.map(|client| client.to_string().into()));
    put("request_id", entry.request_id.map(Value::from));
    let mut line = Value::Object(line).to_string();
    line.push('\n');
    line
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
