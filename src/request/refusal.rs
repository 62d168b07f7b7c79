//! What a client is told: the only place that picks a status or an error body.
//!
//! A `Refusal` is why a request goes no further. Its public half (status, code,
//! title, detail) is one table here and never says why a cookie failed; the
//! precise cause goes to the log. Bodies are `application/problem+json`
//! (RFC 9457) with a stable `code`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::base::units::whole_seconds;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request, or an input in it, cannot be understood in one way only.
    BadRequest(&'static str),
    /// Whoever must be asked wants to be asked again later.
    Busy(Duration),
    CrossSite,
    /// The app has as many requests as it is to have.
    Full,
    IssuerFailed,
    MethodNotAllowed(String),
    NotAllowed,
    /// The cookie's name, for `WWW-Authenticate`.
    NotSignedIn(String),
    SessionExpired(String),
    Timeout,
    TooLarge(Part),
    TooMany {
        retry_after: Duration,
        policy: HeaderValue,
        left: HeaderValue,
    },
    Unavailable,
    UpstreamFailed,
}

/// What was too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Body,
    Headers,
    Target,
}

/// The public face of a refusal.
struct Face {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
}

/// Who is asking: a page being opened, or a script.
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
    fn face(&self) -> Face {
        let (status, code, detail) = match self {
            Self::BadRequest(detail) => (StatusCode::BAD_REQUEST, "bad_request", *detail),
            Self::Busy(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "the session cannot be checked now; wait as long as Retry-After says",
            ),
            Self::CrossSite => (
                StatusCode::FORBIDDEN,
                "cross_site",
                "requests from another site are not answered here",
            ),
            Self::Full => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the app is busy; wait as long as Retry-After says",
            ),
            Self::IssuerFailed => (
                StatusCode::BAD_GATEWAY,
                "issuer_failed",
                "the token's issuer gave no usable answer",
            ),
            Self::MethodNotAllowed(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this address does not answer to that method",
            ),
            Self::NotAllowed => {
                (StatusCode::FORBIDDEN, "not_allowed", "the signed-in user may not do this")
            }
            Self::NotSignedIn(_) => {
                (StatusCode::UNAUTHORIZED, "not_signed_in", "there is no valid session")
            }
            Self::SessionExpired(_) => {
                (StatusCode::UNAUTHORIZED, "session_expired", "the session has expired")
            }
            Self::Timeout => {
                (StatusCode::GATEWAY_TIMEOUT, "timeout", "the app did not answer in time")
            }
            Self::TooLarge(Part::Body) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the request body is too large")
            }
            Self::TooLarge(Part::Headers) => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "too_large",
                "the request headers are too large",
            ),
            Self::TooLarge(Part::Target) => {
                (StatusCode::URI_TOO_LONG, "too_large", "the request target is too long")
            }
            Self::TooMany { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "the limit is used up; wait as long as Retry-After says",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "something this answer depends on is not available",
            ),
            Self::UpstreamFailed => {
                (StatusCode::BAD_GATEWAY, "upstream_failed", "the app gave no usable answer")
            }
        };
        Face { status, code, detail }
    }

    /// The stable identifier of this refusal, in bodies, logs and metrics.
    pub fn code(&self) -> &'static str {
        self.face().code
    }

    pub fn status(&self) -> StatusCode {
        self.face().status
    }

    /// The refusal as an answer; pages being opened get HTML, scripts JSON.
    pub fn reply(&self, audience: Audience) -> Reply {
        self.reply_as(self.status(), audience)
    }

    /// As `reply`, with a status somebody chose for this code.
    pub fn reply_as(&self, status: StatusCode, audience: Audience) -> Reply {
        let face = Face { status, ..self.face() };
        let (content_type, body) = match audience {
            Audience::Navigation => ("text/html; charset=utf-8", face.html()),
            Audience::Script => ("application/problem+json", face.json()),
        };
        let content_type = HeaderValue::from_static(content_type);
        let mut reply = Reply::new(face.status, content_type, Bytes::from(body));
        match self {
            Self::Busy(retry_after) => {
                reply.push(header::RETRY_AFTER, &whole_seconds(*retry_after).max(1).to_string());
            }
            Self::Full => reply.push(header::RETRY_AFTER, "1"),
            Self::MethodNotAllowed(allow) => reply.push(header::ALLOW, allow),
            // A challenge belongs to 401 alone (RFC 9110 section 11.6.1).
            Self::NotSignedIn(cookie) | Self::SessionExpired(cookie)
                if status == StatusCode::UNAUTHORIZED =>
            {
                reply.push(header::WWW_AUTHENTICATE, &format!("Cookie cookie-name=\"{cookie}\""));
            }
            Self::TooMany { retry_after, policy, left } => {
                reply.push(header::RETRY_AFTER, &whole_seconds(*retry_after).max(1).to_string());
                reply.headers.insert(RATELIMIT_POLICY, policy.clone());
                reply.headers.insert(RATELIMIT, left.clone());
            }
            Self::BadRequest(_)
            | Self::CrossSite
            | Self::IssuerFailed
            | Self::NotAllowed
            | Self::NotSignedIn(_)
            | Self::SessionExpired(_)
            | Self::Timeout
            | Self::TooLarge(_)
            | Self::Unavailable
            | Self::UpstreamFailed => {}
        }
        reply
    }
}

