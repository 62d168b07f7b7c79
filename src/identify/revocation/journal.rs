//! The file that keeps revocations: they outlive the process, and every process with the
//! same file learns of them.
//!
//! One thread owns the file. It appends what happens here, each batch followed by a
//! sync, and twice a second reads what other processes have appended: the one that this
//! one replaces still signs users out while it drains. While a process runs it holds a
//! shared lock, so only a process that is alone with the file writes it anew, without
//! what is over. A line cut short by a crash is passed over.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::MAX_ENTRIES;
use super::entry::{Entry, Fold};
use crate::base::clock::Clock;
use crate::base::text::Hex;

const HEADING: &str = "portcullis revocations 1";
/// Lines of some 110 bytes: all tables full, with room for what has been taken back.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// A file that has grown by this much, and to twice its size, is written anew.
const GROWS_BY: u64 = 1024 * 1024;
/// How often the file is looked at.
const TICK: Duration = Duration::from_millis(500);
/// Events that wait for the thread, or for a file that cannot be written.
const MOST_WAITING: usize = 10_000;
/// Writing the file anew takes another process less than this.
const LOCK_STEPS: usize = 100;
const LOCK_STEP: Duration = Duration::from_millis(50);

/// Why the file cannot be used.
#[derive(Debug)]
pub enum JournalError {
    /// It stands there, and is something else.
    Foreign,
    Io(io::Error),
    TooLarge,
}

impl std::fmt::Display for JournalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Foreign => f.write_str(
                "there is something else at this path; expected a file that Portcullis wrote, or none",
            ),
            Self::Io(error) => write!(f, "cannot be opened for writing: {error}"),
            Self::TooLarge => write!(f, "larger than {} MiB", MOST_BYTES / 1024 / 1024),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Foreign | Self::TooLarge => None,
        }
    }
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

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
    /// Opens the file; `apply` is given what it holds, and later what others append.
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

    /// Waits a moment for what was appended.
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

/// Whether the file can be used; nothing is written.
pub(crate) fn probe(path: &Path) -> Result<(), JournalError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let file = options().create(false).open(path)?;
            let mut start = Vec::new();
            file.take(HEADING.len() as u64 + 1).read_to_end(&mut start)?;
            check_heading(&start)
        }
        Ok(_) => Err(JournalError::Foreign),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder_of(path);
            let found = fs::metadata(folder)?;
            if !found.is_dir() {
                return Err(io::Error::from(io::ErrorKind::NotADirectory).into());
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

fn options() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true).append(true).mode(0o600);
    options
}

fn check_heading(start: &[u8]) -> Result<(), JournalError> {
    let heading = [HEADING.as_bytes(), b"\n"].concat();
    let is_ours = start.is_empty() || start == heading;
    is_ours.then_some(()).ok_or(JournalError::Foreign)
}

/// The file as it is open now, locked against being written anew.
struct Opened {
    file: File,
    /// Up to where it has been read.
    read: u64,
    /// From which size it is worth writing anew.
    renew_at: u64,
}

impl Opened {
    fn open(path: &Path, clock: &Clock) -> Result<Self, JournalError> {
        for _ in 0..LOCK_STEPS {
            let file = options().create(true).open(path)?;
            let found = file.metadata()?;
            if !found.is_file() {
                return Err(JournalError::Foreign);
            }
            if found.len() > MOST_BYTES {
                return Err(JournalError::TooLarge);
            }
            let (mut start, length) = (Vec::new(), HEADING.len() as u64 + 1);
            (&file).take(length).read_to_end(&mut start)?;
            check_heading(&start)?;
            if file.try_lock().is_ok() {
                // Alone with it, unless it is no longer the file at this path.
                if fs::metadata(path)?.ino() != found.ino() {
                    continue;
                }
                return Self::renew(file, path, clock);
            }
            match file.try_lock_shared() {
                Ok(()) if fs::metadata(path)?.ino() == found.ino() => return Self::of(file),
                // Some file systems have no locks: then nothing is ever written anew.
                Err(TryLockError::Error(_)) => return Self::of(file),
                Ok(()) | Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_STEP),
            }
        }
        Err(io::Error::from(io::ErrorKind::TimedOut).into())
    }

    fn of(file: File) -> Result<Self, JournalError> {
        let found = file.metadata()?;
        if found.permissions().mode() & 0o077 != 0 {
            // Only its owner can; whoever else may write it may also read it.
            let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
        }
        let size = found.len();
        Ok(Self { file, read: 0, renew_at: (size * 2).max(size + GROWS_BY) })
    }

    /// Writes the file anew, without what is over; keeps the old one if it cannot.
    fn renew(old: File, path: &Path, clock: &Clock) -> Result<Self, JournalError> {
        match Self::write_anew(&old, path, clock) {
            Ok(file) => Self::of(file),
            Err(error) => {
                tracing::warn!(%error, "the file of revocations cannot be written anew");
                let _ = old.unlock();
                let _ = old.try_lock_shared();
                if old.metadata()?.len() == 0 {
                    (&old).write_all(format!("{HEADING}\n").as_bytes())?;
                }
                Self::of(old)
            }
        }
    }

    fn write_anew(mut old: &File, path: &Path, clock: &Clock) -> io::Result<File> {
        let mut text = Vec::new();
        old.seek(SeekFrom::Start(0))?;
        old.read_to_end(&mut text)?;
        let mut fold = Fold::default();
        lines(&text).filter_map(|(_, line)| Entry::read(line)).for_each(|entry| fold.add(entry));
        let most = usize::try_from(MAX_ENTRIES).unwrap_or(usize::MAX);
        let left = fold.left(clock.now().unix_ms(), most);
        let writer = Hex::new(0);
        let lines = left.iter().map(|entry| written(entry, writer));
        let text: String = std::iter::once(format!("{HEADING}\n")).chain(lines).collect();
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let _ = fs::remove_file(&beside);
        let mut new = options().create_new(true).open(&beside)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        let _ = new.try_lock_shared();
        fs::rename(&beside, path)?;
        // The name, too, must survive a crash.
        File::open(folder_of(path))?.sync_all()?;
        Ok(new)
    }
}

fn written(entry: &Entry, writer: Hex) -> String {
    format!("{} {}\n", writer.as_str(), entry.line())
}

/// The whole lines of a text, each with the process that wrote it.
fn lines(text: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.split_inclusive(|&b| b == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_once(' '))
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

    /// Appends what happened, in one piece, and tells those who wait for it.
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

    /// Whether everything is on disk now; what is not is tried again.
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

    /// Reads what others have appended, and writes a file anew that has grown.
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

    /// Opens the path again where another file stands now, or none.
    fn follow_path(&mut self) -> Result<(), JournalError> {
        let open = self.opened.file.metadata()?.ino();
        let found = fs::metadata(&self.path);
        if found.is_ok_and(|found| found.ino() == open) {
            return Ok(());
        }
        tracing::warn!("another file of revocations stands at its path; going on with that");
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

fn ends_whole(mut file: &File, size: u64) -> io::Result<bool> {
    let Some(last) = size.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}

#[cfg(test)]
mod tests;
