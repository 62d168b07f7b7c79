//! Why no token was made: a stable code for the caller, a cause for the log.

use std::borrow::Cow;
use std::fmt;

use crate::request::code::Code;

/// A refusal. Its text is for the operator's log: it names fields and settings,
/// never values, keys or tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MintError {
    /// A request input is missing, malformed or outside its character set.
    BadRequest(Cow<'static, str>),
    /// The remote issuer answered with an error, or with something other than a token.
    IssuerFailed(Cow<'static, str>),
    /// Session, grant or pattern does not allow this token.
    NotAllowed(Cow<'static, str>),
    /// The app, asked for grants, no longer knows the session.
    NotSignedIn(Cow<'static, str>),
    /// The session ends before a useful token could.
    SessionExpired(Cow<'static, str>),
    /// A temporary failure: the issuer is busy, or the system has no randomness.
    Unavailable(Cow<'static, str>),
}

impl MintError {
    /// The code callers see.
    pub const fn code(&self) -> &'static str {
        let code = match self {
            Self::BadRequest(_) => Code::BadRequest,
            Self::IssuerFailed(_) => Code::IssuerFailed,
            Self::NotAllowed(_) => Code::NotAllowed,
            Self::NotSignedIn(_) => Code::NotSignedIn,
            Self::SessionExpired(_) => Code::SessionExpired,
            Self::Unavailable(_) => Code::Unavailable,
        };
        code.as_str()
    }

    pub(super) fn not_allowed(cause: impl Into<Cow<'static, str>>) -> Self {
        Self::NotAllowed(cause.into())
    }

    pub(super) fn bad_request(cause: impl Into<Cow<'static, str>>) -> Self {
        Self::BadRequest(cause.into())
    }
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest(cause)
            | Self::IssuerFailed(cause)
            | Self::NotAllowed(cause)
            | Self::NotSignedIn(cause)
            | Self::SessionExpired(cause)
            | Self::Unavailable(cause) => f.write_str(cause),
        }
    }
}

impl std::error::Error for MintError {}
