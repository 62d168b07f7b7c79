//! Remembers verified cookies, so that each costs its cryptography once, and stores are
//! not asked for the same session repeatedly.
//!
//! The key is a digest over the source's settings and all cookies it could read
//! (`SessionReader::digest`), so only exactly the cookies that made an entry find it. A verdict
//! from the cookie alone is kept while it is valid; a server's answer for the seconds
//! that the settings allow, a rejection no longer than `REFUSAL_KEPT`, and neither once
//! the app may have changed the session. One question serves all requests that wait for
//! it. Rejections that cost no question are not kept: an attacker could fill the table
//! with them.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use moka::future;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::base::clock::Now;
use crate::base::digest::{Digest, DigestBuildHasher};
use crate::identify::changes::Changes;
use crate::identify::flood::{Id, Questions};
use crate::identify::resolve::Servers;
use crate::identify::revocation::Revoked;
use crate::observe::ShardedCount;
use crate::policy::Policy;
use crate::session::{Check, Cookies, Identity, Judged, Refused, SessionReader, VerdictBuilder};

/// Largest size of the table of sessions that verify by themselves, in bytes.
const CAPACITY: u64 = 12 * 1024 * 1024;
/// Bytes an entry of it costs in addition to the session's own: measured, including the
/// allocator's rounding.
const OVERHEAD: usize = 190;
/// About how many sessions fit.
const TYPICAL_SESSIONS: usize = 30_000;
/// The same two, for sessions that a server was asked about.
const ASKED_CAPACITY: u64 = 32 * 1024 * 1024;
const ASKED_OVERHEAD: usize = 560;
/// Longest time until a session is opened again.
const KEPT: Duration = Duration::from_secs(300);
/// Long enough for the requests of one page to share a miss. Some frameworks send the cookie
/// of a sign-in a moment before they save its session (express-session), and a browser may be
/// back by then.
const REFUSAL_KEPT: Duration = Duration::from_millis(200);
/// Requests waiting for an unresponsive server share one failure for this long.
const SILENCE_KEPT: Duration = Duration::from_millis(200);

/// Verified sessions of the process.
pub struct Sessions {
    local: Cache<Digest, Opened, Weights, DigestBuildHasher>,
    asked: future::Cache<Digest, Remembered, DigestBuildHasher>,
    changes: Changes,
    questions: Questions,
    /// Sessions that were remembered, and those that were verified.
    remembered: ShardedCount,
    verified: ShardedCount,
}

/// A session that was verified from its cookie alone.
#[derive(Clone)]
struct Opened {
    identity: Arc<Identity>,
    /// Whole seconds on the monotonic clock until when it counts.
    until: u32,
}

/// Bytes an entry takes.
#[derive(Clone)]
struct Weights;

/// A server's answer.
#[derive(Clone)]
struct Remembered {
    outcome: Result<Arc<Identity>, Refused>,
    /// On the monotonic clock: when the server was asked.
    begun: Duration,
    until: Now,
}

impl Default for Sessions {
    fn default() -> Self {
        let (hasher, lifecycle) = (DigestBuildHasher::default(), DefaultLifecycle::default());
        let local = Cache::with(TYPICAL_SESSIONS, CAPACITY, Weights, hasher, lifecycle);
        let asked = future::Cache::builder()
            .max_capacity(ASKED_CAPACITY)
            .weigher(|_, asked: &Remembered| {
                let size = asked.outcome.as_ref().map_or(0, |identity| identity.size());
                u32::try_from(size.saturating_add(ASKED_OVERHEAD)).unwrap_or(u32::MAX)
            })
            .time_to_live(KEPT)
            .build_with_hasher(DigestBuildHasher::default());
        let (changes, questions, remembered, verified) = Default::default();
        Self { local, asked, changes, questions, remembered, verified }
    }
}

impl Sessions {
    /// Asks each source; `VerdictBuilder` judges their answers together. `from` is the
    /// client's address, where there is one.
    pub async fn verify(
        &self,
        policy: &Policy,
        servers: &Servers,
        revoked: &Revoked,
        cookies: Cookies<'_>,
        from: Option<IpAddr>,
        now: Now,
    ) -> Judged {
        let mut verdict = VerdictBuilder::default();
        for (index, source) in policy.sources.iter().enumerate() {
            // A session that is over is not asked about: an answer, or silence, could
            // only make it count again.
            if let Err(over) = revoked.check_id(source, cookies, now) {
                verdict.add_over(index, over);
                continue;
            }
            let checked = self.check(source, servers, (cookies, from), now).await;
            let over = match &checked {
                Ok(identity) => revoked.check(source, cookies, identity, now),
                Err(Refused::Rejected(why)) => revoked.check_ended(source, cookies, why, now),
                Err(Refused::Unanswered(_)) => Ok(()),
            };
            if let (Err(Refused::Rejected(why)), Ok(())) = (&checked, &over)
                && source.may_be_respelled(cookies, why, now.unix())
            {
                verdict.add_respelled(index);
            }
            match over {
                Ok(()) => verdict.add(index, checked),
                Err(over) => verdict.add_over(index, over),
            }
        }
        verdict.judge()
    }

    /// Forgets these cookies: the app has signed them out.
    pub async fn forget(&self, source: &SessionReader, cookies: Cookies<'_>) {
        let Some(key) = source.digest(cookies) else { return };
        self.local.remove(&key);
        self.asked.invalidate(&key).await;
    }

    /// Asks again about the session of these cookies, and remembers no answer, until this
    /// time: until then the app may change it.
    pub async fn distrust(&self, source: &SessionReader, cookies: Cookies<'_>, until: Now) {
        if source.cache_seconds().is_none_or(|seconds| seconds == 0) {
            return;
        }
        let Some(key) = source.digest(cookies) else { return };
        self.changes.note(key, until);
        self.asked.invalidate(&key).await;
    }

