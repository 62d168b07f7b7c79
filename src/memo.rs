//! Verified cookies remembered, so that each costs its cryptography once.
//!
//! The key is a digest over the source's settings and every cookie it could
//! look at (`Source::digest`), so an entry can only be found by exactly the
//! cookies that made it. Only accepted sessions are kept: refused ones are
//! cheap, and an attacker could fill the table with them. What is kept is
//! checked against the session's end on every use.

use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::cache::DigestHasher;
use crate::clock::Now;
use crate::decide::Verdict;
use crate::policy::Policy;
use crate::session::{Cookies, Identity, Reason, Rejected, Source};

/// Bytes of sessions kept at most.
const CAPACITY: u64 = 32 * 1024 * 1024;
/// What an entry costs beside the session's own bytes.
const OVERHEAD: usize = 256;
/// A session is opened anew after this long in any case.
const KEPT: Duration = Duration::from_secs(300);

/// Verified sessions of the process.
pub struct Sessions(Cache<[u8; 32], Arc<Identity>, BuildHasherDefault<DigestHasher>>);

impl Default for Sessions {
    fn default() -> Self {
        let weight = |identity: &Arc<Identity>| {
            u32::try_from(identity.size() + OVERHEAD).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .weigher(move |_, identity| weight(identity))
            .time_to_live(KEPT)
            .build_with_hasher(BuildHasherDefault::default());
        Self(cache)
    }
}

impl Sessions {
    /// Asks each source in turn, remembering what it accepted.
    pub fn verify(&self, policy: &Policy, cookies: Cookies<'_>, now: Now) -> Verdict {
        first_accepted(&policy.sources, |source| self.check(source, cookies, now))
    }

    fn check(&self, source: &Source, cookies: Cookies<'_>, now: Now) -> Verdict {
        let Some(key) = source.digest(cookies) else {
            return source.check(cookies, now.unix()).map(Arc::new);
        };
        if let Some(identity) = self.0.get(&key)
            && identity.expires_at().is_none_or(|end| now.unix() < end)
        {
            return Ok(identity);
        }
        let identity = Arc::new(source.check(cookies, now.unix())?);
        self.0.insert(key, identity.clone());
        Ok(identity)
    }
}

/// Asks each source in turn. The first that accepts decides; if none does, the
/// refusal that says most is returned: a cookie that was there and wrong, rather
/// than one that was missing.
pub fn first_accepted(sources: &[Source], check: impl Fn(&Source) -> Verdict) -> Verdict {
    let mut refused: Option<Rejected> = None;
    for source in sources {
        match check(source) {
            Ok(identity) => return Ok(identity),
            Err(rejected) if refused.as_ref().is_none_or(|r| r.reason == Reason::Missing) => {
                refused = Some(rejected);
            }
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or_else(|| Rejected::new(Reason::Missing, "no session is configured")))
}
