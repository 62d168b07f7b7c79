//! Errors of the connections on either side, as refusals.

use pingora::prelude::Error;
use pingora::{ErrorSource, ErrorType, RetryType};

use crate::request::refusal::{Refusal, RequestPart};
use crate::upstream::Unreachable;

/// Whether the app has not begun to handle the request: it refused the stream, went away
/// before it (RFC 9113 sections 6.8 and 8.7), or was not sent anything.
pub(super) fn is_unhandled(error: &Error) -> bool {
    error.retry == RetryType::Decided(true)
}

/// Whether the app closed a connection instead of answering on it.
pub(super) fn hung_up(error: &Error) -> bool {
    use ErrorType::{ConnectionClosed, H2Error, ReadError, WriteError};
    *error.esource() == ErrorSource::Upstream
        && matches!(error.etype(), ConnectionClosed | H2Error | ReadError | WriteError)
}

/// The refusal that a transport error becomes; `None` if the client is gone.
pub(super) fn refusal_for(error: &Error, unreachable: Option<Unreachable>) -> Option<Refusal> {
    use ErrorType::{
        ConnectTimedout, ConnectionClosed, HTTPStatus, ReadError, ReadTimedout,
        TLSHandshakeTimedout, WriteError, WriteTimedout,
    };
    match unreachable {
        Some(Unreachable::Full) => return Some(Refusal::Full),
        Some(Unreachable::Unresolved) => return Some(Refusal::UpstreamFailed),
        None => {}
    }
    match (error.esource(), error.etype()) {
        (_, HTTPStatus(413)) => Some(Refusal::TooLarge(RequestPart::Body)),
        (_, HTTPStatus(400)) => Some(Refusal::BadRequest("the request is malformed")),
        (
            ErrorSource::Upstream,
            ConnectTimedout | ReadTimedout | WriteTimedout | TLSHandshakeTimedout,
        ) => Some(Refusal::Timeout),
        (
            ErrorSource::Downstream,
            ConnectionClosed | ReadError | WriteError | ReadTimedout | WriteTimedout,
        ) => None,
        (ErrorSource::Downstream, _) => Some(Refusal::BadRequest("the request is malformed")),
        (ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset, _) => {
            Some(Refusal::UpstreamFailed)
        }
    }
}
