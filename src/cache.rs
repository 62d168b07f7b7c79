//! Tokens kept until shortly before they expire, and one mint for many askers.
//!
//! The key is one digest over everything that can change the token (`mint`
//! computes it), so two different requests cannot share an entry. moka's own
//! expiry only bounds memory: it reads its own clock, so whether an entry may be
//! served is decided here, against the time of the request.
//!
//! Single flight: a thousand concurrent misses make one attempt. A failed
//! attempt is remembered for `FAILURE_KEPT`, so they do not queue up behind each
//! other's failures either. If the caller doing the work is cancelled, another
//! one takes over.

use std::future::Future;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;

use crate::clock::Now;
use crate::mint::Token;
use crate::respond::Refusal;

/// What one user's token may be found under.
pub type Key = [u8; 32];

/// Bytes of tokens and bookkeeping kept at most.
const CAPACITY: u64 = 128 * 1024 * 1024;
/// What an entry costs beside the token's own bytes.
const OVERHEAD: usize = 320;
/// How long a failed attempt answers for the next ones.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// An entry: a token, or the failure to make one.
#[derive(Clone)]
pub enum Held {
    Failed(Arc<Failure>),
    Token(Arc<Token>),
}

pub struct Failure {
    pub refusal: Refusal,
    until: Now,
}

/// All cached tokens of the process.
pub struct Tokens(Cache<Key, Held, BuildHasherDefault<DigestHasher>>);

/// How the token in an answer came to be, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Cached,
    Minted,
}

impl Held {
    fn is_stale(&self, now: Now) -> bool {
        match self {
            Self::Failed(failure) => now.ticks() >= failure.until.ticks(),
            Self::Token(token) => now.unix() >= token.usable_until(),
        }
    }

    fn weight(&self) -> u32 {
        let bytes = match self {
            Self::Failed(_) => 64,
            Self::Token(token) => token.size(),
        };
        u32::try_from(bytes + OVERHEAD).unwrap_or(u32::MAX)
    }
}

impl Default for Tokens {
    fn default() -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .weigher(|_: &Key, held: &Held| held.weight())
            .expire_after(Expiry)
            .build_with_hasher(BuildHasherDefault::default());
        Self(cache)
    }
}

impl Tokens {
    /// The token under `key`: cached if it still has enough life, else made by
    /// `mint`, once for all who ask meanwhile.
    pub async fn get(
        &self,
        key: Key,
        now: Now,
        mint: impl Future<Output = Result<Token, Refusal>>,
    ) -> Result<(Arc<Token>, Origin), Refusal> {
        if let Some(Held::Token(token)) = self.0.get(&key).await
            && now.unix() < token.usable_until()
        {
            return Ok((token, Origin::Cached));
        }
        let make = async { Held::new(mint.await, now) };
        let entry = self.0.entry(key).or_insert_with_if(make, |held| held.is_stale(now)).await;
        let origin = if entry.is_fresh() { Origin::Minted } else { Origin::Cached };
        match entry.into_value() {
            Held::Failed(failure) => Err(failure.refusal.clone()),
            Held::Token(token) => Ok((token, origin)),
        }
    }

    /// Replaces what is under `key`: for a caller who asked for a fresh token.
    pub async fn put(&self, key: Key, token: Arc<Token>) {
        self.0.insert(key, Held::Token(token)).await;
    }

    /// Entries held, for the metrics.
    pub fn len(&self) -> u64 {
        self.0.entry_count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Held {
    fn new(made: Result<Token, Refusal>, now: Now) -> Self {
        match made {
            Ok(token) => Self::Token(Arc::new(token)),
            Err(refusal) => {
                Self::Failed(Arc::new(Failure { refusal, until: now.plus(FAILURE_KEPT) }))
            }
        }
    }
}

/// Drops entries nobody can be served any more.
struct Expiry;

impl moka::Expiry<Key, Held> for Expiry {
    fn expire_after_create(&self, _: &Key, held: &Held, _: Instant) -> Option<Duration> {
        Some(match held {
            Held::Failed(_) => FAILURE_KEPT,
            Held::Token(token) => token.lifetime(),
        })
    }

    fn expire_after_update(
        &self,
        key: &Key,
        held: &Held,
        at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, held, at)
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
