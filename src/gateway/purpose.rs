//! What a connection to the app is for.

use std::time::Duration;

/// The request is given up if the app takes none of it for this long.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Request,
    /// A tunnel, which HTTP/2 has no room for.
    Upgrade,
}
