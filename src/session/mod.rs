//! Who is asking: the app's own session cookie, verified at the edge.
//!
//! A `Source` is one `[session]` table, compiled: keys derived, names settled.
//! `check` is pure: cookies and a time in, an `Identity` or a `Rejected` out.
//! Holding an `Identity` is proof that a verifier accepted the cookie; nothing
//! else can construct one.

pub mod cookie;
mod pointer;

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

pub use cookie::Cookies;
pub use pointer::Pointer;

/// A signed-in user, as the verified session says.
#[derive(Clone, PartialEq)]
pub struct Identity {
    user_id: String,
    session: Value,
    expires_at: Option<u64>,
}

impl Identity {
    /// For `portcullis token`, which mints offline from a session the operator
    /// spells out; never on the request path.
    pub fn assumed(user_id: String, session: Value, expires_at: Option<u64>) -> Self {
        Self { user_id, session, expires_at }
    }

    /// The user's id: a text, or an integer in decimal. Never empty.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The session as the app sees it.
    pub fn session(&self) -> &Value {
        &self.session
    }

    /// Unix seconds from which the session is no longer valid, if it ends.
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }
}

/// Prints nothing of the session: it is personal data.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

/// A session cookie that opened: the session it holds and when it ends.
pub struct Opened {
    pub session: Value,
    pub expires_at: Option<u64>,
}

/// Why a request has no session. `detail` is for the operator; it names cookies
/// and times, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub reason: Reason,
    pub detail: Cow<'static, str>,
}

impl Rejected {
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Stable identifiers for logs, metrics and `portcullis session`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    AlgNotAllowed,
    Ambiguous,
    BadSignature,
    Expired,
    Malformed,
    Missing,
    MissingExp,
    NoUser,
    NotYetValid,
    Oversized,
    SignedOut,
    StoreMiss,
    TokenMismatch,
    UnknownCrit,
    UnknownKid,
    UnsupportedSerializer,
    WrongAudience,
    WrongIssuer,
    WrongPurpose,
    WrongVersion,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::Ambiguous => "ambiguous",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::MissingExp => "missing_exp",
            Self::NoUser => "no_user",
            Self::NotYetValid => "not_yet_valid",
            Self::Oversized => "oversized",
            Self::SignedOut => "signed_out",
            Self::StoreMiss => "store_miss",
            Self::TokenMismatch => "token_mismatch",
            Self::UnknownCrit => "unknown_crit",
            Self::UnknownKid => "unknown_kid",
            Self::UnsupportedSerializer => "unsupported_serializer",
            Self::WrongAudience => "wrong_audience",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongPurpose => "wrong_purpose",
            Self::WrongVersion => "wrong_version",
        }
    }
}
