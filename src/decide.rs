//! What is to be done with a request: pure, top-down.
//!
//! Two steps, because between them somebody may have to be asked who the user
//! is. `plan` needs only the request; `decide` then has the verdict on the
//! session. Nothing here awaits, locks, logs or reads a clock.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

use crate::ask::{Refused, Unanswered};
use crate::client::Scheme;
use crate::discovery::Published;
use crate::policy::{Origin, Policy, Route, Rule, SessionRule, TokenRoute, rule_for};
use crate::request::{RequestView, SEC_FETCH_SITE};
use crate::respond::{Audience, PLAIN_TEXT, Refusal, Reply};
use crate::session::{Identity, Reason, Rejected};

/// Where a request is going, before its session is looked at.
pub enum Plan<'p> {
    /// Answered here and now: a preflight.
    Answer(Reply),
    Forward(Option<&'p Arc<Route>>),
    Issue(&'p Arc<TokenRoute>),
    /// Everybody may read it.
    Publish(&'p Published),
    Refuse(Refusal),
}

/// What is done with it.
pub enum Decision<'p> {
    /// A page without a session is sent to the app's sign-in page.
    Answer(Reply, Rejected),
    Forward {
        route: Option<&'p Arc<Route>>,
        identity: Option<Arc<Identity>>,
    },
    Issue {
        token: &'p Arc<TokenRoute>,
        identity: Arc<Identity>,
    },
    Publish(&'p Published),
    Refuse(Refusal, Option<Rejected>),
}

/// What the sources said about the request's cookies.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Somebody, and which source knows them (its place in the policy).
    Known(Arc<Identity>, usize),
    Nobody(Rejected),
    /// Nobody could be asked: there may be a session or not.
    Unknown(Unanswered),
}

/// A verdict, and what must not reach the app whatever it says.
#[derive(Debug)]
pub struct Judged {
    pub verdict: Verdict,
    /// The sources whose session is revoked or signed out, by their places in the
    /// policy.
    pub over: Vec<usize>,
}

/// What several sources say, one after the other.
#[derive(Default)]
pub struct Tally {
    known: Option<(Arc<Identity>, usize)>,
    /// Another source names another user.
    contradiction: bool,
    refused: Option<Rejected>,
    unanswered: Option<Unanswered>,
    over: Vec<usize>,
}

impl Tally {
    pub fn add(&mut self, source: usize, said: Result<Arc<Identity>, Refused>) {
        match said {
            Ok(identity) => match &self.known {
                Some((known, _)) => self.contradiction |= known.user_id() != identity.user_id(),
                None => self.known = Some((identity, source)),
            },
            Err(Refused::Rejected(rejected)) => {
                // A cookie that was there and wrong says more than a missing one.
                if self.refused.as_ref().is_none_or(|r| r.reason == Reason::Missing) {
                    self.refused = Some(rejected);
                }
            }
            Err(Refused::Unanswered(unanswered)) => {
                self.unanswered.get_or_insert(unanswered);
            }
        }
    }

    /// This source's session verifies, and is over all the same.
    pub fn add_over(&mut self, source: usize, rejected: Rejected) {
        self.over.push(source);
        self.add(source, Err(Refused::Rejected(rejected)));
    }

    /// What is to be done with all of it.
    pub fn judge(mut self) -> Judged {
        let over = std::mem::take(&mut self.over);
        Judged { verdict: self.verdict(), over }
    }

    /// The first source that knows somebody decides, unless another one knows
    /// somebody else: an app behind the gateway could mean either. Where nobody
    /// is known, a source that could not be asked might have known them.
    fn verdict(self) -> Verdict {
        if self.contradiction {
            let detail = "the cookies hold valid sessions of two different users";
            return Verdict::Nobody(Rejected::new(Reason::Ambiguous, detail));
        }
        match (self.known, self.unanswered) {
            (Some((identity, source)), _) => Verdict::Known(identity, source),
            (None, Some(unanswered)) => Verdict::Unknown(unanswered),
            (None, None) => Verdict::Nobody(self.refused.unwrap_or_else(none_asked)),
        }
    }
}

impl Plan<'_> {
    /// Whether the app, or whoever the route names, gets to see the request.
    pub fn forwards(&self) -> bool {
        match self {
            Self::Forward(_) => true,
            Self::Answer(_) | Self::Issue(_) | Self::Publish(_) | Self::Refuse(_) => false,
        }
    }

    /// Whether `decide` needs a verdict.
    pub fn needs_session(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Publish(_) | Self::Refuse(_) => false,
            Self::Forward(Some(route)) => route.session != SessionRule::Off,
            Self::Forward(None) | Self::Issue(_) => true,
        }
    }
}

