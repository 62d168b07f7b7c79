//! The stable identifiers of refusals.

use crate::base::names::names;

/// The name of a refusal in bodies, logs, metrics and settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    BadRequest,
    CrossSite,
    IssuerFailed,
    MethodNotAllowed,
    Misdirected,
    NotAllowed,
    NotFound,
    NotSignedIn,
    SessionExpired,
    Timeout,
    TooLarge,
    TooManyRequests,
    Unavailable,
    UpstreamFailed,
}

names!(Code {
    BadRequest = "bad_request",
    CrossSite = "cross_site",
    IssuerFailed = "issuer_failed",
    MethodNotAllowed = "method_not_allowed",
    Misdirected = "misdirected",
    NotAllowed = "not_allowed",
    NotFound = "not_found",
    NotSignedIn = "not_signed_in",
    SessionExpired = "session_expired",
    Timeout = "timeout",
    TooLarge = "too_large",
    TooManyRequests = "too_many_requests",
    Unavailable = "unavailable",
    UpstreamFailed = "upstream_failed",
});
