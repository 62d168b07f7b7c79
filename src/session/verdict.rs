//! The verdict of all sources together on the cookies of one request. Pure.

use std::sync::Arc;
use std::time::Duration;

use crate::session::identity::Identity;
use crate::session::rejected::{Reason, Rejected};

/// No server could say who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// For the operator; never what a server sent.
    pub detail: String,
    /// The server's own `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// Why a check ended without an identity.
#[derive(Clone, Debug)]
pub enum Refused {
    Rejected(Rejected),
    Unanswered(Unanswered),
}

impl From<Rejected> for Refused {
    fn from(rejected: Rejected) -> Self {
        match rejected.reason {
            Reason::Unavailable => Self::Unanswered(Unanswered {
                detail: rejected.detail.into_owned(),
                retry_after: None,
            }),
            _ => Self::Rejected(rejected),
        }
    }
}

/// The sources' verdict on the request's cookies.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// A user, and the index in the policy of the source that knows them.
    Known(Arc<Identity>, usize),
    Nobody(Rejected),
    /// No server answered: there may be a session or not.
    Unknown(Unanswered),
}

impl Verdict {
    /// A stable word for it.
    pub const fn result(&self) -> &'static str {
        match self {
            Self::Known(..) => "accepted",
            Self::Nobody(rejected) => rejected.reason.as_str(),
            Self::Unknown(_) => Reason::Unavailable.as_str(),
        }
    }
}

/// A verdict, and the sources whose cookies must not reach the app.
#[derive(Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// The sources that know the user.
    pub accepted: Accepted,
    /// The sources whose session is revoked or signed out, or contradicts another one,
    /// by their index in the policy.
    pub over: Vec<usize>,
    /// The sources whose cookies may be another spelling of a session.
    pub respelled: Vec<usize>,
    /// The sources whose cookies do not say here whose they are.
    pub unread: Vec<usize>,
    doubtful: Doubtful,
}

/// How a verified session came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// In something that browsers add to every request, whoever causes it.
    Ambient,
    /// In a header that only the client's own code adds.
    Deliberate,
}

/// The sources that know the user of a request, by their index in the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted(u64);

impl Accepted {
    fn add(&mut self, source: usize) {
        if source < 64 {
            self.0 |= 1 << source;
        }
    }

    pub(crate) fn any(self) -> bool {
        self.0 != 0
    }

    /// Sources beyond the 64th never count.
    pub fn contains(self, source: usize) -> bool {
        source < 64 && self.0 & (1 << source) != 0
    }
}

/// The sources whose cookies the gateway could not judge, though the app may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Doubtful(u64);

impl Doubtful {
    /// Sources beyond this one are always in doubt.
    const LAST: usize = 63;

    fn add(&mut self, source: usize) {
        self.0 |= 1 << source.min(Self::LAST);
    }

    fn contains(self, source: usize) -> bool {
        source >= Self::LAST || self.0 & (1 << source) != 0
    }
}

/// One source's verdict on what it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its session verifies.
    Accepted,
    /// Nothing is known against it.
    Open,
    /// Its session is revoked or signed out, or contradicts another one.
    Over,
    /// The app may read a session in it that is over, or another one than was verified.
    Respelled,
}

/// The verdicts of all sources on one request, by their index in the policy.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    accepted: Accepted,
    over: Vec<usize>,
    respelled: Vec<usize>,
    unread: Vec<usize>,
    doubtful: Doubtful,
    /// Whether the app must find no session but those that were judged: some are over, or
    /// another one was verified. Else an app whose sessions cannot be read here keeps them.
    is_strict: bool,
}

impl Standings {
    /// Where any session at all is over, `any_over`.
    pub(crate) fn new(judged: &mut Judged, any_over: bool) -> Self {
        let Judged { accepted, over, respelled, unread, doubtful, .. } = judged;
        let is_strict = any_over || accepted.any();
        let take = std::mem::take::<Vec<usize>>;
        let (over, respelled, unread) = (take(over), take(respelled), take(unread));
        let (accepted, doubtful) = (*accepted, *doubtful);
        Self { accepted, over, respelled, unread, doubtful, is_strict }
    }