/// Finds the rule and checks what can be checked without a session: method and
/// where the request comes from.
pub fn plan<'p>(policy: &'p Policy, view: &RequestView<'_>) -> (Plan<'p>, Option<&'p Rule>) {
    let Ok(rule) = rule_for(policy, view.path) else {
        return (Plan::Refuse(Refusal::BadRequest("the path can be read in two ways")), None);
    };
    let plan = match rule {
        None => Plan::Forward(None),
        Some(Rule::Published(what, ..)) if [Method::GET, Method::HEAD].contains(view.method) => {
            Plan::Publish(what)
        }
        Some(Rule::Published(..)) => Plan::Refuse(Refusal::MethodNotAllowed("GET, HEAD".into())),
        Some(Rule::Route(route))
            if !route.methods.is_empty() && !route.methods.contains(view.method) =>
        {
            let allow = route.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            Plan::Refuse(Refusal::MethodNotAllowed(allow))
        }
        // Another site must not spend the key in the name of who is signed in here.
        Some(Rule::Route(route)) if route.vendor.is_some() && is_from_elsewhere(view, &[]) => {
            Plan::Refuse(Refusal::CrossSite)
        }
        Some(Rule::Route(route)) => Plan::Forward(Some(route)),
        Some(Rule::Token(token, _)) => plan_token(token, view),
    };
    (plan, rule)
}

fn plan_token<'p>(token: &'p Arc<TokenRoute>, view: &RequestView<'_>) -> Plan<'p> {
    let preflight = view.method == Method::OPTIONS
        && view.header(&header::ACCESS_CONTROL_REQUEST_METHOD).is_some();
    if preflight {
        let origin = view.origin().and_then(|origin| token.origin(origin));
        return origin.map_or(Plan::Refuse(Refusal::CrossSite), |origin| {
            Plan::Answer(preflight_reply(token, origin, view))
        });
    }
    if !token.answers(view.method) {
        return Plan::Refuse(Refusal::MethodNotAllowed(token.allow.clone()));
    }
    if is_from_elsewhere(view, &token.origins) {
        return Plan::Refuse(Refusal::CrossSite);
    }
    Plan::Issue(token)
}

/// Whether a site is asking that is neither our own nor allowed. `Origin` decides where browsers send it;
/// Fetch metadata covers the rest (plain GETs, old forms).
fn is_from_elsewhere(view: &RequestView<'_>, allowed: &[Origin]) -> bool {
    // No browser sends either twice; the second could contradict the first.
    if view.is_repeated(&header::ORIGIN) || view.is_repeated(&SEC_FETCH_SITE) {
        return true;
    }
    let origin = view.header(&header::ORIGIN);
    if origin.is_some_and(|origin| allowed.iter().any(|allowed| allowed.is(origin))) {
        return false;
    }
    let foreign_origin = origin.is_some_and(|origin| !is_own(origin, view));
    let foreign_fetch =
        view.header(&SEC_FETCH_SITE).is_some_and(|site| site != b"same-origin" && site != b"none");
    foreign_origin || foreign_fetch
}

/// Whether an origin names the host the request was sent to. Behind a TLS
/// terminator the gateway sees plain HTTP, so that says nothing about the page;
/// but a page that came in the clear is no part of a site known to be https.
fn is_own(origin: &[u8], view: &RequestView<'_>) -> bool {
    let host = view.host;
    let Ok(origin) = std::str::from_utf8(origin) else { return false };
    let (authority, default_port) = match (origin.split_once("://"), view.client.scheme) {
        (Some(("https", authority)), _) => (authority, ":443"),
        (Some(("http", authority)), Scheme::Http) => (authority, ":80"),
        _ => return false,
    };
    let bare = |text: &str| text.strip_suffix(default_port).unwrap_or(text).to_ascii_lowercase();
    bare(authority) == bare(host)
}

