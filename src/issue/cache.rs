//! Tokens kept until shortly before they expire, and one mint for many requests.
//!
//! The key is one digest over everything that can change the token (`mint`
//! computes it), so two different requests cannot share an entry. Whether a token may be
//! served is decided by the time of the request; one that is over is dropped within
//! `SWEEP_EVERY`, to free its memory.
//!
//! Single flight: a thousand concurrent misses make one attempt. A failed attempt
//! is remembered for `ATTEMPT_KEPT`, so requests do not queue behind each other's
//! failures either; if the previous token is still valid, it is served meanwhile.
//! If the request doing the work is cancelled, another one takes over.
//!
//! Refreshes are jittered per key, so tokens minted together are not minted again
//! together.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::future;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use super::error::IssueError;
use crate::base::clock::Now;
use crate::base::digest::{Digest, DigestBuildHasher};
use crate::mint::Token;
use crate::observe::CachedOrMinted;
use crate::session::Identity;

/// Largest size of tokens and bookkeeping, in bytes.
const CAPACITY: u64 = 128 * 1024 * 1024;
/// Bytes a token costs in addition to its own: measured, including the allocator's rounding.
const OVERHEAD: usize = 180;
/// About how many tokens fit.
const TYPICAL_TOKENS: usize = 250_000;
/// Parts of the table that are locked one by one.
const SHARDS: usize = 64;
/// Tokens that are over are dropped this often, in seconds.
const SWEEP_EVERY: u64 = 60;
/// Time for which a failed attempt answers further requests.
const ATTEMPT_KEPT: Duration = Duration::from_secs(1);
/// Attempts remembered at once.
const MAX_ATTEMPTS: u64 = 10_000;

/// All cached tokens of the process.
pub(super) struct Tokens {
    kept: Arc<Table>,
    attempts: future::Cache<Digest, Attempt, DigestBuildHasher>,
    /// Unix seconds of the last sweep.
    swept: AtomicU64,
}

type Table = Cache<Digest, Kept, Weights, DigestBuildHasher>;

/// A token in the table. As small as can be: there is one for each user.
#[derive(Clone)]
struct Kept {
    token: Arc<Token>,
    /// Refresh jitter in seconds.
    early: u8,
}

/// The result of the last attempt to mint a token.
#[derive(Clone)]
enum Attempt {
    Failed(IssueError, Retry),
    /// The attempt failed, but the previous token is still valid.
    FailedEarly(Arc<Token>, Retry),
    Minted(Kept),
}

/// When the next attempt is due, on the monotonic clock.
#[derive(Clone, Copy)]
struct Retry(Now);

impl Kept {
    fn new(token: Arc<Token>, key: &Digest, now: Now) -> Self {
        let early = early(key, token.expires_at.saturating_sub(now.unix()));
        Self { token, early }
    }

    fn serves(&self, identity: &Identity, now: Now) -> bool {
        now.unix().saturating_add(self.early.into()) < self.token.usable_until
            && self.token.fits(identity, now)
    }
}

impl Attempt {
    /// Whether it answers a request with this session at `now`.
    fn answers(&self, identity: &Identity, now: Now) -> bool {
        match self {
            Self::Failed(_, retry) => now.ticks() < retry.0.ticks(),
            Self::FailedEarly(token, retry) => {
                now.ticks() < retry.0.ticks() && is_valid(token, identity, now)
            }
            Self::Minted(kept) => kept.serves(identity, now),
        }
    }
}

/// Refresh jitter in seconds, by key: at most a twentieth of the token's life and
/// at most a minute, so that the tokens of a thousand users who arrived together
/// are not all replaced together. Below a life of two minutes the users'
/// own timing scatters enough.
pub(super) fn early(key: &Digest, life: u64) -> u8 {
    const SHORT: u64 = 120;
    if life < SHORT {
        return 0;
    }
    let (_, [.., high, low]) = key.bytes().split_at(16) else { return 0 };
    let most = (life / 20).min(60);
    let early = ((most + 1) * u64::from(u16::from_be_bytes([*high, *low]))) >> 16;
    u8::try_from(early).unwrap_or_default()
}

fn is_valid(token: &Token, identity: &Identity, now: Now) -> bool {
    now.unix() < token.expires_at && identity.expires_at().is_none_or(|end| token.expires_at <= end)
}

