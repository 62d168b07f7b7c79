//! Who was given which token: one JSON line for each one issued or refused.
//!
//! Unlike the access log, which must never hold up a request, this one can be
//! made a condition: where it is `required`, a token is handed out only after its
//! line has been written. One thread writes; lines that arrive meanwhile go out
//! together, so that waiting costs one write, not one each. A line holds the
//! token's digest, never the token.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::base::calendar::push_rfc3339;
use crate::base::digest::Digest;
use crate::base::lock::Lock;
use crate::base::text::hex;
use crate::config::AuditDestination;
use crate::policy::AuditMode;

/// Lines that may wait to be written.
const BACKLOG: usize = 8192;
/// Lines written in one go.
const BATCH: usize = 512;
/// A line that takes longer has not been written.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of the wish for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Issued {
        token: &'a [u8],
        /// Seconds of life it has left.
        ttl: u64,
        cached: bool,
    },
    /// The refusal's code.
    Refused(&'static str),
}

/// One line.
pub struct Entry<'a> {
    pub unix_ms: u64,
    pub event: Event<'a>,
    /// The token's name in the settings.
    pub token: &'a str,
    /// Where it went: to its own `endpoint`, or into a `page`.
    pub place: &'static str,
    pub user: Option<&'a str>,
    /// The name of the key that signed it.
    pub key: Option<&'a str>,
    pub client: Option<std::net::IpAddr>,
    pub request_id: Option<&'a str>,
}

/// The line could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten;

/// The audit log of the process; off until started.
#[derive(Clone, Default)]
pub struct AuditLog(Option<Arc<Shared>>);

struct Shared {
    lines: SyncSender<Line>,
    output: Arc<Output>,
    need: AuditMode,
}

struct Line {
    text: String,
    /// Told whether the line has been written.
    written: Option<oneshot::Sender<bool>>,
}

/// What the thread writes to; `reopen` replaces the file under it.
struct Output {
    destination: AuditDestination,
    file: Lock<Option<File>>,
    /// Lines sent and not yet dealt with.
    waiting: AtomicUsize,
    /// Lines that could not be written.
    failed: AtomicU64,
}

impl AuditLog {
    /// Opens the destination and starts the thread; it ends with the last clone.
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
        Ok(Self(Some(Arc::new(Shared { lines, output, need }))))
    }

    /// As the settings say: off without any.
    pub fn of(settings: &Option<(AuditDestination, AuditMode)>) -> io::Result<Self> {
        settings.clone().map_or(Ok(Self::default()), |(to, need)| Self::start(to, need))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes one line. If the log or the token requires it, waits until it is
    /// written, or says that it could not be.
    pub async fn write(&self, entry: &Entry<'_>, need: AuditMode) -> Result<(), Unwritten> {
        let Some(shared) = &self.0 else { return Ok(()) };
        let text = entry.json();
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

    /// Writes a line nobody waits for.
    pub fn note(&self, entry: &Entry<'_>) {
        if let Some(shared) = &self.0 {
            shared.send(Line { text: entry.json(), written: None });
        }
    }

    /// Waits a moment for lines on their way: for the end of the process.
    pub fn flush(&self) {
        const STEP: Duration = Duration::from_millis(5);
        let Some(shared) = &self.0 else { return };
        let mut waited = Duration::ZERO;
        while shared.output.waiting.load(Ordering::Acquire) > 0 && waited < PATIENCE {
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }

    /// Opens the file again, which has been moved away. If that fails, lines go
    /// on into the one that is open.
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

impl Shared {
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
            // After a failure part of a line may stand there: it ends here.
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
            for told in batch.into_iter().filter_map(|line| line.written) {
                // Whoever asked may have given up waiting.
                let _ = told.send(!is_torn);
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

/// For appending; readable by its owner only if it is new.
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Entry<'_> {
    /// The line. Its second member tells it apart from lines of the access log.
    fn json(&self) -> String {
        let mut time = String::new();
        push_rfc3339(&mut time, self.unix_ms);
        let mut line = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                line.insert(name.to_owned(), value);
            }
        };
        put("time", Some(time.into()));
        match self.event {
            Event::Issued { .. } => put("audit", Some("issued".into())),
            Event::Refused(_) => put("audit", Some("refused".into())),
        }
        put("token", Some(self.token.into()));
        put("place", Some(self.place.into()));
        put("user", self.user.map(Value::from));
        match self.event {
            Event::Issued { token, ttl, cached } => {
                put("key", self.key.map(Value::from));
                put("sha256", Some(hex(Digest::new(token).bytes()).into()));
                put("ttl", Some(ttl.into()));
                put("cached", Some(cached.into()));
            }
            Event::Refused(code) => put("code", Some(code.into())),
        }
        put("client", self.client.map(|client| client.to_string().into()));
        put("request_id", self.request_id.map(Value::from));
        let mut line = Value::Object(line).to_string();
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests;