fn preflight_reply(token: &TokenRoute, origin: &Origin, view: &RequestView<'_>) -> Reply {
    let mut reply = Reply::new(StatusCode::NO_CONTENT, PLAIN_TEXT, Bytes::new());
    cors(&mut reply, origin);
    reply.push(header::ACCESS_CONTROL_ALLOW_METHODS, &token.allow);
    reply.push(header::ACCESS_CONTROL_MAX_AGE, "600");
    let asked = view
        .header(&header::ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|value| std::str::from_utf8(value).ok());
    if let Some(asked) = asked {
        reply.push(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
    }
    reply
}

/// Lets one exact origin read the answer, with credentials.
pub fn cors(reply: &mut Reply, origin: &Origin) {
    reply.push(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.as_str());
    reply.push(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    reply.push(header::ACCESS_CONTROL_EXPOSE_HEADERS, "RateLimit, RateLimit-Policy, Retry-After");
    reply.headers.insert(header::VARY, HeaderValue::from_static("Cookie, Origin"));
}

/// Decides, now that the session has been looked at. `verdict` is `None` where
/// the plan did not need one.
pub fn decide<'p>(
    plan: Plan<'p>,
    verdict: Option<Verdict>,
    view: &RequestView<'_>,
    cookie: &str,
) -> Decision<'p> {
    match plan {
        Plan::Answer(reply) => Decision::Answer(reply, none_asked()),
        Plan::Publish(what) => Decision::Publish(what),
        Plan::Refuse(refusal) => Decision::Refuse(refusal, None),
        Plan::Issue(token) => match verdict.unwrap_or_else(|| Verdict::Nobody(none_asked())) {
            Verdict::Known(identity, _) => Decision::Issue { token, identity },
            Verdict::Nobody(rejected) => {
                Decision::Refuse(not_signed_in(&rejected, cookie), Some(rejected))
            }
            Verdict::Unknown(unanswered) => refuse_unknown(&unanswered),
        },
        Plan::Forward(route) => decide_forward(route, verdict, view, cookie),
    }
}

fn decide_forward<'p>(
    route: Option<&'p Arc<Route>>,
    verdict: Option<Verdict>,
    view: &RequestView<'_>,
    cookie: &str,
) -> Decision<'p> {
    let required = route.filter(|route| route.session == SessionRule::Required);
    let rejected = match (required, verdict) {
        (Some(route), Some(Verdict::Known(identity, _))) if !route.allow.admit(&identity) => {
            return Decision::Refuse(Refusal::NotAllowed, None);
        }
        (_, Some(Verdict::Known(identity, _))) => {
            return Decision::Forward { route, identity: Some(identity) };
        }
        (None, Some(Verdict::Nobody(_) | Verdict::Unknown(_)) | None) => {
            return Decision::Forward { route, identity: None };
        }
        (Some(_), Some(Verdict::Unknown(unanswered))) => return refuse_unknown(&unanswered),
        (Some(_), Some(Verdict::Nobody(rejected))) => rejected,
        (Some(_), None) => none_asked(),
    };
    let sign_in = required.and_then(|route| route.sign_in.as_ref());
    match (sign_in, view.audience()) {
        (Some(sign_in), Audience::Navigation) => {
            let target = view
                .query
                .map_or_else(|| view.path.to_owned(), |query| format!("{}?{query}", view.path));
            Decision::Answer(Reply::see_other(&sign_in.location(&target)), rejected)
        }
        _ => Decision::Refuse(not_signed_in(&rejected, cookie), Some(rejected)),
    }
}

/// Signing in again would not help, so nobody is sent to do it.
fn refuse_unknown<'p>(unanswered: &Unanswered) -> Decision<'p> {
    let refusal = unanswered.retry_after.map_or(Refusal::Unavailable, Refusal::Busy);
    Decision::Refuse(refusal, None)
}

/// Expired is told apart, so that a page can refresh the session and try again;
/// every other reason looks the same from outside.
fn not_signed_in(rejected: &Rejected, cookie: &str) -> Refusal {
    match rejected.reason {
        Reason::Expired => Refusal::SessionExpired(cookie.to_owned()),
        _ => Refusal::NotSignedIn(cookie.to_owned()),
    }
}

fn none_asked() -> Rejected {
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
        let mut tally = Tally::default();
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
    fn the_first_source_that_knows_somebody_decides() {
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
    fn nobody_is_only_nobody_if_everyone_was_asked() {
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
    fn an_unknown_verdict_is_503_or_the_429_of_whoever_was_asked() {
        let refusal = |retry_after| {
            let unanswered = Unanswered { detail: String::new(), retry_after };
            match refuse_unknown(&unanswered) {
                Decision::Refuse(refusal, _) => refusal.status().as_u16(),
                _ => 0,
            }
        };
        assert_eq!(refusal(None), 503);
        assert_eq!(refusal(Some(std::time::Duration::from_secs(2))), 429);
    }
}
