//! Why a request has no session, for operators and for metrics.
//!
//! Callers of the gateway see a status and a code only: explaining to an
//! attacker why a cookie failed would be a gift.

use std::borrow::Cow;

use crate::base::names::names;
use crate::base::text;

/// Why a request has no session. `detail` is for the operator; it names cookies
/// and times, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub reason: Reason,
    pub detail: Cow<'static, str>,
    /// When the session ended, in Unix seconds, if that is all that is wrong with it.
    pub ended: Option<u64>,
}

impl Rejected {
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), ended: None }
    }

    pub(super) fn bad_signature(tried: usize) -> Self {
        let detail: Cow<'static, str> = match tried {
            0 | 1 => "signature does not match the secret".into(),
            many => format!("signature does not match any of the {many} secrets").into(),
        };
        Self::new(Reason::BadSignature, detail)
    }

    /// As `bad_signature`, of keys that anyone may know.
    pub(super) fn not_of_public_key(tried: usize) -> Self {
        let detail: Cow<'static, str> = match tried {
            0 | 1 => "signature does not match the public key".into(),
            many => format!("signature does not match any of the {many} public keys").into(),
        };
        Self::new(Reason::BadSignature, detail)
    }

    pub(super) fn expired(at: u64, now: u64) -> Self {
        let detail = format!("expired {} ago", text::span(now.saturating_sub(at)));
        Self { ended: Some(at), ..Self::new(Reason::Expired, detail) }
    }

    pub(super) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::Malformed, detail)
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
    /// Not the cookie's fault: keys or a store that are needed are not there.
    Unavailable,
    UnknownCrit,
    UnknownKid,
    UnsupportedSerializer,
    WrongAudience,
    WrongIssuer,
    WrongPurpose,
    WrongVersion,
}

impl Reason {
    /// Whether the cookies are nobody's, or of a session that only the time or a sign-out
    /// ended. Of others it is not known here whose they are.
    pub(crate) fn tells_whose(self) -> bool {
        match self {
            Self::Expired
            | Self::Missing
            | Self::NoUser
            | Self::NotYetValid
            | Self::SignedOut
            | Self::StoreMiss => true,
            Self::AlgNotAllowed
            | Self::Ambiguous
            | Self::BadSignature
            | Self::Malformed
            | Self::MissingExp
            | Self::Oversized
            | Self::TokenMismatch
            | Self::Unavailable
            | Self::UnknownCrit
            | Self::UnknownKid
            | Self::UnsupportedSerializer
            | Self::WrongAudience
            | Self::WrongIssuer
            | Self::WrongPurpose
            | Self::WrongVersion => false,
        }
    }
}

names!(Reason {
    AlgNotAllowed = "alg_not_allowed",
    Ambiguous = "ambiguous",
    BadSignature = "bad_signature",
    Expired = "expired",
    Malformed = "malformed",
    Missing = "missing",
    MissingExp = "missing_exp",
    NoUser = "no_user",
    NotYetValid = "not_yet_valid",
    Oversized = "oversized",
    SignedOut = "signed_out",
    StoreMiss = "store_miss",
    TokenMismatch = "token_mismatch",
    Unavailable = "unavailable",
    UnknownCrit = "unknown_crit",
    UnknownKid = "unknown_kid",
    UnsupportedSerializer = "unsupported_serializer",
    WrongAudience = "wrong_audience",
    WrongIssuer = "wrong_issuer",
    WrongPurpose = "wrong_purpose",
    WrongVersion = "wrong_version",
});
