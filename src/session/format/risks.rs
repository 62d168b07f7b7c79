//! Settings of a kind that are allowed although they are unsafe: its share of the
//! warnings of `check`.

use crate::document::{At, Value};

/// The warnings that only the kind can give; no session is judged by them.
pub(crate) struct Risks {
    /// Whether, under these settings, a cookie names no time at which it ends.
    pub(crate) never_ends: fn(&At<'_>) -> bool,
    /// Fewest bytes of a shared secret.
    pub(crate) secret_bytes: usize,
    /// Notes the rest at the `[session]` table.
    pub(crate) note: fn(&At<'_>),
}

impl Risks {
    /// Cookies name their end, and a shared secret has the 32 bytes of an HMAC with
    /// SHA-256 (RFC 7518 section 3.2, RFC 8725 section 3.5).
    pub(super) const NONE: Self = Self { never_ends: |_| false, secret_bytes: 32, note: |_| {} };
    /// The framework never writes an end into the cookie.
    pub(super) const NO_END: Self = Self { never_ends: |_| true, ..Self::NONE };
}

pub(super) fn has(session: &At<'_>, key: &str) -> bool {
    session.find(&[key]).is_some()
}

/// Whether a duration is set, and to zero.
pub(super) fn is_zero(session: &At<'_>, key: &str) -> bool {
    session.find(&[key]).is_some_and(|at| match &at.node.value {
        Value::Integer(number) => *number == 0,
        Value::Text(text) => {
            text.starts_with("0") && !text.contains(|c: char| ('1'..='9').contains(&c))
        }
        _ => false,
    })
}
