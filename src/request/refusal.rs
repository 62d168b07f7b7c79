//! Refusals as responses: the only place that picks a status or an error body.
//!
//! A `Refusal` is why a request goes no further. Its public half (status, code,
//! detail) is one table here and never says why a cookie failed; the precise cause
//! goes to the log. Bodies are `application/problem+json` (RFC 9457) with a stable
//! `code`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::code::Code;
use crate::base::units::whole_seconds;
use crate::limit::{Denied, Exceeded, Limit};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request, or an input in it, cannot be understood in one way only.
    BadRequest(&'static str),
    /// The session authority answered 429.
    Busy(Duration),
    CrossSite,
    /// The app is at its concurrency limit.
    Full,
    IssuerFailed,
    MethodNotAllowed(String),
    /// The request is for a host that is not listed.
    Misdirected,
    NotAllowed,
    /// There is no app to forward it to.
    NotFound,
    NotSignedIn,
    /// A proxy asks for the words of a refusal, and the request may pass by now.
    Reconsidered,
    SessionExpired,
    Timeout,
    TooLarge(RequestPart),
    TooMany {
        retry_after: Duration,
        policy: HeaderValue,
        left: HeaderValue,
    },
    Unavailable,
    /// The limit cannot be checked, and its settings say to refuse then.
    Uncounted,
    /// A question about a request, from an address that may not ask.
    Untrusted,
    UpstreamFailed,
}

/// The part that was too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestPart {
    Body,
    Headers,
    Target,
}

/// The public half of a refusal.
struct PublicError {
    status: StatusCode,
    code: Code,
    detail: &'static str,
}

/// The reader of the answer: a page being opened, or a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    Navigation,
    Script,
}

