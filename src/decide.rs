//! What is to be done with a request: pure, top-down.
//!
//! Two steps, because between them somebody may have to be asked who the user
//! is. `plan` needs only the request; `decide` then has the verdict on the
//! session. Nothing here awaits, locks, logs or reads a clock.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

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
    Refuse(Refusal, Option<Rejected>),
}

/// What the verifiers said about the request's cookies.
pub type Verdict = Result<Arc<Identity>, Rejected>;

impl Plan<'_> {
    /// Whether `decide` needs a verdict.
    pub fn needs_session(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Refuse(_) => false,
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
        Some(Rule::Route(route))
            if !route.methods.is_empty() && !route.methods.contains(view.method) =>
        {
            let allow = route.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            Plan::Refuse(Refusal::MethodNotAllowed(allow))
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
        let origin = view.header(&header::ORIGIN).filter(|_| !view.is_repeated(&header::ORIGIN));
        let origin = origin.and_then(|origin| token.origin(origin));
        return origin.map_or(Plan::Refuse(Refusal::CrossSite), |origin| {
            Plan::Answer(preflight_reply(token, origin, view))
        });
    }
    if !token.answers(view.method) {
        return Plan::Refuse(Refusal::MethodNotAllowed(token.allow.clone()));
    }
    if is_cross_site(token, view) {
        return Plan::Refuse(Refusal::CrossSite);
    }
    Plan::Issue(token)
}

/// Whether another site is asking. `Origin` decides where browsers send it;
/// Fetch metadata covers the rest (plain GETs, old forms).
fn is_cross_site(token: &TokenRoute, view: &RequestView<'_>) -> bool {
    // No browser sends either twice; the second could contradict the first.
    if view.is_repeated(&header::ORIGIN) || view.is_repeated(&SEC_FETCH_SITE) {
        return true;
    }
    let origin = view.header(&header::ORIGIN);
    if origin.is_some_and(|origin| token.origin(origin).is_some()) {
        return false;
    }
    let foreign_origin = origin.is_some_and(|origin| !is_own(origin, view.host));
    let foreign_fetch =
        view.header(&SEC_FETCH_SITE).is_some_and(|site| site != b"same-origin" && site != b"none");
    foreign_origin || foreign_fetch
}

/// Whether an origin names the host the request was sent to. The scheme is not
/// compared: behind a TLS terminator the gateway sees plain HTTP.
fn is_own(origin: &[u8], host: &str) -> bool {
    let Ok(origin) = std::str::from_utf8(origin) else { return false };
    let (authority, default_port) = match origin.split_once("://") {
        Some(("https", authority)) => (authority, ":443"),
        Some(("http", authority)) => (authority, ":80"),
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
        Plan::Refuse(refusal) => Decision::Refuse(refusal, None),
        Plan::Issue(token) => match verdict.unwrap_or_else(|| Err(none_asked())) {
            Ok(identity) => Decision::Issue { token, identity },
            Err(rejected) => Decision::Refuse(not_signed_in(&rejected, cookie), Some(rejected)),
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
    match (required, verdict) {
        (Some(route), Some(Ok(identity))) if !route.allow.admit(&identity) => {
            Decision::Refuse(Refusal::NotAllowed, None)
        }
        (_, Some(Ok(identity))) => Decision::Forward { route, identity: Some(identity) },
        (None, Some(Err(_)) | None) => Decision::Forward { route, identity: None },
        (Some(route), verdict) => {
            let rejected = verdict.and_then(Result::err).unwrap_or_else(none_asked);
            match (&route.sign_in, view.audience()) {
                (Some(sign_in), Audience::Navigation) => {
                    let target = view.query.map_or_else(
                        || view.path.to_owned(),
                        |query| format!("{}?{query}", view.path),
                    );
                    Decision::Answer(Reply::see_other(&sign_in.location(&target)), rejected)
                }
                _ => Decision::Refuse(not_signed_in(&rejected, cookie), Some(rejected)),
            }
        }
    }
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
