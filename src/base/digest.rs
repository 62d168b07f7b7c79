//! Who or what somebody is, wherever only sameness matters: 128 bits of a
//! digest, taken once and then compared, combined and hashed for next to
//! nothing.
//!
//! What is marked always names its kind, so a user called `192.0.2.1` and that
//! address have nothing in common.

use std::hash::Hasher;

use aws_lc_rs::digest::{SHA256, digest};

/// What kind of thing a text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Address,
    Limit,
    User,
}

/// The mark of one name of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(u128);

impl Mark {
    pub fn of(kind: Kind, name: &str) -> Self {
        let kind: &[u8] = match kind {
            Kind::Address => b"address\0",
            Kind::Limit => b"limit\0",
            Kind::User => b"user\0",
        };
        let digest = digest(&SHA256, &[kind, name.as_bytes()].concat());
        let (head, _) = digest.as_ref().split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        Self(u128::from_le_bytes(*head))
    }

    /// The mark of two things of different kinds together.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    pub const fn bits(self) -> u128 {
        self.0
    }
}

/// Keys are digests already: any eight of their bytes are the best hash.
#[derive(Default)]
pub struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // An array writes its length first, which says nothing here.
        if let Some((head, _)) = bytes.split_first_chunk::<8>()
            && bytes.len() > 8
        {
            self.0 = u64::from_le_bytes(*head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_different_kinds_are_different_things() {
        let marks = [Kind::Address, Kind::Limit, Kind::User].map(|kind| Mark::of(kind, "a"));
        assert!(marks[0] != marks[1] && marks[1] != marks[2] && marks[0] != marks[2]);
        assert_eq!(Mark::of(Kind::User, "a"), Mark::of(Kind::User, "a"));
        assert_ne!(Mark::of(Kind::User, "a"), Mark::of(Kind::User, "b"));
    }
}
