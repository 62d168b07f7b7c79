//! Who is asking: the app's own session cookie, verified at the edge.
//!
//! A `Source` is one `[session]` table, compiled: keys derived, names settled.
//! Everything here is pure: cookies and a time in, an `Identity` or a `Rejected`
//! out. A format whose sessions live in a store says what to fetch (`Question`)
//! and judges what came back; fetching is the caller's work. Holding an
//! `Identity` is proof that a verifier accepted the cookie; nothing else can
//! construct one.

mod codec;
pub mod cookie;
mod cookie_names;
mod diagnose;
mod format;
mod key_settings;
mod passing;
mod pointer;
mod rejected;
mod settings;
mod sniff;
mod source;
mod store;
mod verdict;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use crate::base::digest::{Kind, Mark};

pub use codec::keys::RemoteKeys;
pub use cookie::Cookies;
pub use passing::{Passing, passing};
pub use pointer::Pointer;
pub use rejected::{Reason, Rejected};
pub use source::Source;
pub use store::{Answer, Cell, Check, Engine, Query, Question, Row, Store};
pub(crate) use verdict::none_asked;
pub use verdict::{Judged, Refused, Unanswered, Verdict, VerdictBuilder};

/// A signed-in user, as the verified session says.
#[derive(Clone, PartialEq)]
pub struct Identity {
    user_id: String,
    mark: Mark,
    session: Value,
    expires_at: Option<u64>,
}

impl Identity {
    fn new(user_id: String, session: Value, expires_at: Option<u64>) -> Self {
        Self { mark: Mark::new(Kind::User, &user_id), user_id, session, expires_at }
    }

    /// For `portcullis token`, which mints offline from a session the operator
    /// spells out; never on the request path.
    pub fn assumed(user_id: String, session: Value, expires_at: Option<u64>) -> Self {
        Self::new(user_id, session, expires_at)
    }

    /// The user's id: a text, or an integer in decimal. Never empty.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The user, where only sameness matters.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Bytes this takes in memory, about: what a cache charges for it.
    pub fn size(&self) -> usize {
        fn of(value: &Value) -> usize {
            let inner = match value {
                Value::Array(items) => items.iter().map(of).sum(),
                Value::Object(members) => {
                    members.iter().map(|(name, value)| name.len() + 48 + of(value)).sum()
                }
                Value::String(text) => text.len(),
                Value::Bool(_) | Value::Null | Value::Number(_) => 0,
            };
            size_of::<Value>() + inner
        }
        self.user_id.len() + of(&self.session)
    }

    /// The session as the app sees it.
    pub fn session(&self) -> &Value {
        &self.session
    }

    /// Unix seconds from which the session is no longer valid, if it ends.
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    /// Whether the session still holds: all that a remembered identity must be
    /// asked again.
    pub fn is_valid_at(&self, now: u64) -> bool {
        self.expires_at.is_none_or(|end| now < end)
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
