//! Settings of a limit that replicas share.

use std::time::Duration;

/// Life of a lease.
pub(super) const LEASED_FOR: Duration = Duration::from_secs(1);

/// The behaviour of a limit while the shared store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnError {
    /// Not limited.
    Allow,
    /// Refused with 503.
    Deny,
    /// Counted in this process, with this replica's part of the limit.
    #[default]
    Local,
}

/// One limit's settings about sharing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sharing {
    /// `None`: as `[shared]` says.
    pub(crate) on_error: Option<OnError>,
    /// Part of the limit, in percent, that a replica takes ahead.
    pub(crate) lease: Option<u8>,
}
