//! What the operating system may show of this process, which is as little as it
//! allows, and what it lets the process have.
//!
//! Keys live in memory for as long as the process does. A core file would write
//! them to disk, and another process of the same user could read them out of
//! memory or `/proc/PID/environ`.

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Switches off core files and, where the system knows it, being read by
/// processes of the same user. Failing is no reason not to start.
pub fn keep_memory_private() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core files could not be switched off");
    }
    if let Err(error) = set_dumpable(false) {
        tracing::warn!(%error, "the process can be inspected by others of its user");
    }
}

/// Asks for as many open files as the system allows at all. Every connection is
/// one, and one more to the app; the usual limit of 1024 is for programs that
/// could not count further.
pub fn allow_many_connections() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the number of open files could not be raised");
    }
}
