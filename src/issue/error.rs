//! Why there is no token.

use crate::mint::MintError;
use crate::request::refusal::Refusal;

/// Short and without a cause, which has been logged: errors are cached, and shared
/// by all who wait for the same token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueError {
    BadInput,
    IssuerFailed,
    NotAllowed,
    NotSignedIn,
    SessionExpired,
    Timeout,
    Unavailable,
}

impl From<&MintError> for IssueError {
    fn from(error: &MintError) -> Self {
        match error {
            MintError::BadRequest(_) => Self::BadInput,
            MintError::IssuerFailed(_) => Self::IssuerFailed,
            MintError::NotAllowed(_) => Self::NotAllowed,
            MintError::NotSignedIn(_) => Self::NotSignedIn,
            MintError::SessionExpired(_) => Self::SessionExpired,
            MintError::Unavailable(_) => Self::Unavailable,
        }
    }
}

impl From<IssueError> for Refusal {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::BadInput => Self::BadRequest("a request input is missing or not allowed"),
            IssueError::IssuerFailed => Self::IssuerFailed,
            IssueError::NotAllowed => Self::NotAllowed,
            IssueError::NotSignedIn => Self::NotSignedIn,
            IssueError::SessionExpired => Self::SessionExpired,
            IssueError::Timeout => Self::Timeout,
            IssueError::Unavailable => Self::Unavailable,
        }
    }
}
