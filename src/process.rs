//! What the operating system may show of this process: as little as it allows.
//!
//! Keys live in memory for as long as the process does. A core file would write
//! them to disk, and another process of the same user could read them out of
//! memory or `/proc/PID/environ`.

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};

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
