//! Tells whether the files of the configuration have changed.
//!
//! Polls instead of asking the system for events: that works on every file system, and
//! where a link is switched to another directory, as container platforms do with
//! mounted secrets.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::base::secret::Secrets;

/// The state of the files at one moment.
pub(super) type Look = BTreeMap<PathBuf, Option<Stamp>>;

/// Identifies a file and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The files, as they were read and as they were last seen.
pub(super) struct Watched {
    read: Look,
    seen: Option<Look>,
}

impl Watched {
    pub(super) fn new(path: &Path, secrets: &Secrets) -> Self {
        Self { read: look(files(path, secrets)), seen: None }
    }

    /// The files as they are now.
    pub(super) fn look(&self) -> Look {
        look(self.read.keys().cloned())
    }

    /// Notes that the files have been read; `before` is their state before that.
    pub(super) fn have_read(&mut self, before: Look, path: &Path, secrets: &Secrets) {
        self.read = look(files(path, secrets));
        for (path, stamp) in before {
            if let Some(read) = self.read.get_mut(&path) {
                *read = stamp;
            }
        }
        self.seen = None;
    }

    /// Whether the files differ from those that were read, and have not changed since
    /// the last call.
    pub(super) fn have_settled(&mut self) -> bool {
        let now = self.look();
        if now == self.read {
            self.seen = None;
            return false;
        }
        let settled = self.seen.as_ref() == Some(&now);
        self.seen = Some(now);
        settled
    }
}

/// The file itself, and those it names.
fn files(path: &Path, secrets: &Secrets) -> impl Iterator<Item = PathBuf> {
    std::iter::once(path.to_owned()).chain(secrets.files())
}

fn look(paths: impl Iterator<Item = PathBuf>) -> Look {
    paths.map(|path| (path.clone(), stamp(&path))).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_the_files_stay_the_same() {
        let folder = std::env::temp_dir().join(format!("portcullis-watch-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        let (path, secret) = (folder.join("gateway.toml"), folder.join("secret"));
        std::fs::write(&path, "a").unwrap();
        let secrets = Secrets::of_process(&folder);
        // Named and not there yet: that it appears is a change.
        assert!(secrets.resolve("file:secret").is_err());
        let mut watched = Watched::new(&path, &secrets);
        assert!(!watched.have_settled());
        std::fs::write(&secret, "one").unwrap();
        assert!(!watched.have_settled(), "perhaps it is still being written");
        std::fs::write(&secret, "more").unwrap();
        assert!(!watched.have_settled());
        assert!(watched.have_settled());
        watched.have_read(watched.look(), &path, &secrets);
        assert!(!watched.have_settled());
        // Replaced by another of the same size.
        std::fs::write(folder.join("other"), "b").unwrap();
        std::fs::rename(folder.join("other"), &path).unwrap();
        assert!(!watched.have_settled());
        assert!(watched.have_settled());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
