//! The file of revocations: opened, locked and rewritten.
//!
//! While a process runs it holds a shared lock, so only a process that is alone with the
//! file rewrites it without expired entries. A line cut short by a crash is passed over.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry::{Entry, Fold};
use super::tables::MAX_ENTRIES;
use crate::base::clock::Clock;
use crate::base::text::Hex;

const HEADING: &str = "portcullis revocations 1";
/// Lines of some 110 bytes: all tables full, with room for what has been taken back.
pub(super) const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// A file that has grown by this much, and to twice its size, is rewritten.
const GROWS_BY: u64 = 1024 * 1024;
/// Another process rewrites the file in less than this.
const LOCK_STEPS: usize = 100;
const LOCK_STEP: Duration = Duration::from_millis(50);

/// Why the file cannot be used.
#[derive(Debug)]
pub enum JournalError {
    /// The path holds something else.
    Foreign,
    Io(io::Error),
    TooLarge,
}

impl std::fmt::Display for JournalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Foreign => f.write_str(
                "found something else at this path, expected a file that Portcullis wrote, or no \
                 file",
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

/// The file as it is open now, locked against being rewritten.
pub(super) struct Opened {
    pub(super) file: File,
    /// Up to where it has been read.
    pub(super) read: u64,
    /// The size from which a rewrite pays.
    pub(super) renew_at: u64,
}

impl Opened {
    pub(super) fn open(path: &Path, clock: &Clock) -> Result<Self, JournalError> {
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
                // Some file systems have no locks: then the file is never rewritten.
                Err(TryLockError::Error(_)) => return Self::of(file),
                Ok(()) | Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_STEP),
            }
        }
        Err(io::Error::from(io::ErrorKind::TimedOut).into())
    }

    fn of(file: File) -> Result<Self, JournalError> {
        let found = file.metadata()?;
        if found.permissions().mode() & 0o077 != 0 {
            // Only its owner can; another user who may write it may also read it.
            let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
        }
        let size = found.len();
        Ok(Self { file, read: 0, renew_at: (size * 2).max(size + GROWS_BY) })
    }

    /// Rewrites the file without expired entries; keeps the old one if it cannot.
    fn renew(old: File, path: &Path, clock: &Clock) -> Result<Self, JournalError> {
        match Self::write_anew(&old, path, clock) {
            Ok(file) => Self::of(file),
            Err(error) => {
                tracing::warn!(%error, "the file of revocations cannot be rewritten");
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

pub(super) fn written(entry: &Entry, writer: Hex) -> String {
    format!("{} {}\n", writer.as_str(), entry.line())
}

/// The whole lines of a text, each with the process that wrote it.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.split_inclusive(|&b| b == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_once(' '))
}

/// Whether the file's last line has its end.
pub(super) fn ends_whole(mut file: &File, size: u64) -> io::Result<bool> {
    let Some(last) = size.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}