    async fn check(
        &self,
        source: &SessionReader,
        servers: &Servers,
        (cookies, from): (Cookies<'_>, Option<IpAddr>),
        now: Now,
    ) -> Result<Arc<Identity>, Refused> {
        let key = source.digest(cookies);
        let asks = source.cache_seconds();
        let kept = match (key, asks) {
            (None, _) | (_, Some(0)) => None,
            (Some(key), None) => {
                let opened =
                    self.local.get(&key).filter(|opened| whole_seconds(now) < opened.until);
                opened.map(|opened| Ok(opened.identity))
            }
            (Some(key), Some(_)) => {
                let asked = Box::pin(self.asked.get(&key)).await;
                asked.filter(|asked| self.holds(&key, asked, now)).map(|asked| asked.outcome)
            }
        };
        match kept {
            Some(Ok(identity)) if identity.is_valid_at(now.unix()) => {
                self.remembered.add_one();
                Ok(identity)
            }
            Some(Err(refused)) => Err(refused),
            // Boxed: a rare step must not make every request's future larger.
            Some(Ok(_)) | None => {
                let id = Id { key, kind: source.kind(), from };
                let looked = Box::pin(self.look(source, servers, id, cookies, now)).await;
                if looked.is_ok() {
                    self.verified.add_one();
                }
                looked
            }
        }
    }

    /// Opens the session again.
    async fn look(
        &self,
        source: &SessionReader,
        servers: &Servers,
        id: Id,
        cookies: Cookies<'_>,
        now: Now,
    ) -> Result<Arc<Identity>, Refused> {
        let (key, asks) = (id.key, source.cache_seconds());
        if let (true, None, Some(key)) = (source.opens_slowly(), asks, key) {
            // A forged cookie costs its sender nothing: it counts as a question does.
            let open = async { servers.check(source, cookies, now).await };
            let open = self.questions.ask(id, Box::pin(open), now);
            // Once for all requests of a page.
            let opened = self.ask_once(servers, key, REFUSAL_KEPT, open, now).await;
            if let Ok(identity) = &opened {
                self.local.insert(key, Opened::new(identity, now));
                self.asked.invalidate(&key).await;
            }
            return opened;
        }
        let question = match servers.look(source, cookies, now).await? {
            Check::Ask(question) => question,
            Check::Known(identity) => {
                let identity = Arc::new(identity);
                if let (Some(key), None) = (key, asks) {
                    self.local.insert(key, Opened::new(&identity, now));
                }
                return Ok(identity);
            }
        };
        // Boxed: asking takes far more space than looking, and is rare.
        let ask = Box::pin(servers.follow(source, question, cookies, now));
        let ask = self.questions.ask(id, ask, now);
        match (key, asks) {
            (Some(key), Some(seconds)) if seconds > 0 => {
                self.ask_once(servers, key, Duration::from_secs(seconds), ask, now).await
            }
            _ => ask.await.map(Arc::new),
        }
    }

    /// Sessions that were remembered, and those that were verified, since the start.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.remembered.sum(), self.verified.sum())
    }

    /// Questions that were not asked because too many ids were unknown.
    pub(super) fn held_back(&self) -> u64 {
        self.questions.held_back()
    }

    async fn ask_once(
        &self,
        servers: &Servers,
        key: Digest,
        kept: Duration,
        ask: impl Future<Output = Result<Identity, Refused>>,
        now: Now,
    ) -> Result<Arc<Identity>, Refused> {
        let mut ask = pin!(ask);
        loop {
            let make = async {
                let begun = servers.clock.now().ticks();
                Remembered::new(ask.as_mut().await, kept, begun, now)
            };
            let is_old = |asked: &Remembered| !self.holds(&key, asked, now);
            let asked = self.asked.entry(key).or_insert_with_if(make, is_old).await.into_value();
            // Another request may have asked before this one came, and the app have changed
            // the session between the two.
            if asked.begun >= now.ticks() || !self.changes.may_follow(&key, asked.begun) {
                return asked.outcome;
            }
        }
    }

    fn holds(&self, key: &Digest, asked: &Remembered, now: Now) -> bool {
        asked.holds(now) && !self.changes.may_follow(key, asked.begun)
    }
}

impl Opened {
    fn new(identity: &Arc<Identity>, now: Now) -> Self {
        Self { identity: identity.clone(), until: whole_seconds(now.plus(KEPT)) }
    }
}

/// The monotonic clock; it starts with the process.
fn whole_seconds(now: Now) -> u32 {
    u32::try_from(now.ticks().as_secs()).unwrap_or(u32::MAX)
}

impl Weighter<Digest, Opened> for Weights {
    fn weight(&self, _: &Digest, opened: &Opened) -> u64 {
        u64::try_from(opened.identity.size().saturating_add(OVERHEAD)).unwrap_or(u64::MAX)
    }
}

impl Remembered {
    fn new(outcome: Result<Identity, Refused>, kept: Duration, begun: Duration, now: Now) -> Self {
        let kept = match &outcome {
            Ok(_) => kept,
            Err(Refused::Rejected(_)) => kept.min(REFUSAL_KEPT),
            Err(Refused::Unanswered(silence)) => {
                silence.retry_after.map_or(SILENCE_KEPT, |asked_for| asked_for.min(kept))
            }
        };
        Self { outcome: outcome.map(Arc::new), begun, until: now.plus(kept) }
    }

    fn holds(&self, now: Now) -> bool {
        now.ticks() < self.until.ticks()
            && self.outcome.as_ref().ok().is_none_or(|identity| identity.is_valid_at(now.unix()))
    }
}

#[cfg(test)]
mod tests;
