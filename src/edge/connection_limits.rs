//! Counts open connections, in all and per address: each IPv4 address, and each IPv6
//! /64, because one subscriber has at least that much.
//!
//! Bounded by the number of open connections: an address without one is forgotten.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::host::subscriber;
use crate::base::lock::Lock;

const SHARDS: usize = 16;

/// Open connections, counted.
#[derive(Default)]
pub struct ConnectionCounts {
    open: AtomicUsize,
    shards: [Lock<HashMap<IpAddr, usize>>; SHARDS],
    hasher: RandomState,
}

impl ConnectionCounts {
    /// One more connection; `None` if there are `limit` already.
    pub fn enter(self: &Arc<Self>, limit: usize) -> Option<ConnectionPermit> {
        let before = self.open.fetch_add(1, Ordering::AcqRel);
        // Dropped at once if it is one too many, which takes it back.
        let open = ConnectionPermit(self.clone());
        (before < limit).then_some(open)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// One more connection of this address; `None` if it holds `limit` already.
    pub fn admit(self: &Arc<Self>, address: IpAddr, limit: usize) -> Option<AddressPermit> {
        let subscriber = subscriber(address);
        let mut shard = self.shard(subscriber).lock();
        let count = shard.entry(subscriber).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(AddressPermit { counts: self.clone(), subscriber })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder is smaller than the number of shards"
    )]
    #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
    fn shard(&self, subscriber: IpAddr) -> &Lock<HashMap<IpAddr, usize>> {
        &self.shards[self.hasher.hash_one(subscriber) as usize % SHARDS]
    }
}

/// A connection that is open until this is dropped.
pub struct ConnectionPermit(Arc<ConnectionCounts>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection's place among those of its address, given back when dropped.
pub struct AddressPermit {
    counts: Arc<ConnectionCounts>,
    subscriber: IpAddr,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut counts = self.counts.shard(self.subscriber).lock();
        if let Entry::Occupied(mut count) = counts.entry(self.subscriber) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_holds_at_most_its_limit_and_gets_places_back() {
        let counts = Arc::new(ConnectionCounts::default());
        let first = counts.admit(ip("192.0.2.1"), 2).unwrap();
        let second = counts.admit(ip("::ffff:192.0.2.1"), 2).unwrap();
        assert!(counts.admit(ip("192.0.2.1"), 2).is_none());
        assert!(counts.admit(ip("192.0.2.2"), 2).is_some(), "another address");
        drop(first);
        assert!(counts.admit(ip("192.0.2.1"), 2).is_some());
        drop(second);
        let kept: usize = counts.shards.iter().map(|shard| shard.lock().len()).sum();
        assert_eq!(kept, 0, "nothing is kept of addresses that have left");
    }

    #[test]
    fn no_more_connections_are_open_than_the_limit() {
        let counts = Arc::new(ConnectionCounts::default());
        let first = counts.enter(1).unwrap();
        assert!(counts.enter(1).is_none());
        assert_eq!(counts.open(), 1);
        drop(first);
        assert!(counts.enter(1).is_some());
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_address() {
        let counts = Arc::new(ConnectionCounts::default());
        let _first = counts.admit(ip("2001:db8::1"), 1).unwrap();
        assert!(counts.admit(ip("2001:db8::ffff:1"), 1).is_none());
        assert!(counts.admit(ip("2001:db8:0:1::1"), 1).is_some());
    }
}
