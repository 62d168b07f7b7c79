//! Sessions that are over, and the cookies that an app sets.
//!
//! A request takes a while, and a session may end meanwhile: its answer can still set a
//! cookie for it, in the same place or in that of another source. Such a cookie ends with
//! the session. The answer is read by the clock of its own time, since the app dates a new
//! cookie by that, and compared with the end by the time at which the request began.

use super::entry::What;
use super::revoked::{Marks, Revoked, session_mark, user_mark};
use super::tables::{RevokedBy, SignIn};
use crate::base::clock::Now;
use crate::base::digest::Digest;
use crate::session::{Check, Cookies, Identity, Reason, SessionReader};

/// The state of a request's own cookies of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameWith {
    /// A session that the app may renew, although it does not count here now.
    Doubt,
    /// Nothing, a session without a user, or one that counts.
    NoDoubt,
    /// A value that the app may read as anybody's session, of this source or another.
    Unread,
}

/// The app's answer to a request that came without a session that was over then.
pub struct Answered<'a> {
    /// The request's.
    pub cookies: Cookies<'a>,
    /// The values of the answer's `Set-Cookie` fields.
    pub set: &'a [&'a [u8]],
    /// When the request began.
    pub began: Now,
    pub now: Now,
}

/// A session that a request came with, and that has ended since.
struct EndedSince {
    /// `None` where only the store knows.
    user_id: Option<String>,
    /// How a renewal of it ends.
    what: What,
}

/// The circumstances in which an answer sets a cookie.
#[derive(Clone, Copy)]
struct Renewal<'a> {
    came: CameWith,
    answered: &'a Answered<'a>,
    /// The sessions that the request came with, of any source.
    ended: &'a [EndedSince],
}

impl EndedSince {
    /// Whether a session of this user may be a renewal of it.
    fn may_be_of(&self, user_id: &str) -> bool {
        self.user_id.as_deref().is_none_or(|own| own == user_id)
    }
}

impl Revoked {
    /// The app's answer sets cookies. If these make a session that had been signed out,
    /// the user has signed in again. If a session of the request has ended meanwhile, they
    /// renew that one, so they end too. Each source is told with how its cookies came.
    pub fn answered<'s>(
        &self,
        sources: impl Iterator<Item = (&'s SessionReader, CameWith)> + Clone,
        answered: &Answered<'_>,
    ) {
        if !self.any() {
            return;
        }
        let now = answered.now.unix();
        let set = sources.clone().map(|(source, came)| {
            (source, came, source.own_cookies_after(answered.cookies, answered.set, now))
        });
        let set: Vec<_> = set.filter(|(_, _, after)| !after.is_empty()).collect();
        if set.is_empty() {
            return;
        }
        // A request that began before anything was over was not judged then.
        let is_unread = |(source, came)| came == CameWith::NoDoubt && is_unread(source, answered);
        let any_unread = sources.clone().any(is_unread);
        let ended = sources.filter_map(|(source, _)| self.ended_since(source, answered));
        let ended: Vec<EndedSince> = ended.collect();
        for (source, came, after) in set {
            let came = if any_unread { CameWith::Unread } else { came };
            let renewal = Renewal { came, answered, ended: &ended };
            for cookies in after {
                self.set(source, Cookies::new(&cookies), renewal);
            }
        }
    }

    /// The session that the request had of this source, if it has ended since.
    fn ended_since(&self, source: &SessionReader, answered: &Answered<'_>) -> Option<EndedSince> {
        let Answered { cookies, began, .. } = *answered;
        if let Some(sent) = sent(source, answered) {
            self.check(source, cookies, &sent, began).err()?;
            let marks = Marks::new(source, cookies, &sent, began);
            let what = self.as_ended(marks, Some(sent.user_id()));
            return Some(EndedSince { user_id: Some(sent.user_id().to_owned()), what });
        }
        let mark = asked_mark(source, cookies, began)?;
        self.check_mark(&mark).err()?;
        let what = self.as_ended(Marks { content: mark, id: None }, None);
        Some(EndedSince { user_id: None, what })
    }

