//! The reasons a store gives no answer.
//!
//! Settings hold addresses with passwords, and databases repeat ids in their
//! messages: an error says what kind of thing went wrong and nothing else.

use std::fmt;

use crate::base::store_url::BadStoreUrl;

/// Largest session read, in bytes; the verifier refuses one of this size.
pub(super) const MAX_SESSION: usize = 1024 * 1024 + 1;

/// The reason a store gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The address cannot be used at all, with the reason.
    BadAddress(BadStoreUrl),
    /// The store answered with an error: its own code, never its message.
    Failed(String),
    /// The store refuses the user or password.
    NotAllowed,
    TimedOut,
    Unreachable,
    /// The server or its certificate is not what the address says.
    Unusable(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAddress(why) => why.fmt(f),
            Self::Failed(code) => write!(f, "the store answered with error {code}"),
            Self::NotAllowed => f.write_str("the store does not accept the user or password"),
            Self::TimedOut => f.write_str("the store did not answer in time"),
            Self::Unreachable => f.write_str("the store cannot be connected to"),
            Self::Unusable(why) => write!(f, "the store cannot be used: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<BadStoreUrl> for StoreError {
    fn from(bad: BadStoreUrl) -> Self {
        Self::BadAddress(bad)
    }
}
