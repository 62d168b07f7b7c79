//! Sessions that are over although their cookie still verifies: signed out at the app,
//! or revoked by the operator.
//!
//! The list is in memory and bounded, the oldest entry is dropped first, and a reload
//! keeps it. A session is identified by its handle (`Source::handle`), so neither
//! another spelling of the cookie nor another order of its chunks brings it back, and
//! other sessions of the same user are not affected. A revoked user's sessions are
//! rejected if they were issued before the revocation, or do not say when.
//!
//! The cookies of such a session are kept from the app (`crate::session::passing`),
//! which would otherwise renew them. Some frameworks set the very same cookie each time
//! a user signs in, so a session that the app signed out is valid again once the app
//! sets its cookie in answer to a request that began after the sign-out and carried no
//! session that is over. A session that the operator revoked is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::base::clock::Now;
use crate::base::digest::{Digest, Digester};
use crate::session::{Check, Cookies, Identity, Reason, Rejected, Source};

/// Most sessions and users remembered, at about 100 bytes each.
const MAX_ENTRIES: u64 = 100_000;
/// Longer than cookies usually live.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Who ended a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RevokedBy {
    App,
    Operator,
}

#[derive(Clone, Copy)]
struct Ended {
    by: RevokedBy,
    at: Now,
}

/// Everything revoked in this process.
pub struct Revoked {
    sessions: Cache<Digest, Ended>,
    /// Unix seconds from which the user's new sessions count again.
    users: Cache<Digest, u64>,
    /// Whether there is any entry: usually not, and then no mark is computed.
    any: AtomicBool,
}

impl Default for Revoked {
    fn default() -> Self {
        let (sessions, users) = (bounded(), bounded());
        Self { sessions, users, any: AtomicBool::new(false) }
    }
}

fn bounded<V: Clone + Send + Sync + 'static>() -> Cache<Digest, V> {
    Cache::builder()
        .max_capacity(MAX_ENTRIES)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_live(KEPT)
        .build()
}

impl Revoked {
    /// Ends this session.
    pub fn end_session(
        &self,
        source: &Source,
        cookies: Cookies<'_>,
        identity: &Identity,
        by: RevokedBy,
        now: Now,
    ) {
        let handle = source.handle(cookies, identity, now.unix());
        self.sessions.insert(session_mark(source, &handle), Ended { by, at: now });
        self.any.store(true, Ordering::Release);
    }

    /// Whether anything is revoked at all.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// The app has answered a request that `began` with `cookies`, none of them from a
    /// session that was over then, and its answer sets cookies. If these make a session
    /// that had been signed out, the user has signed in again. If the request's own
    /// session has ended meanwhile, they renew that session, so it ends too.
    pub fn reissued<'c>(
        &self,
        source: &Source,
        cookies: Cookies<'_>,
        set: impl Iterator<Item = &'c [u8]>,
        began: Now,
    ) {
        if !self.any() {
            return;
        }
        let Some(after) = source.own_cookies_after(cookies, set) else { return };
        let after = Cookies::new(&after);
        let Ok(Check::Known(renewed)) = source.look(after, began.unix()) else { return };
        let new = session_mark(source, &source.handle(after, &renewed, began.unix()));
        let Ok(Check::Known(sent)) = source.look(cookies, began.unix()) else {
            return self.readmit(&new, began);
        };
        let old = session_mark(source, &source.handle(cookies, &sent, began.unix()));
        let is_over = self.check(source, cookies, &sent, began).is_err();
        if old == new {
            // The same cookie, sent and set again, is not a sign-in.
        } else if is_over && sent.user_id() == renewed.user_id() {
            self.sessions.insert(new, Ended { by: RevokedBy::Operator, at: began });
        } else {
            self.readmit(&new, began);
        }
    }

    /// Only for requests that began after the sign-out: an earlier one's answer may still
    /// set the cookie of the session that ended meanwhile.
    fn readmit(&self, mark: &Digest, began: Now) {
        let ended = self.sessions.get(mark);
        if ended.is_some_and(|ended| ended.by == RevokedBy::App && ended.at.ticks() < began.ticks())
        {
            self.sessions.invalidate(mark);
        }
    }

    /// Ends the sessions that the user got before `now`.
    pub fn end_user(&self, user_id: &str, now: Now) {
        self.users.insert(mark(&[b"user", user_id.as_bytes()]), now.unix());
        self.any.store(true, Ordering::Release);
    }

    /// Takes back `end_user`.
    pub fn pardon_user(&self, user_id: &str) {
        self.users.invalidate(&mark(&[b"user", user_id.as_bytes()]));
    }

    /// Whether a session kept in a store, or by the app, is over, before that is asked.
    pub fn check_id(
        &self,
        source: &Source,
        cookies: Cookies<'_>,
        now: Now,
    ) -> Result<(), Rejected> {
        if !self.any() {
            return Ok(());
        }
        let handle = source.asked_handle(cookies, now.unix());
        handle.map_or(Ok(()), |handle| self.check_mark(&session_mark(source, &handle)))
    }

    /// Whether a session that has merely expired is over: the app may be able to renew
    /// it.
    pub fn check_ended(
        &self,
        source: &Source,
        cookies: Cookies<'_>,
        why: &Rejected,
        now: Now,
    ) -> Result<(), Rejected> {
        let Some(ended) = why.ended.filter(|_| self.any()) else { return Ok(()) };
        match source.check_before(cookies, ended) {
            Some(identity) => self.check(source, cookies, &identity, now),
            None => Ok(()),
        }
    }

    /// Whether a session that verifies is over.
    pub fn check(
        &self,
        source: &Source,
        cookies: Cookies<'_>,
        identity: &Identity,
        now: Now,
    ) -> Result<(), Rejected> {
        if !self.any() {
            return Ok(());
        }
        let since = self.users.get(&mark(&[b"user", identity.user_id().as_bytes()]));
        if since.is_some_and(|since| !source.signed_in_after(identity, since, now.unix())) {
            return Err(Rejected::new(Reason::SignedOut, "the user's sessions were revoked"));
        }
        let handle = source.handle(cookies, identity, now.unix());
        self.check_mark(&session_mark(source, &handle))
    }

    fn check_mark(&self, mark: &Digest) -> Result<(), Rejected> {
        if self.sessions.contains_key(mark) {
            return Err(Rejected::new(Reason::SignedOut, "the session was signed out"));
        }
        Ok(())
    }
}

fn session_mark(source: &Source, handle: &[u8]) -> Digest {
    mark(&[b"session", source.kind().as_bytes(), handle])
}

/// One digest over parts, each with its length.
fn mark(parts: &[&[u8]]) -> Digest {
    let mut digester = Digester::default();
    parts.iter().for_each(|part| digester.add_sized(part));
    digester.finish()
}

#[cfg(test)]
mod tests;