impl Default for Tokens {
    fn default() -> Self {
        let attempts = future::Cache::builder()
            .max_capacity(MAX_ATTEMPTS)
            .time_to_live(ATTEMPT_KEPT)
            .build_with_hasher(DigestBuildHasher::default());
        Self { kept: Arc::new(table()), attempts, swept: AtomicU64::default() }
    }
}

fn table() -> Table {
    let mut options = OptionsBuilder::new();
    options.shards(SHARDS).weight_capacity(CAPACITY).estimated_items_capacity(TYPICAL_TOKENS);
    let (hasher, lifecycle) = (DigestBuildHasher::default(), DefaultLifecycle::default());
    match options.build() {
        Ok(options) => Cache::with_options(options, Weights, hasher, lifecycle),
        // Only if one of the three were missing.
        Err(_) => Cache::with(TYPICAL_TOKENS, CAPACITY, Weights, hasher, lifecycle),
    }
}

impl Tokens {
    /// The token under `key`, if it has enough life left and no more than the
    /// session has.
    pub(super) fn find(&self, key: &Digest, identity: &Identity, now: Now) -> Option<Arc<Token>> {
        let kept = self.kept.get(key)?;
        kept.serves(identity, now).then_some(kept.token)
    }

    /// As `find`, else made by `mint`, once for all requests that ask meanwhile.
    pub(super) async fn get(
        &self,
        key: Digest,
        identity: &Identity,
        now: Now,
        mint: impl Future<Output = Result<Token, IssueError>>,
    ) -> Result<(Arc<Token>, CachedOrMinted), IssueError> {
        let mut origin = CachedOrMinted::Cached;
        let make = async {
            let before = self.kept.get(&key);
            // Another attempt may have ended since this request looked.
            if let Some(kept) = before.as_ref().filter(|kept| kept.serves(identity, now)) {
                return Attempt::Minted(kept.clone());
            }
            let before = before.map(|kept| kept.token);
            let before = before.filter(|token| is_valid(token, identity, now));
            let retry = Retry(now.plus(ATTEMPT_KEPT));
            match (mint.await, before) {
                (Ok(token), _) => {
                    origin = CachedOrMinted::Minted;
                    Attempt::Minted(self.keep(key, Arc::new(token), now))
                }
                (Err(_), Some(before)) => Attempt::FailedEarly(before, retry),
                (Err(error), None) => Attempt::Failed(error, retry),
            }
        };
        let attempt = self.attempts.entry(key);
        let attempt = attempt.or_insert_with_if(make, |made| !made.answers(identity, now)).await;
        let is_new = attempt.is_fresh();
        match attempt.into_value() {
            Attempt::Failed(error, _) => Err(error),
            Attempt::FailedEarly(token, _) => Ok((token, CachedOrMinted::Cached)),
            Attempt::Minted(kept) => {
                if is_new {
                    // It is in the table of tokens now.
                    self.attempts.invalidate(&key).await;
                }
                Ok((kept.token, origin))
            }
        }
    }

    /// Replaces the token under `key`: for a client that asked for a new one.
    pub(super) async fn put(&self, key: Digest, token: Arc<Token>, now: Now) {
        self.keep(key, token, now);
        self.attempts.invalidate(&key).await;
    }

    fn keep(&self, key: Digest, token: Arc<Token>, now: Now) -> Kept {
        let kept = Kept::new(token, &key, now);
        self.kept.insert(key, kept.clone());
        self.sweep_if_due(now);
        kept
    }

    /// Drops expired entries, on a thread where no request waits for it.
    fn sweep_if_due(&self, now: Now) {
        let (last, now) = (self.swept.load(Ordering::Relaxed), now.unix());
        if now < last.saturating_add(SWEEP_EVERY) {
            return;
        }
        let order = Ordering::Relaxed;
        if self.swept.compare_exchange(last, now, order, order).is_ok() && last > 0 {
            let table = self.kept.clone();
            tokio::task::spawn_blocking(move || {
                table.retain(|_, kept| now < kept.token.expires_at)
            });
        }
    }

    /// Tokens held, for the metrics.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }
}

/// Bytes an entry takes.
#[derive(Clone)]
struct Weights;

impl Weighter<Digest, Kept> for Weights {
    fn weight(&self, _: &Digest, kept: &Kept) -> u64 {
        u64::try_from(kept.token.size() + OVERHEAD).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
