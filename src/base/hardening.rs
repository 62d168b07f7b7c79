//! Limits of the process: as little as possible is shown of its memory, little of it lies
//! unused, and as many files as possible may be open.
//!
//! Keys live in memory for as long as the process does. A core file would write
//! them to disk, and another process of the same user could read them out of
//! memory or `/proc/PID/environ`.

use nix::sys::prctl::{set_dumpable, set_thp_disable};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Switches off core files and, where the system can, reading by processes of the same
/// user. A failure does not stop the start.
pub(crate) fn keep_memory_private() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core files could not be switched off");
    }
    if let Err(error) = set_dumpable(false) {
        tracing::warn!(%error, "the process can be inspected by others of its user");
    }
}

/// Keeps the system from backing memory with huge pages, which the allocator asks for: one
/// small block in use keeps 2 MiB then, and 10,000 idle connections over HTTP/2 take half as
/// much memory again.
pub(crate) fn use_small_pages() {
    if let Err(error) = set_thp_disable(true) {
        tracing::debug!(%error, "huge pages could not be switched off");
    }
}

/// Asks for as many open files as the system allows at all. Every connection is
/// one, and one more to the app; the usual limit of 1024 is for programs that use
/// `select`.
pub fn allow_many_connections() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the number of open files could not be raised");
    }
}

/// How many files this process may have open now.
pub(crate) fn most_open_files() -> usize {
    let now = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(now, _)| now);
    usize::try_from(now).unwrap_or(usize::MAX)
}
