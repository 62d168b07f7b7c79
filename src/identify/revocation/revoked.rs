//! Sessions that are over although their cookie still verifies: signed out at the app,
//! or revoked by the operator.
//!
//! The list is in memory and bounded, the oldest entry is dropped first, and a reload
//! keeps it. A file keeps it over a restart (`journal`), and a process that takes over
//! receives it. A session is identified by its handle (`SessionReader::handle`), so
//! neither another spelling of the cookie nor another order of its chunks brings it back,
//! and other sessions of the same user are not affected. Where opening the cookie tells an
//! id, that ends with it, and so do the session's other cookies. A revoked user's sessions
//! are rejected if they were issued before the revocation, or do not say when.
//!
//! The cookies of such a session are kept from the app (`crate::session::passing`),
//! which would otherwise renew them. Some frameworks set the very same cookie each time
//! a user signs in, so a session that the app signed out is valid again once the app
//! sets its cookie in answer to a request that began after the sign-out and carried no
//! session that is over. A session that the operator revoked is not.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use super::entry::{Entry, What};
use super::journal::Journal;
use super::journal_file::JournalError;
use super::stream::Stream;
use super::tables::{RevokedBy, SignIn, Tables};
use crate::base::clock::{Clock, Now};
use crate::base::digest::{Digest, Digester};
use crate::base::lock::Lock;
use crate::session::{Cookies, Identity, Reason, Rejected, SessionReader};

/// Frameworks date their sessions to the second, by their own clock.
const PLAINLY_LATER_MS: u64 = 2000;
/// How many events a process that takes over may lag behind.
const MOST_UNTOLD: usize = 10_000;

/// Everything revoked, as far as this process knows.
#[derive(Default)]
pub struct Revoked {
    pub(super) tables: Arc<Tables>,
    pub(super) journal: OnceLock<Journal>,
    /// Receive every event, because they take over.
    pub(super) followers: Lock<Vec<SyncSender<Entry>>>,
    /// How replicas learn of every event.
    pub(super) stream: Lock<Option<Stream>>,
    /// Whether this process began to serve without what other replicas had revoked.
    pub(super) lacks_others: AtomicBool,
}

impl Revoked {
    /// Ends this session.
    pub fn end_session(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        identity: &Identity,
        by: RevokedBy,
        now: Now,
    ) {
        let marks = Marks::new(source, cookies, identity, now);
        let what = match by {
            RevokedBy::App => What::SessionSignedOut,
            RevokedBy::Operator => What::SessionRevoked,
        };
        self.note_all(what, marks, now);
    }

    /// Applies an event, and tells all who need to know it.
    pub(super) fn note(&self, what: What, mark: Digest, now: Now) {
        self.tell(Entry { what, mark, at_ms: now.unix_ms() }, now);
    }

    pub(super) fn note_all(&self, what: What, marks: Marks, now: Now) {
        marks.all().for_each(|mark| self.note(what, mark, now));
    }

    fn tell(&self, entry: Entry, now: Now) {
        let entry = self.tables.say(entry, now);
        if let Some(journal) = self.journal.get() {
            journal.append(entry);
        }
        self.publish(entry);
        // One that is gone, or far behind, receives no more.
        self.followers.lock().retain(|follower| follower.try_send(entry).is_ok());
    }

    /// Keeps every event in this file from now on, and applies its entries.
    pub fn keep_in(&self, path: &Path, clock: Clock) -> Result<(), JournalError> {
        let (tables, ours) = (Arc::downgrade(&self.tables), clock.clone());
        let apply = move |entry| {
            if let Some(tables) = tables.upgrade() {
                tables.restore(entry, ours.now());
            }
        };
        let journal = Journal::open(path, clock, apply)?;
        // Set once, at the start.
        let _ = self.journal.set(journal);
        Ok(())
    }

    /// Whether all that has happened until now is in the file; true where there is none.
    pub async fn is_kept(&self) -> bool {
        match self.journal.get() {
            Some(journal) => journal.is_kept().await,
            None => true,
        }
    }

    /// Waits a moment for the file.
    pub fn flush(&self) {
        if let Some(journal) = self.journal.get() {
            journal.flush();
        }
    }

    /// Events that could not be written to the file at first.
    pub fn unkept(&self) -> u64 {
        self.journal.get().map_or(0, Journal::failures)
    }