    pub(crate) fn of(&self, source: usize) -> Standing {
        match () {
            () if self.over.contains(&source) => Standing::Over,
            () if self.accepted.contains(source) => Standing::Accepted,
            () if self.is_strict && self.respelled.contains(&source) => Standing::Respelled,
            () => Standing::Open,
        }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.is_strict
    }

    pub(crate) fn any_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// Whether the source's cookies could not be judged.
    pub(crate) fn is_in_doubt(&self, source: usize) -> bool {
        self.doubtful.contains(source)
    }

    /// Whether the app may read somebody's session that was not understood here.
    pub(crate) fn passes_unread(&self) -> bool {
        self.unread.iter().any(|&source| self.of(source) == Standing::Open)
    }
}

/// Collects what the sources say, one after the other.
#[derive(Default)]
pub(crate) struct VerdictBuilder {
    known: Option<(Arc<Identity>, usize)>,
    /// Another source names another user.
    contradiction: bool,
    refused: Option<Rejected>,
    unanswered: Option<Unanswered>,
    over: Vec<usize>,
    respelled: Vec<usize>,
    unread: Vec<usize>,
    accepted: Accepted,
    doubtful: Doubtful,
    /// How many sources were asked.
    asked: usize,
}

impl VerdictBuilder {
    pub(crate) fn add(&mut self, source: usize, said: Result<Arc<Identity>, Refused>) {
        self.asked = self.asked.max(source + 1);
        match said {
            Ok(identity) => {
                self.accepted.add(source);
                match &self.known {
                    Some((known, _)) => self.contradiction |= known.user_id() != identity.user_id(),
                    None => self.known = Some((identity, source)),
                }
            }
            Err(Refused::Rejected(rejected)) => {
                let is_judged = [Reason::Missing, Reason::NoUser, Reason::StoreMiss];
                if !is_judged.contains(&rejected.reason) {
                    self.doubtful.add(source);
                }
                if !rejected.reason.tells_whose() {
                    self.unread.push(source);
                }
                // A cookie that was there and wrong says more than a missing one.
                if self.refused.as_ref().is_none_or(|r| r.reason == Reason::Missing) {
                    self.refused = Some(rejected);
                }
            }
            Err(Refused::Unanswered(unanswered)) => {
                self.doubtful.add(source);
                self.unanswered.get_or_insert(unanswered);
            }
        }
    }

    /// This source's session verifies, but is revoked or signed out.
    pub(crate) fn add_over(&mut self, source: usize, rejected: Rejected) {
        self.over.push(source);
        self.add(source, Err(Refused::Rejected(rejected)));
    }

    /// The cookies sent for this source may be another spelling of a session.
    pub(crate) fn add_respelled(&mut self, source: usize) {
        self.respelled.push(source);
    }

    /// The verdict, and the sources whose sessions are over.
    pub(crate) fn judge(mut self) -> Judged {
        let mut over = std::mem::take(&mut self.over);
        if self.contradiction {
            // The app must not choose between the two either: it gets none of them.
            over = (0..self.asked).collect();
            self.accepted = Accepted::default();
        }
        let (accepted, doubtful) = (self.accepted, self.doubtful);
        let take = std::mem::take::<Vec<usize>>;
        let (respelled, unread) = (take(&mut self.respelled), take(&mut self.unread));
        Judged { verdict: self.verdict(), accepted, over, respelled, unread, doubtful }
    }

