//! Which part of a shared record a thread writes to, so that threads do not wait for
//! each other.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Parts of every record.
pub(super) const SHARDS: usize = 8;

/// Each thread takes the next shard and keeps it.
pub(super) fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    SHARD.with(|shard| *shard)
}
