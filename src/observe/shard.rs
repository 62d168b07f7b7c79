//! The part of a shared record a thread writes to, so that threads do not wait for
//! each other.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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

/// A count that every request may add to.
#[derive(Default)]
pub(crate) struct ShardedCount([PaddedCount; SHARDS]);

/// On its own cache line.
#[derive(Default)]
#[repr(align(64))]
struct PaddedCount(AtomicU64);

impl ShardedCount {
    pub(crate) fn add_one(&self) {
        if let Some(part) = self.0.get(shard_of_thread()) {
            part.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|part| part.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sharded_count_misses_nothing() {
        let count = ShardedCount::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..1000).for_each(|_| count.add_one()));
            }
        });
        assert_eq!(count.sum(), 20_000);
    }
}
