//! The stable identifiers of refusals.

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

impl Code {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::CrossSite => "cross_site",
            Self::IssuerFailed => "issuer_failed",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Misdirected => "misdirected",
            Self::NotAllowed => "not_allowed",
            Self::NotFound => "not_found",
            Self::NotSignedIn => "not_signed_in",
            Self::SessionExpired => "session_expired",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::TooManyRequests => "too_many_requests",
            Self::Unavailable => "unavailable",
            Self::UpstreamFailed => "upstream_failed",
        }
    }
}
