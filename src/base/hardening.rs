//! Limits of the process: its memory is hidden, its limit of open files is raised, and the
//! system never stops it to make room for either.
//!
//! Keys live in memory for as long as the process does. A core file would write
//! them to disk, and another process of the same user could read them out of
//! memory or `/proc/PID/environ`.

use std::fs::File;

use nix::sys::prctl::{set_dumpable, set_thp_disable};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::io::fcntl_dupfd_cloexec;

/// Open files for which there is room from the start: as many connections as may be open by
/// default, each with one to the app. It takes 256 KiB of the system's memory.
const ROOM: usize = 32 * 1024;

/// Switches off core files and, where the system can, reading by processes of the same
/// user. A failure does not stop the start.
pub(crate) fn keep_memory_private() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    if let Err(error) = set_dumpable(false) {
        tracing::warn!(%error, "the process can be inspected by others of its user");
    }
}

/// Asks for as many open files as the system allows at all. Every connection is
/// one, and one more to the app; the usual limit of 1024 is for programs that use
/// `select`.
pub fn allow_many_connections() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    make_room();
}

/// Linux doubles the table of open files when it is full, and every thread that opens one
/// waits meanwhile: 5 to 30 ms where there are several threads. It never shrinks.
fn make_room() {
    let last = most_open_files().min(ROOM).saturating_sub(1);
    let made = File::open("/dev/null").and_then(|file| {
        let last = i32::try_from(last).unwrap_or(i32::MAX);
        fcntl_dupfd_cloexec(file, last)?;
        Ok(())
    });
    if let Err(error) = made {
        tracing::warn!(%error, "the table of open files could not be enlarged");
    }
}

/// Gets memory in pages of 4 KiB. To clear one of 2 MiB takes milliseconds, during which a
/// thread serves no one, and most of it stays unused: for 10,000 connections, 40 % of the
/// memory.
pub(crate) fn use_small_pages() {
    if let Err(error) = set_thp_disable(true) {
        tracing::warn!(%error, "the system may use large pages");
    }
}

/// How many files this process may have open now.
pub(crate) fn most_open_files() -> usize {
    let now = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(now, _)| now);
    usize::try_from(now).unwrap_or(usize::MAX)
}
