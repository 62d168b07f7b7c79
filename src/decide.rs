//! Decides what to do with a request: pure, top-down.
//!
//! Two steps, because between them a server may have to be asked who the user is.
//! `plan` needs only the request; `decide` also needs the verdict on the session.
//! Nothing here awaits, locks, logs or reads a clock.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

use crate::mint::well_known::WellKnown;
use crate::policy::{
    AnsweredBy, Intent, Policy, RouteSet, Rule, SessionRule, TokenRoute, WebOrigin,
};
use crate::request::client::Scheme;
use crate::request::refusal::{Audience, PLAIN_TEXT, Refusal, Reply};
use crate::request::rules::{Met, RulesUnfit};
use crate::request::view::{RequestView, SEC_FETCH_SITE};
use crate::session::{Credential, Identity, Reason, Rejected, Unanswered, Verdict, none_asked};

/// Where a request is going, as far as it can be said without its session.
pub(crate) enum Plan<'p> {
    /// A preflight, answered here.
    Answer(Reply),
    /// As the plan inside, if the session comes in a way in which no other site can make
    /// a browser send it.
    Deliberate(Box<Self>),
    Forward(RouteSet),
    Issue(&'p Arc<TokenRoute>),
    /// A public document: JWKS or OpenID configuration.
    Publish(&'p WellKnown),
    Refuse(Refusal),
}

/// The decision about a request.
pub(crate) enum Decision<'p> {
    /// A page without a session is sent to the app's sign-in page.
    Answer(Reply, Rejected),
    Forward {
        routes: RouteSet,
        identity: Option<Arc<Identity>>,
    },
    Issue {
        token: &'p Arc<TokenRoute>,
        identity: Arc<Identity>,
    },
    Publish(&'p WellKnown),
    Refuse(Refusal, Option<Rejected>),
}

impl Plan<'_> {
    /// Whether the request goes to the app, or to the upstream that its route names.
    pub(crate) fn forwards(&self) -> bool {
        match self {
            Self::Deliberate(plan) => plan.forwards(),
            Self::Forward(_) => true,
            Self::Answer(_) | Self::Issue(_) | Self::Publish(_) | Self::Refuse(_) => false,
        }
    }

    /// Whether `decide` needs a verdict.
    pub(crate) fn needs_session(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Publish(_) | Self::Refuse(_) => false,
            Self::Forward(routes) => routes.session() != SessionRule::Off,
            Self::Deliberate(_) | Self::Issue(_) => true,
        }
    }
}

/// Finds the rules and checks what can be checked without a session: method and where the
/// request comes from. The rule returned names the request in logs.
pub(crate) fn plan<'p>(policy: &'p Policy, view: &RequestView<'_>) -> (Plan<'p>, Option<&'p Rule>) {
    let own = policy.own(view.path);
    let plan = match own {
        Some(Rule::Published(what, ..)) if [Method::GET, Method::HEAD].contains(view.method) => {
            Plan::Publish(what)
        }
        Some(Rule::Published(..)) => Plan::Refuse(Refusal::MethodNotAllowed("GET, HEAD".into())),
        Some(Rule::Token(token, _)) if token.answered_by == AnsweredBy::App => {
            return plan_forward(policy, view);
        }
        Some(Rule::Token(token, _)) => plan_token(policy, token, view),
        Some(Rule::Route(_)) | None if policy.forwards() => return plan_forward(policy, view),
        Some(Rule::Route(_)) | None => Plan::Refuse(Refusal::NotFound),
    };
    (plan, own)
}

/// As `plan`, for a request that another proxy asks about. It forwards tokens' paths to the
/// gateway and everything else to the app; to the rules, all of them are pages.
pub(crate) fn plan_question<'p>(
    policy: &'p Policy,
    view: &RequestView<'_>,
) -> (Plan<'p>, Option<&'p Rule>) {
    let (plan, rule) = plan_forward(policy, view);
    match plan {
        // What the app answers to a preflight cannot be kept to its head from here.
        Plan::Forward(routes) if routes.hides_body() => (Plan::Refuse(Refusal::NotSignedIn), rule),
        plan => (plan, rule),
    }
}

