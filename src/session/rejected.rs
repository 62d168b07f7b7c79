//! Why a request has no session, for operators and for metrics.
//!
//! Callers of the gateway see a status and a code only: explaining to an
//! attacker why a cookie failed would be a gift.

use std::borrow::Cow;

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
            Self::Unavailable => "unavailable",
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
