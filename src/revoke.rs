//! Sessions that are over although their cookie still verifies: signed out at
//! the app, or revoked by the operator.
//!
//! Kept in memory, bounded, oldest forgotten first; a reload keeps it. A signed
//! out session is known by its cookies and by what they hold, so that neither
//! another spelling of the cookie nor another order of chunks brings it back. A
//! revoked user's sessions are refused if they were issued before; a session that
//! does not say when it was issued counts as issued before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::digest;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::clock::Now;
use crate::session::{Cookies, Identity, Reason, Rejected, Source};

/// Sessions and users remembered at most, each about 100 octets.
const MAX_ENTRIES: u64 = 100_000;
/// Longer than cookies usually live.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

type Mark = [u8; 32];

/// Everything revoked in this process.
pub struct Revoked {
    sessions: Cache<Mark, ()>,
    /// Unix seconds from which the user's new sessions count again.
    users: Cache<Mark, u64>,
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

fn bounded<V: Clone + Send + Sync + 'static>() -> Cache<Mark, V> {
    Cache::builder()
        .max_capacity(MAX_ENTRIES)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_live(KEPT)
        .build()
}

impl Revoked {
    /// This session is over.
    pub fn end_session(&self, source: &Source, cookies: Cookies<'_>, identity: &Identity) {
        self.sessions.insert(cookie_mark(source, cookies), ());
        self.sessions.insert(session_mark(source, identity), ());
        self.any.store(true, Ordering::Release);
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
    ) -> Result<(), Rejected> {
        if !self.any.load(Ordering::Acquire) {
            return Ok(());
        }
        let since = self.users.get(&mark(&[b"user", identity.user_id().as_bytes()]));
        if since.is_some_and(|since| !issued_after(identity, since)) {
            return Err(Rejected::new(Reason::SignedOut, "the user's sessions were revoked"));
        }
        if self.sessions.contains_key(&cookie_mark(source, cookies))
            || self.sessions.contains_key(&session_mark(source, identity))
        {
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

fn cookie_mark(source: &Source, cookies: Cookies<'_>) -> Mark {
    mark(&[b"cookies", source.kind().as_bytes(), &source.own_cookies(cookies)])
}

fn session_mark(source: &Source, identity: &Identity) -> Mark {
    let session = identity.session().to_string();
    let parts =
        [b"session", source.kind().as_bytes(), identity.user_id().as_bytes(), session.as_bytes()];
    mark(&parts)
}

/// One digest over parts, each with its length.
fn mark(parts: &[&[u8]]) -> Mark {
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in parts {
        digest.update(&part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finish().as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests;
