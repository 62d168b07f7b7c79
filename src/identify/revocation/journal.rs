//! The file that keeps revocations: they outlive the process, and every process with the
//! same file learns of them.
//!
//! One thread owns the file. It appends what happens here, each batch followed by a
//! sync, and twice a second reads what other processes have appended: the one that this
//! one replaces still signs users out while it drains.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::entry::Entry;
use super::journal_file::{JournalError, MOST_BYTES, Opened, ends_whole, lines, written};
use crate::base::clock::Clock;
use crate::base::text::Hex;

/// How often the file is looked at.
const TICK: Duration = Duration::from_millis(500);
/// Events that wait for the thread, or for a file that cannot be written.
const MOST_WAITING: usize = 10_000;
/// The way to the thread that writes.
pub(super) struct Journal {
    work: SyncSender<Work>,
    failures: Arc<AtomicU64>,
}

enum Work {
    Append(Entry),
    Flush(SyncSender<()>),
    /// Is told whether everything before it is on disk.
    Settle(oneshot::Sender<bool>),
}

impl Journal {
    /// Opens the file; `apply` receives its entries, and later those that other processes
    /// append.
    pub(super) fn open(
        path: &Path,
        clock: Clock,
        apply: impl Fn(Entry) + Send + 'static,
    ) -> Result<Self, JournalError> {
        let opened = Opened::open(path, &clock)?;
        let failures = Arc::new(AtomicU64::new(0));
        let (work, waiting) = sync_channel(MOST_WAITING);
        let mut seed = [0; 8];
        // Zeros would only make a process read its own lines again.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        let mut keeper = Keeper {
            path: path.to_owned(),
            writer: Hex::new(u64::from_be_bytes(seed)),
            opened,
            clock,
            unwritten: Vec::new(),
            failures: failures.clone(),
            apply: Box::new(apply),
        };
        keeper.read_on()?;
        std::thread::Builder::new()
            .name("revocations".into())
            .spawn(move || keeper.run(&waiting))?;
        Ok(Self { work, failures })
    }

    /// Writes an event soon.
    pub(super) fn append(&self, entry: Entry) {
        if self.work.try_send(Work::Append(entry)).is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether everything appended until now is on disk.
    pub(super) async fn is_kept(&self) -> bool {
        let (done, kept) = oneshot::channel();
        self.work.try_send(Work::Settle(done)).is_ok() && kept.await.unwrap_or(false)
    }

    /// Waits a moment until the appended entries are written.
    pub(super) fn flush(&self) {
        let (done, finished) = sync_channel(1);
        if self.work.try_send(Work::Flush(done)).is_ok() {
            let _ = finished.recv_timeout(Duration::from_secs(1));
        }
    }

    /// Events that could not be written at first.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// The thread that owns the file.
struct Keeper {
    path: PathBuf,
    /// Marks this process's own lines, which it need not read again.
    writer: Hex,
    opened: Opened,
    clock: Clock,
    /// Lines that could not be written yet.
    unwritten: Vec<String>,
    failures: Arc<AtomicU64>,
    apply: Box<dyn Fn(Entry) + Send>,
}

impl Keeper {
    /// Ends when the `Journal` is dropped.
    fn run(mut self, waiting: &Receiver<Work>) {
        loop {
            let first = match waiting.recv_timeout(TICK) {
                Ok(work) => Some(work),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.write(first.into_iter().chain(waiting.try_iter()).take(MOST_WAITING));
            if let Err(error) = self.look() {
                tracing::error!(%error, "the file of revocations cannot be read");
            }
        }
    }

    /// Appends the new entries in one piece, and notifies their waiters.
    fn write(&mut self, work: impl Iterator<Item = Work>) {
        let (mut told, mut flushed, mut count) = (Vec::new(), Vec::new(), 0);
        for work in work {
            match work {
                Work::Append(entry) => {
                    count += 1;
                    if self.unwritten.len() < MOST_WAITING {
                        self.unwritten.push(written(&entry, self.writer));
                    }
                }
                Work::Flush(done) => flushed.push(done),
                Work::Settle(done) => told.push(done),
            }
        }
        let written = self.unwritten.is_empty() || self.append();
        if !written {
            self.failures.fetch_add(count, Ordering::Relaxed);
        }
        for done in told {
            let _ = done.send(written);
        }
        for done in flushed {
            let _ = done.send(());
        }
    }

    /// Whether everything is on disk now; the rest is tried again.
    fn append(&mut self) -> bool {
        match self.try_append() {
            Ok(()) => {
                self.unwritten.clear();
                true
            }
            Err(error) => {
                tracing::error!(%error, "revocations are in force but cannot be written to their file");
                false
            }
        }
    }

    fn try_append(&mut self) -> Result<(), JournalError> {
        self.follow_path()?;
        let file = &mut self.opened.file;
        let size = file.metadata()?.len();
        // Behind a line that a crash, or a full disk, has cut short.
        let mut text = if ends_whole(file, size)? { String::new() } else { "\n".to_owned() };
        text.extend(self.unwritten.iter().map(String::as_str));
        if size + text.len() as u64 > MOST_BYTES {
            return Err(JournalError::TooLarge);
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        Ok(())
    }

    /// Reads what other processes have appended, and rewrites a file that has grown.
    fn look(&mut self) -> Result<(), JournalError> {
        self.follow_path()?;
        self.read_on()?;
        if self.opened.file.metadata()?.len() > self.opened.renew_at {
            let _ = self.opened.file.unlock();
            match Opened::open(&self.path, &self.clock) {
                Ok(opened) => self.opened = opened,
                Err(error) => {
                    let _ = self.opened.file.try_lock_shared();
                    self.opened.renew_at *= 2;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Opens the path again if another file, or none, is there now.
    fn follow_path(&mut self) -> Result<(), JournalError> {
        let open = self.opened.file.metadata()?.ino();
        let found = fs::metadata(&self.path);
        if found.is_ok_and(|found| found.ino() == open) {
            return Ok(());
        }
        tracing::warn!("another file of revocations is at its path now; continuing with that one");
        self.opened = Opened::open(&self.path, &self.clock)?;
        Ok(())
    }

    fn read_on(&mut self) -> Result<(), JournalError> {
        let Opened { file, read, .. } = &mut self.opened;
        if file.metadata()?.len() <= *read {
            return Ok(());
        }
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(*read))?;
        file.take(MOST_BYTES).read_to_end(&mut text)?;
        let whole = text.iter().rposition(|&b| b == b'\n').map_or(0, |last| last + 1);
        let text = text.get(..whole).unwrap_or_default();
        *read += whole as u64;
        let others = lines(text).filter(|(writer, _)| *writer != self.writer.as_str());
        others.filter_map(|(_, line)| Entry::read(line)).for_each(|entry| (self.apply)(entry));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