pub const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// draft-ietf-httpapi-ratelimit-headers.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

impl Face {
    fn json(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let (status, code, detail) = (self.status.as_u16(), self.code, self.detail);
        // Every part is a constant without characters that JSON escapes.
        format!(
            r#"{{"type":"about:blank","title":"{title}","status":{status},"code":"{code}","detail":"{detail}"}}"#
        )
    }

    fn html(&self) -> String {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let (status, code, detail) = (self.status.as_u16(), self.code, self.detail);
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{status} {title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><h1>{title}</h1><p>{detail}.</p>\
             <p><small>{status} {code}</small></p></html>\n"
        )
    }
}

/// Fields of a token's answer, with those the framework adds.
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

    /// A text that is everybody's and may be stored.
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

    fn all() -> Vec<Refusal> {
        vec![
            Refusal::BadRequest("why"),
            Refusal::CrossSite,
            Refusal::IssuerFailed,
            Refusal::MethodNotAllowed("GET, POST".into()),
            Refusal::NotAllowed,
            Refusal::NotSignedIn("sid".into()),
            Refusal::SessionExpired("sid".into()),
            Refusal::Timeout,
            Refusal::TooLarge(Part::Body),
            Refusal::TooLarge(Part::Headers),
            Refusal::TooLarge(Part::Target),
            Refusal::TooMany {
                retry_after: Duration::from_millis(1_200),
                policy: HeaderValue::from_static(""),
                left: HeaderValue::from_static(""),
            },
            Refusal::Unavailable,
            Refusal::UpstreamFailed,
            Refusal::Busy(Duration::from_secs(3)),
        ]
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
            assert_eq!(body["code"], refusal.code());
            assert_eq!(field(&reply, "cache-control").as_deref(), Some("no-store"));
            assert_eq!(field(&reply, "content-type").as_deref(), Some("application/problem+json"));
        }
    }

    #[test]
    fn retry_after_is_whole_seconds_rounded_up() {
        let reply = all()[11].reply(Audience::Script);
        assert_eq!(field(&reply, "retry-after").as_deref(), Some("2"));
    }

    #[test]
    fn refusals_of_the_session_name_the_cookie() {
        let reply = Refusal::NotSignedIn("sid".into()).reply(Audience::Script);
        assert_eq!(
            field(&reply, "www-authenticate").as_deref(),
            Some("Cookie cookie-name=\"sid\"")
        );
    }
}
