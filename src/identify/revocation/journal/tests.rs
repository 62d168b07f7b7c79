//! The file of revocations, over crashes, restarts and several processes.

use std::fs::File;
use std::sync::atomic::AtomicUsize;

use super::super::entry::What;
use super::super::journal_file::probe;
use super::*;
use crate::base::digest::Digest;
use crate::base::lock::Lock;

fn folder() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let name = format!("portcullis-journal-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn entry(name: &str) -> Entry {
    let at_ms = Clock::system().now().unix_ms();
    Entry { what: What::SessionSignedOut, mark: Digest::new(name.as_bytes()), at_ms }
}

/// A process with the file: what it appends, and what it has learned.
struct Process {
    journal: Journal,
    learned: Arc<Lock<Vec<Entry>>>,
}

impl Process {
    fn start(path: &Path) -> Self {
        let learned = Arc::new(Lock::new(Vec::new()));
        let into = learned.clone();
        let apply = move |entry| into.lock().push(entry);
        Self { journal: Journal::open(path, Clock::system(), apply).unwrap(), learned }
    }

    fn append(&self, entry: Entry) {
        self.journal.append(entry);
        self.journal.flush();
    }

    #[track_caller]
    fn learns(&self, entry: Entry) {
        let knows = || self.learned.lock().contains(&entry);
        let waits = (0..6000).take_while(|_| !knows());
        waits.for_each(|_| std::thread::sleep(Duration::from_millis(5)));
        assert!(knows(), "{:?}", self.learned.lock());
    }
}

#[test]
fn appended_entries_survive_a_restart_and_only_the_owner_reads_them() {
    let folder = folder();
    let path = folder.join("revocations");
    let (a, b) = (entry("a"), entry("b"));
    let first = Process::start(&path);
    first.append(a);
    first.append(b);
    drop(first);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let second = Process::start(&path);
    let learned = second.learned.lock().clone();
    assert_eq!(learned.len(), 2);
    assert!(learned.contains(&a) && learned.contains(&b));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_line_that_a_crash_cut_short_is_passed_over_and_spoils_no_other() {
    let path = folder().join("revocations");
    let first = Process::start(&path);
    first.append(entry("a"));
    first.append(entry("b"));
    drop(first);
    let whole = fs::read(&path).unwrap();
    let line = whole.len() - whole[..whole.len() - 1].iter().rposition(|&b| b == b'\n').unwrap();
    for cut in [1, 2, line / 2, line - 2] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        // Another process holds it, so it is not rewritten.
        let other = Process::start(&path);
        assert_eq!(other.learned.lock().len(), 1, "cut by {cut}");
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"0123456789abcdef revo").unwrap();
        let second = Process::start(&path);
        let c = entry("c");
        second.append(c);
        other.learns(c);
    }
}

#[test]
fn processes_with_one_file_learn_from_each_other_while_they_run() {
    let path = folder().join("revocations");
    let (old, new) = (Process::start(&path), Process::start(&path));
    let (a, b) = (entry("a"), entry("b"));
    old.append(a);
    new.learns(a);
    new.append(b);
    old.learns(b);
    assert_eq!(*old.learned.lock(), [b], "its own it knows");
}

#[test]
fn a_process_alone_with_the_file_rewrites_it_and_loses_nothing() {
    let path = folder().join("revocations");
    let first = Process::start(&path);
    let kept = entry("kept");
    first.append(kept);
    for number in 0..500 {
        let gone = entry(&number.to_string());
        first.journal.append(gone);
        let at_ms = gone.at_ms + 1;
        first.journal.append(Entry { what: What::SessionReadmitted, at_ms, ..gone });
    }
    first.journal.flush();
    let size = fs::metadata(&path).unwrap().len();
    let second = Process::start(&path);
    assert_eq!(fs::metadata(&path).unwrap().len(), size, "the other process writes to it");
    drop((first, second));
    // Its thread ends a moment later, and its lock with it.
    let is_short = || fs::metadata(&path).unwrap().len() < size;
    for _ in (0..6000).take_while(|_| !is_short()) {
        let third = Process::start(&path);
        assert!(third.learned.lock().contains(&kept));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(is_short());
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let folder = folder();
    let path = folder.join("notes.txt");
    fs::write(&path, "my notes\n").unwrap();
    let refused = Journal::open(&path, Clock::system(), |_| {});
    assert!(matches!(refused.err().unwrap(), JournalError::Foreign));
    assert!(matches!(probe(&path), Err(JournalError::Foreign)));
    assert_eq!(fs::read(&path).unwrap(), b"my notes\n");
    assert!(matches!(probe(&folder), Err(JournalError::Foreign)));
    assert!(matches!(probe(&folder.join("none/x")), Err(JournalError::Io(_))));
    assert!(probe(&folder.join("new")).is_ok());
    assert!(!folder.join("new").exists(), "it only looked");
}

#[tokio::test]
async fn a_failed_write_is_reported_and_repeated_later() {
    let folder = folder();
    let path = folder.join("revocations");
    let process = Process::start(&path);
    assert!(process.journal.is_kept().await);
    // A folder in its place.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let a = entry("a");
    process.journal.append(a);
    assert!(!process.journal.is_kept().await);
    assert_eq!(process.journal.failures(), 1);
    fs::remove_dir(&path).unwrap();
    assert!(process.journal.is_kept().await);
    let other = Process::start(&path);
    other.learns(a);
}