fn plan_forward<'p>(policy: &'p Policy, view: &RequestView<'_>) -> (Plan<'p>, Option<&'p Rule>) {
    let preflight = view.preflight();
    let met = match (policy.met(view, view.method), &preflight) {
        // It is about another request, whose method counts as well.
        (Err(RulesUnfit::WrongMethod(_)), Some(method)) => policy.met(view, method),
        (met, _) => met,
    };
    let met: Met<'p, Rule> = match met {
        Ok(met) => met,
        Err(unfit) => return (Plan::Refuse(refuse_unfit(&unfit)), None),
    };
    let intent = match preflight {
        Some(_) => Intent::Preflight,
        None if met.all().any(Rule::has_tokens) && view.is_prefetch() => Intent::Prefetch,
        None => Intent::Answer,
    };
    let (rule, routes) = (met.all().next(), RouteSet::new(&met, intent));
    // Another site must not spend the key on behalf of a user signed in here.
    if routes.vendor_api().is_some() && is_from_elsewhere(policy, view, &[]) {
        return (from_elsewhere(policy, Plan::Forward(routes), view), rule);
    }
    (Plan::Forward(routes), rule)
}

/// A request from another site is refused before anything is asked about its cookies. A
/// header that only the client's own code adds has its say first.
fn from_elsewhere<'p>(policy: &Policy, plan: Plan<'p>, view: &RequestView<'_>) -> Plan<'p> {
    if policy.may_be_deliberate(view.cookies()) {
        Plan::Deliberate(Box::new(plan))
    } else {
        Plan::Refuse(Refusal::CrossSite)
    }
}

fn refuse_unfit(unfit: &RulesUnfit) -> Refusal {
    match unfit {
        RulesUnfit::Control => {
            Refusal::BadRequest("the path contains an escaped control character")
        }
        RulesUnfit::Elsewhere => {
            Refusal::BadRequest("the path can also be read as a path of another upstream")
        }
        RulesUnfit::TooMany => Refusal::BadRequest("the path can be read in too many ways"),
        RulesUnfit::WrongMethod(methods) => {
            let methods = methods.iter().map(Method::as_str).collect::<Vec<_>>();
            Refusal::MethodNotAllowed(methods.join(", "))
        }
    }
}

/// The plan of a request that the gateway would answer itself if this token were not in
/// shadow mode.
pub(crate) fn plan_token<'p>(
    policy: &'p Policy,
    token: &'p Arc<TokenRoute>,
    view: &RequestView<'_>,
) -> Plan<'p> {
    let preflight = view.method == Method::OPTIONS
        && view.header(&header::ACCESS_CONTROL_REQUEST_METHOD).is_some();
    if preflight {
        let listed = |origin| token.origin(origin).or_else(|| policy.public_origins.find(origin));
        let origin = view.origin().and_then(listed);
        return origin.map_or(Plan::Refuse(Refusal::CrossSite), |origin| {
            Plan::Answer(preflight_reply(token, origin, view))
        });
    }
    if !token.answers(view.method) {
        return Plan::Refuse(Refusal::MethodNotAllowed(token.allow.clone()));
    }
    if is_from_elsewhere(policy, view, &token.origins) {
        return from_elsewhere(policy, Plan::Issue(token), view);
    }
    Plan::Issue(token)
}

/// Whether the request comes from a site that is neither ours nor allowed. `Origin`
/// decides where browsers send it; Fetch metadata covers the rest (plain GETs, old
/// forms).
pub(crate) fn is_from_elsewhere(
    policy: &Policy,
    view: &RequestView<'_>,
    allowed: &[WebOrigin],
) -> bool {
    // Browsers send neither twice; the second could contradict the first.
    if view.is_repeated(&header::ORIGIN) || view.is_repeated(&SEC_FETCH_SITE) {
        return true;
    }
    let (origin, own) = (view.header(&header::ORIGIN), &policy.public_origins);
    let is_listed =
        |origin| own.find(origin).is_some() || allowed.iter().any(|allowed| allowed.is(origin));
    if origin.is_some_and(is_listed) {
        return false;
    }
    let foreign_origin = origin.is_some_and(|origin| !own.is_empty() || !is_own(origin, view));
    let foreign_fetch =
        view.header(&SEC_FETCH_SITE).is_some_and(|site| site != b"same-origin" && site != b"none");
    foreign_origin || foreign_fetch
}

/// The origin of another host that may read the answer: one that the token lists, or the
/// app's own if its page has asked the gateway's host directly.
pub(crate) fn reader<'p>(
    policy: &'p Policy,
    rule: Option<&'p Rule>,
    view: &RequestView<'_>,
) -> Option<&'p WebOrigin> {
    let Some(Rule::Token(token, _)) = rule else { return None };
    let origin = view.origin()?;
    let site = view.header(&SEC_FETCH_SITE);
    let asks_directly = site.is_some_and(|site| site == b"same-site" || site == b"cross-site");
    let own = || policy.public_origins.find(origin).filter(|_| asks_directly);
    token.origin(origin).or_else(own)
}

