//! Answers to the first calls of exchanges: one per token's settings, for all users.
//!
//! Single flight, and a failed call is remembered for a moment, as in the cache of
//! tokens. An answer the vendor refuses before its time is forgotten.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::error::IssueError;
use crate::base::clock::Now;
use crate::base::digest::{Digest, DigestBuildHasher};
use crate::mint::FirstAnswer;

/// Most answers kept: one for each token with a first call, and those of settings that
/// have been replaced.
const MOST: u64 = 256;
/// Time for which a failed call answers further requests.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

#[derive(Clone)]
enum Entry {
    /// Until when, on the monotonic clock.
    Failed(IssueError, Now),
    Held(Arc<FirstAnswer>),
}

pub(super) struct FirstAnswers(Cache<Digest, Entry, DigestBuildHasher>);

/// Whether an answer was made for this request or had been kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Kept,
    New,
}

impl Default for FirstAnswers {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(MOST);
        Self(cache.build_with_hasher(DigestBuildHasher::default()))
    }
}

impl Entry {
    fn is_good(&self, now: Now) -> bool {
        match self {
            Self::Failed(_, until) => now.ticks() < until.ticks(),
            Self::Held(answer) => now.unix() < answer.usable_until,
        }
    }
}

impl FirstAnswers {
    /// The answer under `key`, else the one `call` gives, once for all who ask meanwhile.
    pub(super) async fn get(
        &self,
        key: Digest,
        now: Now,
        call: impl Future<Output = Result<FirstAnswer, IssueError>>,
    ) -> Result<(Arc<FirstAnswer>, Age), IssueError> {
        let make = async {
            match call.await {
                Ok(answer) => Entry::Held(Arc::new(answer)),
                Err(error) => Entry::Failed(error, now.plus(FAILURE_KEPT)),
            }
        };
        let entry = self.0.entry(key).or_insert_with_if(make, |held| !held.is_good(now)).await;
        let age = if entry.is_fresh() { Age::New } else { Age::Kept };
        match entry.into_value() {
            Entry::Failed(error, _) => Err(error),
            Entry::Held(answer) => Ok((answer, age)),
        }
    }

    /// Forgets an answer, so that the next request makes the call again.
    pub(super) async fn forget(&self, key: &Digest) {
        self.0.invalidate(key).await;
    }
}
