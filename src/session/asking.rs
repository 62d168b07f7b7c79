//! Sessions that live in a store: what to ask, and what follows from the answer.
//!
//! The fallback is asked when the first store does not know the session. A store that does
//! not answer has not said so: its silence is not a miss.

use super::cookie::Cookies;
use super::fallback::Fallback;
use super::format::Compiled;
use super::identity::OpenedSession;
use super::notes;
use super::pointer::Pointer;
use super::rejected::{Reason, Rejected};
use super::source::SessionReader;
use super::source_user::KnownBy;
use super::store::{Check, Query, Question, RowSpan, StoreAnswer, StoreRank};
use super::store_settings::StoreSettings;

/// Largest stored session, in bytes: more than any app stores, too little to keep a parser
/// busy.
const MAX_STORED: usize = 1024 * 1024;

impl SessionReader {
    /// As `check`, for sources whose sessions live in a store: either the user is
    /// known already, or there is something to fetch first.
    pub fn look(&self, cookies: Cookies<'_>, now: u64) -> Result<Check, Rejected> {
        let (opened, id) = self.compiled.verifier.open_with_id(self.sent(cookies), now)?;
        match opened {
            Check::Known(opened) => {
                let known_by = KnownBy { id: id.as_deref(), question: None };
                let identity = self.identity(opened, (&self.user_id, None), known_by, now)?;
                Ok(Check::Known(identity.with_id(id)))
            }
            Check::Ask(question) => {
                let fallback = self.fallback.as_deref();
                let fallback = fallback.and_then(|it| it.question(cookies, now)).map(Box::new);
                Ok(Check::Ask(Question { fallback, ..question }))
            }
        }
    }

    /// Continues with the store's answer; `None` is a miss.
    pub fn answered(
        &self,
        question: &Question,
        answer: Option<StoreAnswer>,
        now: u64,
    ) -> Result<Check, Rejected> {
        let Place { compiled, user_id } = self.place(question.rank)?;
        let Some(answer) = answer else { return self.missed(compiled, question) };
        if matches!(answer, StoreAnswer::WrongType) {
            return Err(wrong_type(&question.query));
        }
        if answer.size() > MAX_STORED {
            let detail = format!("the stored session is larger than {MAX_STORED} bytes");
            return Err(Rejected::new(Reason::Oversized, detail));
        }
        let span = match (&answer, compiled.store.as_ref()) {
            (StoreAnswer::Row(row), Some(store)) if question.is_first() => {
                if self.ends.is_none() && !store.tells_an_end() {
                    notes::check_unread_end(store, row, now)?;
                }
                Some(store.rules.check(row)?)
            }
            _ => question.span,
        };
        match compiled.verifier.answered(question, answer, now)? {
            Check::Known(opened) => {
                let RowSpan { began, ends } = span.unwrap_or_default();
                let known_by = KnownBy { id: None, question: Some(question) };
                let opened = opened.ending(ends);
                self.identity(opened, (user_id, began), known_by, now).map(Check::Known)
            }
            Check::Ask(next) => Ok(Check::Ask(Question { rank: question.rank, span, ..next })),
        }
    }

    /// The store that a question is for.
    pub fn store_of(&self, question: &Question) -> Option<&StoreSettings> {
        self.place(question.rank).ok()?.compiled.store.as_ref()
    }

    fn place(&self, rank: StoreRank) -> Result<Place<'_>, Rejected> {
        match (rank, &self.fallback) {
            (StoreRank::First, _) => Ok(Place { compiled: &self.compiled, user_id: &self.user_id }),
            (StoreRank::Fallback, Some(fallback)) => {
                let Fallback { compiled, user_id } = &**fallback;
                Ok(Place { compiled, user_id })
            }
            (StoreRank::Fallback, None) => Err(super::store::not_asked()),
        }
    }

    fn missed(&self, compiled: &Compiled, question: &Question) -> Result<Check, Rejected> {
        if let Some(Check::Ask(elsewhere)) = compiled.verifier.missed(question) {
            let (rank, fallback) = (question.rank, question.fallback.clone());
            return Ok(Check::Ask(Question { rank, fallback, ..elsewhere }));
        }
        if let Some(fallback) = &question.fallback {
            return Ok(Check::Ask((**fallback).clone()));
        }
        let detail = match self.fallback {
            Some(_) => "the session is in neither store: signed out, or expired",
            None => "the session is not in the store: signed out, or expired",
        };
        Err(Rejected::new(Reason::StoreMiss, detail))
    }
}

/// The reader of one store's answers.
struct Place<'r> {
    compiled: &'r Compiled,
    user_id: &'r Pointer,
}

impl Fallback {
    /// The question to the fallback about these cookies.
    fn question(&self, cookies: Cookies<'_>, now: u64) -> Option<Question> {
        let sent = super::cookie_names::SentCookies { jar: &self.compiled.jar, cookies };
        match self.compiled.verifier.open(sent, now) {
            Ok(Check::Ask(question)) => Some(Question { rank: StoreRank::Fallback, ..question }),
            Ok(Check::Known(OpenedSession { .. })) | Err(_) => None,
        }
    }
}

fn wrong_type(query: &Query) -> Rejected {
    Rejected::malformed(match query {
        Query::RedisHash { .. } => {
            "the key in Redis does not hold a hash; leave out format = \"hash\" in [session.store]"
        }
        Query::App { .. }
        | Query::File { .. }
        | Query::Key { .. }
        | Query::Redis { .. }
        | Query::Row { .. } => {
            "the key in Redis does not hold a string; the fields of a hash are read by kind = \
             \"lookup\" with format = \"hash\" in [session.store]"
        }
    })
}