/// A complete answer, made here and sent by the shell.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Refusal {
    fn public(&self) -> PublicError {
        let (status, code, detail) = match self {
            Self::BadRequest(detail) => (StatusCode::BAD_REQUEST, Code::BadRequest, *detail),
            Self::Busy(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                Code::TooManyRequests,
                "the session cannot be checked now; wait as long as Retry-After says",
            ),
            Self::CrossSite => (
                StatusCode::FORBIDDEN,
                Code::CrossSite,
                "requests from another site are not answered here",
            ),
            Self::Full => (
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                "the app is busy; wait as long as Retry-After says",
            ),
            Self::IssuerFailed => (
                StatusCode::BAD_GATEWAY,
                Code::IssuerFailed,
                "the token issuer's answer is unusable",
            ),
            Self::MethodNotAllowed(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                Code::MethodNotAllowed,
                "this address does not accept that method",
            ),
            Self::Misdirected => {
                (StatusCode::MISDIRECTED_REQUEST, Code::Misdirected, "this host is not served here")
            }
            Self::NotAllowed => {
                (StatusCode::FORBIDDEN, Code::NotAllowed, "the signed-in user may not do this")
            }
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                Code::NotFound,
                "there is no token and no document at this address",
            ),
            Self::NotSignedIn => {
                (StatusCode::UNAUTHORIZED, Code::NotSignedIn, "there is no valid session")
            }
            Self::Reconsidered => (
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                "the proxy in front took this request for a refused one, and it may pass; try again",
            ),
            Self::SessionExpired => {
                (StatusCode::UNAUTHORIZED, Code::SessionExpired, "the session has expired")
            }
            Self::Timeout => (
                StatusCode::GATEWAY_TIMEOUT,
                Code::Timeout,
                "a server that this answer depends on did not answer in time",
            ),
            Self::TooLarge(RequestPart::Body) => {
                (StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, "the request body is too large")
            }
            Self::TooLarge(RequestPart::Headers) => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Code::TooLarge,
                "the request headers are too large",
            ),
            Self::TooLarge(RequestPart::Target) => {
                (StatusCode::URI_TOO_LONG, Code::TooLarge, "the request target is too long")
            }
            Self::TooMany { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                Code::TooManyRequests,
                "the limit is used up; wait as long as Retry-After says",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                "something this answer depends on is not available",
            ),
            Self::Uncounted => (
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                "the limit cannot be checked now; wait as long as Retry-After says",
            ),
            Self::Untrusted => (
                StatusCode::FORBIDDEN,
                Code::NotAllowed,
                "this client may not ask about requests: auth.trusted does not list its address",
            ),
            Self::UpstreamFailed => {
                (StatusCode::BAD_GATEWAY, Code::UpstreamFailed, "the app's answer is unusable")
            }
        };
        PublicError { status, code, detail }
    }

    /// The request is over a limit.
    pub fn too_many(limit: &Limit, exceeded: &Exceeded) -> Self {
        Self::TooMany {
            retry_after: exceeded.retry_after,
            policy: limit.policy_header().clone(),
            left: exceeded.header(limit),
        }
    }

    /// The request is not admitted by a limit.
    pub(crate) fn denied(limit: &Limit, denied: &Denied) -> Self {
        match denied {
            Denied::Exceeded(exceeded) => Self::too_many(limit, exceeded),
            Denied::Uncounted => Self::Uncounted,
        }
    }

    pub fn code(&self) -> Code {
        self.public().code
    }

    pub fn status(&self) -> StatusCode {
        self.public().status
    }

    /// The refusal as an answer: HTML for a page being opened, JSON for a script.
    pub fn reply(&self, audience: Audience) -> Reply {
        self.reply_as(self.status(), audience)
    }

    /// As `reply`, with the status that the settings choose for this code.
    pub fn reply_as(&self, status: StatusCode, audience: Audience) -> Reply {
        let public = PublicError { status, ..self.public() };
        let (content_type, body) = match audience {
            Audience::Navigation => ("text/html; charset=utf-8", public.html()),
            Audience::Script => ("application/problem+json", public.json()),
        };
        let content_type = HeaderValue::from_static(content_type);
        let mut reply = Reply::new(public.status, content_type, Bytes::from(body));
        match self {
            Self::Busy(retry_after) => {
                reply.push_retry_after(*retry_after);
            }
            Self::Full | Self::Reconsidered | Self::Uncounted => {
                reply.push(header::RETRY_AFTER, "1")
            }
            Self::MethodNotAllowed(allow) => reply.push(header::ALLOW, allow),
            Self::TooMany { retry_after, policy, left } => {
                reply.push_retry_after(*retry_after);
                reply.headers.insert(RATELIMIT_POLICY, policy.clone());
                reply.headers.insert(RATELIMIT, left.clone());
            }
            Self::BadRequest(_)
            | Self::CrossSite
            | Self::IssuerFailed
            | Self::Misdirected
            | Self::NotAllowed
            | Self::NotFound
            | Self::NotSignedIn
            | Self::SessionExpired
            | Self::Timeout
            | Self::TooLarge(_)
            | Self::Unavailable
            | Self::Untrusted
            | Self::UpstreamFailed => {}
        }
        reply
    }
}

pub(crate) const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// draft-ietf-httpapi-ratelimit-headers.
pub(crate) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

impl PublicError {
    fn json(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let (status, code, detail) = (self.status.as_u16(), self.code.as_str(), self.detail);
        // Each part is a constant without characters that JSON escapes.
        format!(
            r#"{{"type":"about:blank","title":"{title}","status":{status},"code":"{code}","detail":"{detail}"}}"#
        )
    }

    fn html(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let (status, code, detail) = (self.status.as_u16(), self.code.as_str(), self.detail);
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{status} {title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><h1>{title}</h1><p>{detail}.</p>\
             <p><small>{status} {code}</small></p></html>\n"
        )
    }
}

/// Header fields of a token's answer, including those the framework adds.
const USUAL_HEADERS: usize = 9;