    /// All that holds now, and then every event as it happens.
    pub fn follow(&self) -> (Vec<Entry>, Receiver<Entry>) {
        let (follower, events) = sync_channel(MOST_UNTOLD);
        // First, so that nothing falls between the two.
        self.followers.lock().push(follower);
        (self.tables.entries(), events)
    }

    /// Adds an entry from another process.
    pub fn learn(&self, entry: Entry, now: Now) {
        if !self.tables.apply(entry, now) {
            return;
        }
        if let Some(journal) = self.journal.get() {
            journal.append(entry);
        }
        self.publish(entry);
    }

    /// Whether anything is revoked at all.
    pub fn any(&self) -> bool {
        self.tables.any.load(Ordering::Acquire)
    }

    /// Changes whenever something is revoked or admitted again.
    pub fn version(&self) -> u64 {
        self.tables.version.load(Ordering::Acquire)
    }

    /// Ends the sessions that the user got before `now`.
    pub fn end_user(&self, user_id: &str, now: Now) {
        self.note(What::UserRevoked, user_mark(user_id), now);
    }

    /// Takes back `end_user`.
    pub fn pardon_user(&self, user_id: &str, now: Now) {
        self.note(What::UserPardoned, user_mark(user_id), now);
    }

    /// Whether a session kept in a store, or by the app, is over, before that is asked.
    pub fn check_id(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        now: Now,
    ) -> Result<(), Rejected> {
        if !self.any() {
            return Ok(());
        }
        let handle = source.asked_handle(cookies, now.unix());
        handle.map_or(Ok(()), |handle| self.check_mark(&session_mark(source, &handle)))
    }

    /// Whether a session that has merely expired, or not begun by the clock here, is over:
    /// the app may be able to renew it.
    pub fn check_ended(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        why: &Rejected,
        now: Now,
    ) -> Result<(), Rejected> {
        if !self.any() {
            return Ok(());
        }
        match source.check_at_its_time(cookies, why, now.unix()) {
            Some(identity) => self.check(source, cookies, &identity, now),
            None => Ok(()),
        }
    }

    /// Whether a session that verifies is over.
    pub fn check(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        identity: &Identity,
        now: Now,
    ) -> Result<(), Rejected> {
        if !self.any() {
            return Ok(());
        }
        let marks = Marks::new(source, cookies, identity, now);
        if let Some(since_ms) = self.tables.users.get(&user_mark(identity.user_id()))
            && !source.signed_in_after(identity, since_ms / 1000, now.unix())
            && !self.has_begun_after(&marks.content, since_ms, now)
        {
            return Err(Rejected::new(Reason::SignedOut, "the user's sessions were revoked"));
        }
        marks.all().try_for_each(|mark| self.check_mark(&mark))
    }

    /// Whether the app began this session later than that.
    fn has_begun_after(&self, mark: &Digest, since_ms: u64, now: Now) -> bool {
        let Some(SignIn { at_ms, is_told }) = self.tables.signed_in.get(mark) else { return false };
        let is_later = at_ms >= since_ms.saturating_add(PLAINLY_LATER_MS);
        if is_later && !is_told {
            // Only now are the session's user and its validity known.
            self.tell(Entry { what: What::SignedIn, mark: *mark, at_ms }, now);
        }
        is_later
    }

    pub(super) fn check_mark(&self, mark: &Digest) -> Result<(), Rejected> {
        if self.tables.ended_by(mark).is_some() {
            return Err(Rejected::new(Reason::SignedOut, "the session was signed out"));
        }
        Ok(())
    }
}

/// The marks of one session.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    /// Of what its cookie holds.
    pub(super) content: Digest,
    /// Of its id, which its other cookies hold as well.
    pub(super) id: Option<Digest>,
}

impl Marks {
    pub(super) fn new(
        source: &SessionReader,
        cookies: Cookies<'_>,
        identity: &Identity,
        now: Now,
    ) -> Self {
        let content = session_mark(source, &source.handle(cookies, identity, now.unix()));
        let id = source.id_handle(identity).map(|handle| session_mark(source, &handle));
        Self { content, id }
    }

    pub(super) fn all(self) -> impl Iterator<Item = Digest> {
        std::iter::once(self.content).chain(self.id)
    }
}

pub(super) fn user_mark(user_id: &str) -> Digest {
    mark(&[b"user", user_id.as_bytes()])
}

pub(super) fn session_mark(source: &SessionReader, handle: &[u8]) -> Digest {
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
