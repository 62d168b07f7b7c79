//! What to do with a request: pure, top-down.
//!
//! Two steps, because between them a server may have to be asked who the user is.
//! `plan` needs only the request; `decide` also needs the verdict on the session.
//! Nothing here awaits, locks, logs or reads a clock.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

use crate::mint::well_known::Published;
use crate::policy::{Policy, Route, Rule, SessionRule, TokenRoute, WebOrigin, rule_for};
use crate::request::client::Scheme;
use crate::request::refusal::{Audience, PLAIN_TEXT, Refusal, Reply};
use crate::request::view::{RequestView, SEC_FETCH_SITE};
use crate::session::{Identity, Reason, Rejected, Unanswered, Verdict, none_asked};

/// Where a request is going, as far as it can be said without its session.
pub enum Plan<'p> {
    /// A preflight, answered here.
    Answer(Reply),
    Forward(Option<&'p Arc<Route>>),
    Issue(&'p Arc<TokenRoute>),
    /// A public document: JWKS or OpenID configuration.
    Publish(&'p Published),
    Refuse(Refusal),
}

/// What to do with a request.
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

impl Plan<'_> {
    /// Whether the request goes to the app, or to the upstream that its route names.
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
        // Another site must not spend the key on behalf of a user signed in here.
        Some(Rule::Route(route)) if route.vendor_api.is_some() && is_from_elsewhere(view, &[]) => {
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

/// Whether the request comes from a site that is neither ours nor allowed. `Origin`
/// decides where browsers send it; Fetch metadata covers the rest (plain GETs, old
/// forms).
fn is_from_elsewhere(view: &RequestView<'_>, allowed: &[WebOrigin]) -> bool {
    // Browsers send neither twice; the second could contradict the first.
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
pub fn cors(reply: &mut Reply, origin: &WebOrigin) {
    reply.push(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.as_str());
    reply.push(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    reply.push(header::ACCESS_CONTROL_EXPOSE_HEADERS, "RateLimit, RateLimit-Policy, Retry-After");
    reply.headers.insert(header::VARY, HeaderValue::from_static("Cookie, Origin"));
}

/// Decides with the verdict on the session, which is `None` where the plan did not
/// need one.
pub fn decide<'p>(
    plan: Plan<'p>,
    verdict: Option<Verdict>,
    view: &RequestView<'_>,
) -> Decision<'p> {
    match plan {
        Plan::Answer(reply) => Decision::Answer(reply, none_asked()),
        Plan::Publish(what) => Decision::Publish(what),
        Plan::Refuse(refusal) => Decision::Refuse(refusal, None),
        Plan::Issue(token) => match verdict.unwrap_or_else(|| Verdict::Nobody(none_asked())) {
            Verdict::Known(identity, _) => Decision::Issue { token, identity },
            Verdict::Nobody(rejected) => Decision::Refuse(not_signed_in(&rejected), Some(rejected)),
            Verdict::Unknown(unanswered) => refuse_unknown(&unanswered),
        },
        Plan::Forward(route) => decide_forward(route, verdict, view),
    }
}

fn decide_forward<'p>(
    route: Option<&'p Arc<Route>>,
    verdict: Option<Verdict>,
    view: &RequestView<'_>,
) -> Decision<'p> {
    let required = route.filter(|route| route.session == SessionRule::Required);
    let rejected = match (required, verdict) {
        (Some(route), Some(Verdict::Known(identity, _)))
            if !route.allow.admit(identity.session()) =>
        {
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
