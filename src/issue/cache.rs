//! Tokens kept until shortly before they expire, and one mint for many requests.
//!
//! The key is one digest over everything that can change the token (`mint`
//! computes it), so two different requests cannot share an entry. moka's own
//! expiry only bounds memory: it reads its own clock, so whether an entry may be
//! served is decided here, against the time of the request.
//!
//! Single flight: a thousand concurrent misses make one attempt. A failed attempt
//! is remembered for `FAILURE_KEPT`, so requests do not queue behind each other's
//! failures either; if the previous token is still valid, it is served meanwhile.
//! If the request doing the work is cancelled, another one takes over.
//!
//! Refreshes are jittered per key, so tokens minted together are not minted again
//! together.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;

use super::error::IssueError;
use crate::base::clock::Now;
use crate::base::digest::{Digest, DigestBuildHasher};
use crate::mint::Token;
use crate::observe::CachedOrMinted;
use crate::session::Identity;

/// Largest size of tokens and bookkeeping, in bytes.
const CAPACITY: u64 = 128 * 1024 * 1024;
/// Bytes an entry costs in addition to the token's own.
const OVERHEAD: usize = 320;
/// Time for which a failed attempt answers further requests.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// A token, or the result of the last attempt to mint one.
#[derive(Clone)]
pub(super) enum Entry {
    Failed(IssueError, Retry),
    /// The attempt failed, but the previous token is still valid.
    Kept(Arc<Token>, Retry),
    Token(Arc<Token>, CacheLifetime),
}

/// How long a token stays in the cache.
#[derive(Clone, Copy)]
pub(super) struct CacheLifetime {
    lifetime: Duration,
    /// Refresh jitter in seconds.
    early: u64,
}

/// When the next attempt is due, on the monotonic clock.
#[derive(Clone, Copy)]
pub(super) struct Retry(Now);

/// All cached tokens of the process.
pub(super) struct Tokens(Cache<Digest, Entry, DigestBuildHasher>);

impl Entry {
    fn new(
        minted: Result<Token, IssueError>,
        before: Option<Arc<Token>>,
        key: &Digest,
        now: Now,
    ) -> Self {
        let retry = Retry(now.plus(FAILURE_KEPT));
        match (minted, before) {
            (Ok(token), _) => Self::token(Arc::new(token), key, now),
            (Err(_), Some(before)) => Self::Kept(before, retry),
            (Err(error), None) => Self::Failed(error, retry),
        }
    }

    fn token(token: Arc<Token>, key: &Digest, now: Now) -> Self {
        let seconds = token.expires_at.saturating_sub(now.unix());
        let stay =
            CacheLifetime { lifetime: Duration::from_secs(seconds), early: early(key, seconds) };
        Self::Token(token, stay)
    }

    /// Whether this answers a request with this session at `now`.
    fn answers(&self, identity: &Identity, now: Now) -> bool {
        match self {
            Self::Failed(_, retry) => now.ticks() < retry.0.ticks(),
            Self::Kept(token, retry) => {
                now.ticks() < retry.0.ticks() && is_valid(token, identity, now)
            }
            Self::Token(token, stay) => stay.serves(token, identity, now),
        }
    }

    /// The token, if it is still valid, however soon it expires.
    fn still_valid(&self, identity: &Identity, now: Now) -> Option<Arc<Token>> {
        match self {
            Self::Failed(..) => None,
            Self::Kept(token, _) | Self::Token(token, _) => {
                is_valid(token, identity, now).then(|| token.clone())
            }
        }
    }

    fn weight(&self) -> u32 {
        let bytes = match self {
            Self::Failed(..) => 64,
            Self::Kept(token, _) | Self::Token(token, _) => token.body.len() + token.value.len(),
        };
        u32::try_from(bytes + OVERHEAD).unwrap_or(u32::MAX)
    }
}

impl CacheLifetime {
    fn serves(self, token: &Token, identity: &Identity, now: Now) -> bool {
        now.unix().saturating_add(self.early) < token.usable_until && token.fits(identity, now)
    }
}

/// Refresh jitter in seconds, by key: at most a twentieth of the token's life and
/// at most a minute, so that the tokens of a thousand users who arrived together
/// are not all replaced together. Below a life of two minutes the users'
/// own timing scatters enough.
pub(super) fn early(key: &Digest, life: u64) -> u64 {
    const SHORT: u64 = 120;
    if life < SHORT {
        return 0;
    }
    let (_, [.., high, low]) = key.bytes().split_at(16) else { return 0 };
    let most = (life / 20).min(60);
    ((most + 1) * u64::from(u16::from_be_bytes([*high, *low]))) >> 16
}

fn is_valid(token: &Token, identity: &Identity, now: Now) -> bool {
    now.unix() < token.expires_at && identity.expires_at().is_none_or(|end| token.expires_at <= end)
}

impl Default for Tokens {
    fn default() -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .weigher(|_: &Digest, entry: &Entry| entry.weight())
            .expire_after(Expiry)
            .build_with_hasher(DigestBuildHasher::default());
        Self(cache)
    }
}

impl Tokens {
    /// The token under `key`, if it has enough life left and no more than the
    /// session has.
    pub(super) async fn find(
        &self,
        key: &Digest,
        identity: &Identity,
        now: Now,
    ) -> Option<Arc<Token>> {
        match self.0.get(key).await? {
            Entry::Token(token, stay) if stay.serves(&token, identity, now) => Some(token),
            _ => None,
        }
    }

    /// As `find`, else made by `mint`, once for all requests that ask meanwhile.
    pub(super) async fn get(
        &self,
        key: Digest,
        identity: &Identity,
        now: Now,
        mint: impl Future<Output = Result<Token, IssueError>>,
    ) -> Result<(Arc<Token>, CachedOrMinted), IssueError> {
        let before = self.0.get(&key).await.and_then(|held| held.still_valid(identity, now));
        let make = async { Entry::new(mint.await, before, &key, now) };
        let entry = self.0.entry(key);
        let entry = entry.or_insert_with_if(make, |held| !held.answers(identity, now)).await;
        let fresh = entry.is_fresh();
        match entry.into_value() {
            Entry::Failed(error, _) => Err(error),
            Entry::Kept(token, _) => Ok((token, CachedOrMinted::Cached)),
            Entry::Token(token, _) => {
                Ok((token, if fresh { CachedOrMinted::Minted } else { CachedOrMinted::Cached }))
            }
        }
    }

    /// Replaces the token under `key`: for a client that asked for a new one.
    pub(super) async fn put(&self, key: Digest, token: Arc<Token>, now: Now) {
        self.0.insert(key, Entry::token(token, &key, now)).await;
    }

    /// Entries held, for the metrics.
    pub(super) fn count(&self) -> u64 {
        self.0.entry_count()
    }
}

/// Drops entries that cannot be served any more.
struct Expiry;

impl moka::Expiry<Digest, Entry> for Expiry {
    fn expire_after_create(&self, _: &Digest, held: &Entry, _: Instant) -> Option<Duration> {
        match held {
            Entry::Failed(..) => Some(FAILURE_KEPT),
            Entry::Kept(..) => None,
            Entry::Token(_, stay) => Some(stay.lifetime),
        }
    }

    fn expire_after_update(
        &self,
        key: &Digest,
        held: &Entry,
        at: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        match held {
            // A kept token ends when it would have ended.
            Entry::Kept(..) => left,
            Entry::Failed(..) | Entry::Token(..) => self.expire_after_create(key, held, at),
        }
    }
}

#[cfg(test)]
mod tests;