/// Whether an origin names the host the request was sent to. Behind a TLS terminator
/// the gateway sees plain HTTP, which says nothing about the page; but a page that
/// came in the clear is not part of a site known to use https.
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

fn preflight_reply(token: &TokenRoute, origin: &WebOrigin, view: &RequestView<'_>) -> Reply {
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
pub(crate) fn cors(reply: &mut Reply, origin: &WebOrigin) {
    reply.push(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.as_str());
    reply.push(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    reply.push(header::ACCESS_CONTROL_EXPOSE_HEADERS, "RateLimit, RateLimit-Policy, Retry-After");
    reply.headers.insert(header::VARY, HeaderValue::from_static("Cookie, Origin"));
}

/// Decides with the verdict on the session, which is `None` where the plan did not
/// need one.
pub(crate) fn decide<'p>(
    plan: Plan<'p>,
    verdict: Option<Verdict>,
    credential: Credential,
    view: &RequestView<'_>,
) -> Decision<'p> {
    match plan {
        Plan::Answer(reply) => Decision::Answer(reply, none_asked()),
        Plan::Deliberate(plan) => match verdict {
            Some(Verdict::Known(..)) if credential == Credential::Deliberate => {
                decide(*plan, verdict, credential, view)
            }
            Some(Verdict::Known(..)) | None => Decision::Refuse(Refusal::CrossSite, None),
            Some(Verdict::Nobody(why)) => Decision::Refuse(not_signed_in(&why), Some(why)),
            Some(Verdict::Unknown(unanswered)) => refuse_unknown(&unanswered),
        },
        Plan::Publish(what) => Decision::Publish(what),
        Plan::Refuse(refusal) => Decision::Refuse(refusal, None),
        Plan::Issue(token) => match verdict.unwrap_or_else(|| Verdict::Nobody(none_asked())) {
            Verdict::Known(identity, _) => Decision::Issue { token, identity },
            Verdict::Nobody(rejected) => Decision::Refuse(not_signed_in(&rejected), Some(rejected)),
            Verdict::Unknown(unanswered) => refuse_unknown(&unanswered),
        },
        Plan::Forward(routes) => decide_forward(routes, verdict, view),
    }
}

fn decide_forward<'p>(
    routes: RouteSet,
    verdict: Option<Verdict>,
    view: &RequestView<'_>,
) -> Decision<'p> {
    let is_required = routes.session() == SessionRule::Required;
    let rejected = match (is_required, verdict) {
        (true, Some(Verdict::Known(identity, _))) if !routes.admits(&identity) => {
            return Decision::Refuse(Refusal::NotAllowed, None);
        }
        (_, Some(Verdict::Known(identity, _))) => {
            return Decision::Forward { routes, identity: Some(identity) };
        }
        (false, Some(Verdict::Nobody(_) | Verdict::Unknown(_)) | None) => {
            return Decision::Forward { routes, identity: None };
        }
        (true, Some(Verdict::Unknown(unanswered))) => return refuse_unknown(&unanswered),
        (true, Some(Verdict::Nobody(rejected))) => rejected,
        (true, None) => none_asked(),
    };
    match (routes.sign_in(), view.audience()) {
        (Some(sign_in), Audience::Navigation) => {
            let target = view
                .query
                .map_or_else(|| view.path.to_owned(), |query| format!("{}?{query}", view.path));
            Decision::Answer(Reply::see_other(&sign_in.location(&target)), rejected)
        }
        _ => Decision::Refuse(not_signed_in(&rejected), Some(rejected)),
    }
}

/// Signing in again would not help, so the user is not sent to do it.
fn refuse_unknown<'p>(unanswered: &Unanswered) -> Decision<'p> {
    let refusal = unanswered.retry_after.map_or(Refusal::Unavailable, Refusal::Busy);
    Decision::Refuse(refusal, None)
}

/// Only an expired session is told apart, so that a page can refresh it and try
/// again; every other reason looks the same from outside.
fn not_signed_in(rejected: &Rejected) -> Refusal {
    match rejected.reason {
        Reason::Expired => Refusal::SessionExpired,
        _ => Refusal::NotSignedIn,
    }
}

#[cfg(test)]
mod tests;
