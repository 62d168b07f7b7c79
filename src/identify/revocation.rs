//! Sessions that are over although their cookie still verifies: signed out at
//! the app, or revoked by the operator.
//!
//! Kept in memory, bounded, oldest forgotten first; a reload keeps it. A session
//! is known by its handle (`Source::handle`), so that neither another spelling of
//! the cookie nor another order of chunks brings it back, and another session of
//! the same user is not taken for it. A revoked user's sessions are refused if
//! they were issued before; a session that does not say when it was issued counts
//! as issued before.
//!
//! Some frameworks use a session again that was signed out: the very same cookie,
//! or the same id. Such a session is good again once the app has set its cookie
//! anew, or has itself said in between that the id is nobody's. What the operator
//! revoked is not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::base::clock::Now;
use crate::base::digest::{Digest, Digester};
use crate::session::{Check, Cookies, Identity, Reason, Rejected, Source};

/// Sessions and users remembered at most, each about 100 octets.
const MAX_ENTRIES: u64 = 100_000;
/// Longer than cookies usually live.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Who ended a session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    App,
    Operator,
}

/// Everything revoked in this process.
pub struct Revoked {
    sessions: Cache<Digest, By>,
    /// Unix seconds from which the user's new sessions count again.
    users: Cache<Digest, u64>,
    /// Whether there is anything at all: usually not, and then nobody computes
    /// a mark.
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
    /// This session is over.
    pub fn end_session(
        &self,
        source: &Source,
        cookies: Cookies<'_>,
        identity: &Identity,
        by: By,
        now: Now,
    ) {
        let handle = source.handle(cookies, identity, now.unix());
        self.sessions.insert(session_mark(source, &handle), by);
        self.any.store(true, Ordering::Release);
    }

    /// The app's answer to a request with `cookies` sets cookies: if they make a
    /// session that was signed out, somebody has signed in again.
    pub fn reissued<'c>(
        &self,
        source: &Source,
        cookies: Cookies<'_>,
        set: impl Iterator<Item = &'c [u8]>,
        now: Now,
    ) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let Some(cookies) = source.own_cookies_after(cookies, set) else { return };
        let cookies = Cookies::new(&cookies);
        if let Ok(Check::Known(identity)) = source.look(cookies, now.unix()) {
            self.readmit(source, &source.handle(cookies, &identity, now.unix()));
        }
    }

    /// Whoever keeps the sessions says that this one is nobody's: should it be
    /// somebody's later, then because somebody has signed in.
    pub fn settled(&self, source: &Source, cookies: Cookies<'_>, now: Now) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        if let Some(handle) = source.asked_handle(cookies, now.unix()) {
            self.readmit(source, &handle);
        }
    }

    fn readmit(&self, source: &Source, handle: &[u8]) {
        let mark = session_mark(source, handle);
        if self.sessions.get(&mark) == Some(By::App) {
            self.sessions.invalidate(&mark);
        }
    }

    /// Sessions the user got before `now` are over.
    pub fn end_user(&self, user_id: &str, now: Now) {
        self.users.insert(mark(&[b"user", user_id.as_bytes()]), now.unix());
        self.any.store(true, Ordering::Release);
    }

    /// Takes back `end_user`.
    pub fn pardon_user(&self, user_id: &str) {
        self.users.invalidate(&mark(&[b"user", user_id.as_bytes()]));
    }

    /// Whether a session that verifies is over all the same.
    pub fn check(
        &self,
        source: &Source,
        cookies: Cookies<'_>,
        identity: &Identity,
        now: Now,
    ) -> Result<(), Rejected> {
        if !self.any.load(Ordering::Acquire) {
            return Ok(());
        }
        let since = self.users.get(&mark(&[b"user", identity.user_id().as_bytes()]));
        if since.is_some_and(|since| !issued_after(identity, since)) {
            return Err(Rejected::new(Reason::SignedOut, "the user's sessions were revoked"));
        }
        let handle = source.handle(cookies, identity, now.unix());
        if self.sessions.contains_key(&session_mark(source, &handle)) {
            return Err(Rejected::new(Reason::SignedOut, "the session was signed out"));
        }
        Ok(())
    }
}

/// `iat` (RFC 7519 section 4.1.6). The second of the revocation itself counts as
/// before.
fn issued_after(identity: &Identity, since: u64) -> bool {
    let issued = identity.session().get("iat").and_then(serde_json::Value::as_f64);
    issued.is_some_and(|issued| {
        Duration::try_from_secs_f64(issued).is_ok_and(|d| d.as_secs() > since)
    })
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