impl Reply {
    /// An answer of our own: never stored, never sniffed.
    pub fn new(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Self {
        let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::VARY, HeaderValue::from_static("Cookie"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Self { status, headers, body }
    }

    /// A public text, which caches may store.
    pub fn public(status: StatusCode, kind: HeaderValue, cache: HeaderValue, body: Bytes) -> Self {
        let mut reply = Self::new(status, kind, body);
        reply.headers.insert(header::CACHE_CONTROL, cache);
        reply.headers.remove(header::VARY);
        reply
    }

    /// Adds a field; a value that cannot stand in a header is left out.
    pub fn push(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
    }

    /// Says when to try again, in whole seconds, rounded up.
    pub(crate) fn push_retry_after(&mut self, wait: Duration) {
        self.push(header::RETRY_AFTER, &whole_seconds(wait).max(1).to_string());
    }

    /// Says which cookie or header would sign in. A challenge belongs to 401 alone (RFC
    /// 9110 section 11.6.1).
    pub fn challenge(&mut self, challenge: &str) {
        if self.status == StatusCode::UNAUTHORIZED {
            self.push(header::WWW_AUTHENTICATE, challenge);
        }
    }

    /// A redirect of a page being opened to a path on this site.
    pub fn see_other(location: &str) -> Self {
        let mut reply = Self::new(StatusCode::SEE_OTHER, PLAIN_TEXT, Bytes::new());
        reply.push(header::LOCATION, location);
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each. A new variant does not compile until it has an arm here, and is
    /// in the list once the arm before it leads to it.
    fn all() -> Vec<Refusal> {
        let next = |refusal: &Refusal| {
            Some(match refusal {
                Refusal::BadRequest(_) => Refusal::Busy(Duration::from_secs(3)),
                Refusal::Busy(_) => Refusal::CrossSite,
                Refusal::CrossSite => Refusal::Full,
                Refusal::Full => Refusal::IssuerFailed,
                Refusal::IssuerFailed => Refusal::MethodNotAllowed("GET, POST".into()),
                Refusal::MethodNotAllowed(_) => Refusal::Misdirected,
                Refusal::Misdirected => Refusal::NotAllowed,
                Refusal::NotAllowed => Refusal::NotFound,
                Refusal::NotFound => Refusal::NotSignedIn,
                Refusal::NotSignedIn => Refusal::Reconsidered,
                Refusal::Reconsidered => Refusal::SessionExpired,
                Refusal::SessionExpired => Refusal::Timeout,
                Refusal::Timeout => Refusal::TooLarge(RequestPart::Body),
                Refusal::TooLarge(RequestPart::Body) => Refusal::TooLarge(RequestPart::Headers),
                Refusal::TooLarge(RequestPart::Headers) => Refusal::TooLarge(RequestPart::Target),
                Refusal::TooLarge(RequestPart::Target) => too_many(Duration::from_millis(1_200)),
                Refusal::TooMany { .. } => Refusal::Unavailable,
                Refusal::Unavailable => Refusal::Uncounted,
                Refusal::Uncounted => Refusal::Untrusted,
                Refusal::Untrusted => Refusal::UpstreamFailed,
                Refusal::UpstreamFailed => return None,
            })
        };
        std::iter::successors(Some(Refusal::BadRequest("why")), next).collect()
    }

    fn too_many(retry_after: Duration) -> Refusal {
        let empty = HeaderValue::from_static("");
        Refusal::TooMany { retry_after, policy: empty.clone(), left: empty }
    }

    fn field(reply: &Reply, name: &str) -> Option<String> {
        Some(reply.headers.get(name)?.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_refusal_is_a_problem_with_its_status_and_code_and_is_never_stored() {
        for refusal in all() {
            let reply = refusal.reply(Audience::Script);
            let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(body["status"], reply.status.as_u16());
            assert_eq!(body["code"], refusal.code().as_str());
            assert_eq!(field(&reply, "cache-control").as_deref(), Some("no-store"));
            assert_eq!(field(&reply, "content-type").as_deref(), Some("application/problem+json"));
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_rounded_up() {
        let reply = too_many(Duration::from_millis(1_200)).reply(Audience::Script);
        assert_eq!(field(&reply, "retry-after").as_deref(), Some("2"));
    }

    #[test]
    fn only_a_401_names_the_cookie_that_would_sign_in() {
        let challenged = |status| {
            let mut reply = Refusal::NotSignedIn.reply_as(status, Audience::Script);
            reply.challenge("Cookie cookie-name=\"sid\"");
            field(&reply, "www-authenticate")
        };
        let expected = "Cookie cookie-name=\"sid\"";
        assert_eq!(challenged(StatusCode::UNAUTHORIZED).as_deref(), Some(expected));
        assert_eq!(challenged(StatusCode::FORBIDDEN), None);
    }
}
