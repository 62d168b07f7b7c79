//! SHA-256, and the two kinds of key made of it.
//!
//! A `Digest` stands for everything that was fed to it, so it serves as the key of a
//! cache. A `Mark` is a shorter one, of a name, where only equality matters: 128 bits,
//! computed once and then compared, combined and hashed for next to nothing. It includes
//! the kind of thing named, so a user called `192.0.2.1` and that address have different
//! marks.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of nothing that was digested.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest of `bytes`. Faster than `Digester`, even if the bytes have to be
    /// put together first.
    pub fn new(bytes: &[u8]) -> Self {
        Self::from_output(&digest(&SHA256, bytes))
    }

    /// A digest taken earlier, from its 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn from_output(output: &aws_lc_rs::digest::Digest) -> Self {
        // SHA-256 has 32 bytes; the default is never used.
        Self(output.as_ref().try_into().unwrap_or_default())
    }

    /// The first eight bytes: as good as any.
    pub fn head(&self) -> u64 {
        let (head, _) = self.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        u64::from_le_bytes(*head)
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.head());
    }
}

/// For tables whose key is a `Digest`: it needs no further hashing.
pub(crate) type DigestBuildHasher = BuildHasherDefault<DigestHasher>;

/// Passes on the eight bytes a `Digest` gives it.
#[derive(Default)]
pub(crate) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.write_u64(Digest::new(bytes).head());
    }

    fn write_u64(&mut self, head: u64) {
        self.0 = head;
    }
}

/// Takes a digest piece by piece.
pub(crate) struct Digester(Context);

impl Default for Digester {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Digester {
    /// Bytes of fixed length, or the last ones.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Bytes behind their length, so that neighbours cannot swap bytes.
    pub(crate) fn add_sized(&mut self, bytes: &[u8]) {
        self.0.update(&bytes.len().to_be_bytes());
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_output(&self.0.finish())
    }
}

/// The kind of thing a text names.
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
    pub fn new(kind: Kind, name: &str) -> Self {
        let kind: &[u8] = match kind {
            Kind::Address => b"address\0",
            Kind::Limit => b"limit\0",
            Kind::User => b"user\0",
        };
        let Digest(digest) = Digest::new(&[kind, name.as_bytes()].concat());
        let (head, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        Self(u128::from_le_bytes(*head))
    }

    /// The mark of two things of different kinds together.
    pub const fn combine(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    pub const fn bits(self) -> u128 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_different_kinds_are_different_things() {
        let marks = [Kind::Address, Kind::Limit, Kind::User].map(|kind| Mark::new(kind, "a"));
        assert!(marks[0] != marks[1] && marks[1] != marks[2] && marks[0] != marks[2]);
        assert_eq!(Mark::new(Kind::User, "a"), Mark::new(Kind::User, "a"));
        assert_ne!(Mark::new(Kind::User, "a"), Mark::new(Kind::User, "b"));
    }

    #[test]
    fn a_digest_in_pieces_is_the_digest_of_the_whole() {
        let mut digester = Digester::default();
        digester.add(b"ab");
        digester.add(b"c");
        assert_eq!(digester.finish(), Digest::new(b"abc"));
        assert_eq!(Digest::new(b"abc").bytes()[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn sized_pieces_cannot_be_cut_elsewhere() {
        let digest_of = |pieces: [&[u8]; 2]| {
            let mut digester = Digester::default();
            pieces.into_iter().for_each(|piece| digester.add_sized(piece));
            digester.finish()
        };
        assert_ne!(digest_of([b"ab", b"c"]), digest_of([b"a", b"bc"]));
    }
}
