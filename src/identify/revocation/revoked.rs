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
use std::sync::atomic::Ordering;
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
use crate::session::{Check, Cookies, Identity, Reason, Rejected, SessionReader};

/// Frameworks date their sessions to the second, by their own clock.
const PLAINLY_LATER_MS: u64 = 2000;
/// How many events a process that takes over may lag behind.
const MOST_UNTOLD: usize = 10_000;

/// The state of a request's own cookies of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameWith {
    /// A value that the app may read as a session and the gateway could not judge.
    Doubt,
    /// Nothing, a session without a user, or one that counts.
    NoDoubt,
}

/// Everything revoked, as far as this process knows.
#[derive(Default)]
pub struct Revoked {
    pub(super) tables: Arc<Tables>,
    pub(super) journal: OnceLock<Journal>,
    /// Receive every event, because they take over.
    pub(super) followers: Lock<Vec<SyncSender<Entry>>>,
    /// How replicas learn of every event.
    pub(super) stream: Lock<Option<Stream>>,
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
    fn note(&self, what: What, mark: Digest, now: Now) {
        self.tell(Entry { what, mark, at_ms: now.unix_ms() }, now);
    }

    fn note_all(&self, what: What, marks: Marks, now: Now) {
        marks.all().for_each(|mark| self.note(what, mark, now));
    }

    fn tell(&self, entry: Entry, now: Now) {
        self.tables.apply(entry, now);
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
                tables.apply(entry, ours.now());
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
        if self.tables.knows(&entry) {
            return;
        }
        self.tables.apply(entry, now);
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

    /// The app has answered a request that `began` with `cookies`, none of them from a
    /// session that was over then, and its answer sets cookies. If these make a session
    /// that had been signed out, the user has signed in again. If the request's own
    /// session has ended meanwhile, they renew that session, so it ends too.
    pub fn reissued<'c>(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        set: impl Iterator<Item = &'c [u8]>,
        came: CameWith,
        began: Now,
    ) {
        if !self.any() {
            return;
        }
        let Some(after) = source.own_cookies_after(cookies, set) else { return };
        let after = Cookies::new(&after);
        match source.look(after, began.unix()) {
            Ok(Check::Known(renewed)) => {
                self.renewed(source, cookies, after, &renewed, came, began);
            }
            // An app that is asked may set any cookie, also one that it has set before.
            Ok(Check::Ask(_)) if source.store().is_some() => {
                self.begun(source, cookies, after, came, began);
            }
            Ok(Check::Ask(_)) | Err(_) => {}
        }
    }

    /// As `reissued`, where the cookies set hold the whole session.
    fn renewed(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        after: Cookies<'_>,
        renewed: &Identity,
        came: CameWith,
        began: Now,
    ) {
        let new = Marks::new(source, after, renewed, began);
        if let Ok(Check::Known(sent)) = source.look(cookies, began.unix()) {
            let old = Marks::new(source, cookies, &sent, began);
            if old.content == new.content {
                // The same cookie, sent and set again, is not a sign-in.
                return;
            }
            let is_over = self.check(source, cookies, &sent, began).is_err();
            if is_over && sent.user_id() == renewed.user_id() {
                self.note_all(self.as_ended(old, Some(sent.user_id())), new, began);
                return;
            }
        }
        new.all().for_each(|mark| self.readmit(&mark, began));
        let is_revoked = self.tables.users.contains_key(&user_mark(renewed.user_id()));
        if is_revoked && came == CameWith::NoDoubt && source.tells_sign_ins_apart(renewed) {
            self.note(What::SignedIn, new.content, began);
        }
    }

    /// As `reissued`, where the cookies set name a session kept elsewhere: who its user
    /// is, or will be, is not known yet.
    fn begun(
        &self,
        source: &SessionReader,
        cookies: Cookies<'_>,
        after: Cookies<'_>,
        came: CameWith,
        began: Now,
    ) {
        let mark_of = |cookies| {
            let handle = source.asked_handle(cookies, began.unix())?;
            Some(session_mark(source, &handle))
        };
        let (Some(new), old) = (mark_of(after), mark_of(cookies)) else { return };
        if old == Some(new) {
            return;
        }
        if let Some(old) = old.filter(|old| self.check_mark(old).is_err()) {
            self.note(self.as_ended(Marks { content: old, id: None }, None), new, began);
        } else if came == CameWith::NoDoubt && self.tables.users.entry_count() > 0 {
            let begun = SignIn { at_ms: began.unix_ms(), is_told: false };
            self.tables.signed_in.insert(new, begun);
        }
    }

    /// How a renewal ends when its session has ended meanwhile.
    fn as_ended(&self, marks: Marks, user_id: Option<&str>) -> What {
        let is_users = user_id.is_some_and(|id| self.tables.users.contains_key(&user_mark(id)));
        let by: Vec<_> = marks.all().filter_map(|mark| self.tables.ended_by(&mark)).collect();
        let is_apps = !by.is_empty() && by.iter().all(|by| *by == RevokedBy::App);
        if is_apps && !is_users { What::SessionSignedOut } else { What::SessionRevoked }
    }

    /// Only for requests that began after the sign-out: an earlier one's answer may still
    /// set the cookie of the session that ended meanwhile.
    fn readmit(&self, mark: &Digest, began: Now) {
        let ended = self.tables.signed_out.get(mark);
        if ended.is_some_and(|ended| ended.learned < began.ticks()) {
            self.note(What::SessionReadmitted, *mark, began);
        }
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

    /// Whether a session that has merely expired is over: the app may be able to renew
    /// it.
    pub fn check_ended(
        &self,
        source: &SessionReader,
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

    fn check_mark(&self, mark: &Digest) -> Result<(), Rejected> {
        if self.tables.ended_by(mark).is_some() {
            return Err(Rejected::new(Reason::SignedOut, "the session was signed out"));
        }
        Ok(())
    }
}

/// The marks of one session.
#[derive(Clone, Copy)]
struct Marks {
    /// Of what its cookie holds.
    content: Digest,
    /// Of its id, which its other cookies hold as well.
    id: Option<Digest>,
}

impl Marks {
    fn new(source: &SessionReader, cookies: Cookies<'_>, identity: &Identity, now: Now) -> Self {
        let content = session_mark(source, &source.handle(cookies, identity, now.unix()));
        let id = source.id_handle(identity).map(|handle| session_mark(source, &handle));
        Self { content, id }
    }

    fn all(self) -> impl Iterator<Item = Digest> {
        std::iter::once(self.content).chain(self.id)
    }
}

fn user_mark(user_id: &str) -> Digest {
    mark(&[b"user", user_id.as_bytes()])
}

fn session_mark(source: &SessionReader, handle: &[u8]) -> Digest {
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
