//! A verified session: who is signed in, and until when.
//!
//! Holding an `Identity` is proof that a verifier accepted the cookie; nothing outside
//! this folder can build one, except `portcullis token`.

use std::fmt;

use serde_json::Value;

use crate::base::digest::{Kind, Mark};
use crate::base::packed_json::PackedJson;

/// A signed-in user, as the verified session says.
#[derive(Clone, PartialEq)]
pub struct Identity {
    user_id: Box<str>,
    mark: Mark,
    session: PackedJson,
    expires_at: Option<u64>,
    id: Option<Box<str>>,
}

impl Identity {
    pub(super) fn new(user_id: String, session: PackedJson, expires_at: Option<u64>) -> Self {
        let (mark, user_id) = (Mark::new(Kind::User, &user_id), user_id.into());
        Self { mark, user_id, session, expires_at, id: None }
    }

    /// The same, of a session whose cookies all hold this id.
    #[must_use]
    pub(super) fn with_id(self, id: Option<String>) -> Self {
        Self { id: id.map(String::into_boxed_str), ..self }
    }

    /// For `portcullis token`, which mints offline from a session given on the
    /// command line; never on the request path.
    pub fn assumed(user_id: String, session: Value, expires_at: Option<u64>) -> Self {
        Self::new(user_id, session.into(), expires_at)
    }

    /// The user's id: a text, or an integer in decimal. Never empty.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The user, where only sameness matters.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Approximate bytes in memory beside the value itself: what a cache charges for it.
    pub fn size(&self) -> usize {
        self.user_id.len() + self.id().map_or(0, str::len) + self.session.size()
    }

    /// The session's id, where opening its cookie has told it.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The session as the app sees it.
    pub fn session(&self) -> Value {
        self.session.to_value()
    }

    /// The session as it is kept, to read a few members of it.
    pub(crate) fn packed(&self) -> &PackedJson {
        &self.session
    }

    /// Unix seconds from which the session is no longer valid, if it ends.
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    /// Whether the session still holds: the one check a remembered identity needs.
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
pub(crate) struct OpenedSession {
    pub session: Value,
    pub expires_at: Option<u64>,
}
