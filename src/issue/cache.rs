//! Tokens kept until shortly before they expire, and one mint for many askers.
//!
//! The key is one digest over everything that can change the token (`mint`
//! computes it), so two different requests cannot share an entry. moka's own
//! expiry only bounds memory: it reads its own clock, so whether an entry may be
//! served is decided here, against the time of the request.
//!
//! Single flight: a thousand concurrent misses make one attempt. A failed
//! attempt is remembered for `FAILURE_KEPT`, so they do not queue up behind each
//! other's failures either; if the token before it is still valid, that one is
//! served meanwhile. If the caller doing the work is cancelled, another one
//! takes over.
//!
//! What is kept is replaced before it must be, each entry by a little of its own,
//! so that what was made at one instant is not made again at one instant.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::future::Cache;

use crate::base::clock::Now;
use crate::base::digest::{Digest, DigestBuildHasher};
use crate::mint::Token;
use crate::request::refusal::Refusal;
use crate::session::Identity;

/// Bytes of tokens and bookkeeping kept at most.
const CAPACITY: u64 = 128 * 1024 * 1024;
/// What an entry costs beside the token's own bytes.
const OVERHEAD: usize = 320;
/// How long a failed attempt answers for the next ones.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// An entry: a token, or what came of the last attempt to make one.
#[derive(Clone)]
pub enum Held {
    /// Boxed: every entry is charged for the room of the largest.
    Failed(Box<Refusal>, Retry),
    /// The attempt failed, but the token before it is still valid.
    Kept(Arc<Token>, Retry),
    Token(Arc<Token>, Stay),
}

/// How long a token stays here.
#[derive(Clone, Copy)]
pub struct Stay {
    lifetime: Duration,
    /// Seconds by which it is replaced before it must be.
    early: u64,
}

/// When the next attempt is due, on the monotonic clock.
#[derive(Clone, Copy)]
pub struct Retry(Now);

/// All cached tokens of the process.
pub struct Tokens(Cache<Digest, Held, DigestBuildHasher>);

/// How the token in an answer came to be, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Cached,
    Minted,
}

impl Held {
    fn new(
        made: Result<Token, Refusal>,
        before: Option<Arc<Token>>,
        key: &Digest,
        now: Now,
    ) -> Self {
        let retry = Retry(now.plus(FAILURE_KEPT));
        match (made, before) {
            (Ok(token), _) => Self::token(Arc::new(token), key, now),
            (Err(_), Some(before)) => Self::Kept(before, retry),
            (Err(refusal), None) => Self::Failed(Box::new(refusal), retry),
        }
    }

    fn token(token: Arc<Token>, key: &Digest, now: Now) -> Self {
        let seconds = token.expires_at.saturating_sub(now.unix());
        let stay = Stay { lifetime: Duration::from_secs(seconds), early: early(key, seconds) };
        Self::Token(token, stay)
    }

    /// Whether this answers a request of this session at `now`.
    fn answers(&self, identity: &Identity, now: Now) -> bool {
        match self {
            Self::Failed(_, retry) => now.ticks() < retry.0.ticks(),
            Self::Kept(token, retry) => {
                now.ticks() < retry.0.ticks() && is_valid(token, identity, now)
            }
            Self::Token(token, stay) => stay.serves(token, identity, now),
        }
    }

    /// The token, if it is still valid, however little life it has left.
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

impl Stay {
    fn serves(self, token: &Token, identity: &Identity, now: Now) -> bool {
        now.unix().saturating_add(self.early) < token.usable_until && token.fits(identity, now)
    }
}

/// How much sooner than it must a token is replaced: up to a twentieth of its
/// life and no more than a minute, by its key, so that the tokens of a thousand
/// users who all came at once are not all replaced at once. A life of less than
/// two minutes is scattered enough by the users themselves.
fn early(key: &Digest, life: u64) -> u64 {
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
            .weigher(|_: &Digest, held: &Held| held.weight())
            .expire_after(Expiry)
            .build_with_hasher(DigestBuildHasher::default());
        Self(cache)
    }
}

impl Tokens {
    /// The token under `key`, if it has enough life left and no more than the
    /// session has.
    pub async fn find(&self, key: &Digest, identity: &Identity, now: Now) -> Option<Arc<Token>> {
        match self.0.get(key).await? {
            Held::Token(token, stay) if stay.serves(&token, identity, now) => Some(token),
            _ => None,
        }
    }

    /// As `find`, else made by `mint`, once for all who ask meanwhile.
    pub async fn get(
        &self,
        key: Digest,
        identity: &Identity,
        now: Now,
        mint: impl Future<Output = Result<Token, Refusal>>,
    ) -> Result<(Arc<Token>, Origin), Refusal> {
        let before = self.0.get(&key).await.and_then(|held| held.still_valid(identity, now));
        let make = async { Held::new(mint.await, before, &key, now) };
        let entry = self.0.entry(key);
        let entry = entry.or_insert_with_if(make, |held| !held.answers(identity, now)).await;
        let fresh = entry.is_fresh();
        match entry.into_value() {
            Held::Failed(refusal, _) => Err(*refusal),
            Held::Kept(token, _) => Ok((token, Origin::Cached)),
            Held::Token(token, _) => {
                Ok((token, if fresh { Origin::Minted } else { Origin::Cached }))
            }
        }
    }

    /// Replaces what is under `key`: for a caller who asked for a fresh token.
    pub async fn put(&self, key: Digest, token: Arc<Token>, now: Now) {
        self.0.insert(key, Held::token(token, &key, now)).await;
    }

    /// Entries held, for the metrics.
    pub fn held(&self) -> u64 {
        self.0.entry_count()
    }
}

/// Drops entries nobody can be served any more.
struct Expiry;

impl moka::Expiry<Digest, Held> for Expiry {
    fn expire_after_create(&self, _: &Digest, held: &Held, _: Instant) -> Option<Duration> {
        match held {
            Held::Failed(..) => Some(FAILURE_KEPT),
            Held::Kept(..) => None,
            Held::Token(_, stay) => Some(stay.lifetime),
        }
    }

    fn expire_after_update(
        &self,
        key: &Digest,
        held: &Held,
        at: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        match held {
            // A token that is kept ends when it would have ended.
            Held::Kept(..) => left,
            Held::Failed(..) | Held::Token(..) => self.expire_after_create(key, held, at),
        }
    }
}

#[cfg(test)]
mod tests;