    /// The app has set these cookies of one source.
    fn set(&self, source: &SessionReader, after: Cookies<'_>, renewal: Renewal<'_>) {
        let now = renewal.answered.now.unix();
        let renewed = match source.look(after, now) {
            Ok(Check::Known(renewed)) => Some(renewed),
            // An app that is asked may set any cookie, also one that it has set before.
            Ok(Check::Ask(_)) if source.store().is_some() => {
                self.begun(source, after, renewal);
                None
            }
            Ok(Check::Ask(_)) => None,
            // The app's clock may be ahead.
            Err(why) if why.reason == Reason::NotYetValid => {
                source.check_at_its_time(after, &why, now)
            }
            Err(_) => None,
        };
        if let Some(renewed) = renewed {
            self.renewed(source, (after, &renewed), renewal);
        }
    }

    /// The cookies set hold the whole session.
    fn renewed(
        &self,
        source: &SessionReader,
        (after, renewed): (Cookies<'_>, &Identity),
        Renewal { came, answered, ended }: Renewal<'_>,
    ) {
        let Answered { cookies, began, now, .. } = *answered;
        let new = Marks::new(source, after, renewed, now);
        let old = sent(source, answered).map(|sent| Marks::new(source, cookies, &sent, began));
        if old.is_some_and(|old| old.content == new.content) {
            // The same cookie, sent and set again, is not a sign-in.
            return;
        }
        if let Some(ended) = ended.iter().find(|ended| ended.may_be_of(renewed.user_id())) {
            self.note_all(ended.what, new, now);
            return;
        }
        let is_revoked = self.tables.users.contains_key(&user_mark(renewed.user_id()));
        match came {
            // The app may have read a session in what the gateway could not: no sign-in.
            CameWith::Unread if is_revoked => self.note_all(What::SessionRevoked, new, now),
            CameWith::Unread => {}
            CameWith::Doubt => new.all().for_each(|mark| self.readmit(&mark, began)),
            CameWith::NoDoubt => {
                new.all().for_each(|mark| self.readmit(&mark, began));
                if is_revoked && source.tells_sign_ins_apart(renewed) {
                    self.note(What::SignedIn, new.content, began);
                }
            }
        }
    }

    /// The cookies set name a session kept elsewhere: who its user is, or will be, is not
    /// known yet.
    fn begun(
        &self,
        source: &SessionReader,
        after: Cookies<'_>,
        Renewal { came, answered, ended }: Renewal<'_>,
    ) {
        let Answered { cookies, began, now, .. } = *answered;
        let Some(new) = asked_mark(source, after, now) else { return };
        if asked_mark(source, cookies, began) == Some(new) {
            return;
        }
        if let Some(ended) = ended.first() {
            self.note(ended.what, new, now);
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
}

/// The session that the request's own cookies of this source hold, also one that has
/// expired.
fn sent(source: &SessionReader, answered: &Answered<'_>) -> Option<Identity> {
    let (cookies, began) = (answered.cookies, answered.began.unix());
    match source.look(cookies, began) {
        Ok(Check::Known(sent)) => Some(sent),
        Ok(Check::Ask(_)) => None,
        Err(why) => source.check_at_its_time(cookies, &why, began),
    }
}

/// Whether it is not known whose the request's own cookies of this source are.
fn is_unread(source: &SessionReader, answered: &Answered<'_>) -> bool {
    let looked = source.look(answered.cookies, answered.began.unix());
    looked.is_err_and(|why| !why.reason.tells_whose())
}

/// The mark of a session kept elsewhere.
fn asked_mark(source: &SessionReader, cookies: Cookies<'_>, now: Now) -> Option<Digest> {
    let handle = source.asked_handle(cookies, now.unix())?;
    Some(session_mark(source, &handle))
}