    /// The first source that knows a user decides, unless another one knows another
    /// user: an app behind the gateway could mean either. If no source knows a user,
    /// one that could not be asked might have.
    fn verdict(self) -> Verdict {
        if self.contradiction {
            let detail = "the request holds valid sessions of two different users";
            return Verdict::Nobody(Rejected::new(Reason::Ambiguous, detail));
        }
        match (self.known, self.unanswered) {
            (Some((identity, source)), _) => Verdict::Known(identity, source),
            (None, Some(unanswered)) => Verdict::Unknown(unanswered),
            (None, None) => Verdict::Nobody(self.refused.unwrap_or_else(none_asked)),
        }
    }
}

/// The verdict where no source was asked.
pub(crate) fn none_asked() -> Rejected {
    Rejected::new(Reason::Missing, "no session is configured")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(user: &str) -> Result<Arc<Identity>, Refused> {
        Ok(Arc::new(Identity::assumed(user.to_owned(), serde_json::Value::Null, None)))
    }

    fn refused(reason: Reason) -> Result<Arc<Identity>, Refused> {
        Err(Refused::Rejected(Rejected::new(reason, "a test")))
    }

    fn silent() -> Result<Arc<Identity>, Refused> {
        Err(Refused::Unanswered(Unanswered { detail: "a test".into(), retry_after: None }))
    }

    /// The verdict in a word: the user and the source, the reason, or `unknown`.
    fn word(said: impl IntoIterator<Item = Result<Arc<Identity>, Refused>>) -> String {
        let mut tally = VerdictBuilder::default();
        for (index, said) in said.into_iter().enumerate() {
            tally.add(index, said);
        }
        match tally.judge().verdict {
            Verdict::Known(identity, index) => format!("{} from {index}", identity.user_id()),
            Verdict::Nobody(rejected) => rejected.reason.as_str().to_owned(),
            Verdict::Unknown(_) => "unknown".to_owned(),
        }
    }

    #[test]
    fn the_first_source_that_knows_a_user_decides() {
        assert_eq!(word([refused(Reason::Expired), known("u1")]), "u1 from 1");
        assert_eq!(word([known("u1"), known("u1")]), "u1 from 0");
        assert_eq!(word([known("u1"), silent()]), "u1 from 0");
        assert_eq!(word([silent(), known("u1")]), "u1 from 1");
    }

    #[test]
    fn valid_sessions_of_two_users_are_refused_as_ambiguous() {
        assert_eq!(word([known("u1"), known("u2")]), "ambiguous");
        assert_eq!(word([known("u1"), refused(Reason::Missing), known("u2")]), "ambiguous");
    }

    #[test]
    fn a_request_is_signed_out_only_if_every_source_was_asked() {
        assert_eq!(word([refused(Reason::Missing), silent()]), "unknown");
        assert_eq!(word([silent(), refused(Reason::BadSignature)]), "unknown");
        assert_eq!(word([]), "missing");
    }

    #[test]
    fn the_refusal_that_says_most_is_reported() {
        let word =
            word([refused(Reason::Missing), refused(Reason::Expired), refused(Reason::Missing)]);
        assert_eq!(word, "expired");
    }

    #[test]
    fn what_may_be_respelled_is_open_until_something_is_over_or_verified_beside_it() {
        for (is_verified, any_over, expected) in [
            (false, false, Standing::Open),
            (false, true, Standing::Respelled),
            (true, false, Standing::Respelled),
        ] {
            let mut verdict = VerdictBuilder::default();
            let why = Rejected::new(Reason::Malformed, "a test");
            verdict.add_respelled(0);
            verdict.add(0, Err(Refused::Rejected(why)));
            if is_verified {
                let user = Identity::assumed("u1".to_owned(), serde_json::Value::Null, None);
                verdict.add(1, Ok(Arc::new(user)));
            }
            let standings = Standings::new(&mut verdict.judge(), any_over);
            assert_eq!(standings.of(0), expected, "{is_verified} {any_over}");
            assert_eq!(standings.passes_unread(), expected == Standing::Open);
        }
    }
}
