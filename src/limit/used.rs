//! A bucket that is not full, for the process that takes over.

use super::gcra::{BucketKey, MAX_RATES};

/// The used part of one bucket. The limit and the user are known by a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsedAllowance {
    pub(super) key: BucketKey,
    /// When each rate has its whole quota again, in milliseconds since the epoch.
    pub(super) full_at_ms: [u64; MAX_RATES],
}

impl UsedAllowance {
    /// As a line, without its end.
    pub(crate) fn line(&self) -> String {
        let times = self.full_at_ms.iter().map(|at| format!(" {at:013}"));
        std::iter::once(format!("{:032x}", self.key.bits())).chain(times).collect()
    }

    /// Reads a line; `None` if it is not complete.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let key = parts.next().filter(|key| key.len() == 32)?;
        let key = BucketKey::from_bits(u128::from_str_radix(key, 16).ok()?);
        let mut full_at_ms = [0; MAX_RATES];
        for at in &mut full_at_ms {
            *at = parts.next().filter(|at| at.len() == 13)?.parse().ok()?;
        }
        parts.next().is_none().then_some(Self { key, full_at_ms })
    }
}
