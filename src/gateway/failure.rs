//! Failures of the connections on either side, as refusals.

use pingora::prelude::Error;
use pingora::{ErrorSource, ErrorType};

use crate::respond::{Part, Refusal};

/// What a transport failure means to the client; `None` if it is gone.
pub(super) fn refusal_for(error: &Error) -> Option<Refusal> {
    use ErrorType::{
        ConnectTimedout, ConnectionClosed, HTTPStatus, ReadError, ReadTimedout,
        TLSHandshakeTimedout, WriteError, WriteTimedout,
    };
    match (error.esource(), error.etype()) {
        (_, HTTPStatus(413)) => Some(Refusal::TooLarge(Part::Body)),
        (_, HTTPStatus(400)) => Some(Refusal::BadRequest("the request could not be understood")),
        (
            ErrorSource::Upstream,
            ConnectTimedout | ReadTimedout | WriteTimedout | TLSHandshakeTimedout,
        ) => Some(Refusal::Timeout),
        (
            ErrorSource::Downstream,
            ConnectionClosed | ReadError | WriteError | ReadTimedout | WriteTimedout,
        ) => None,
        (ErrorSource::Downstream, _) => {
            Some(Refusal::BadRequest("the request could not be understood"))
        }
        (ErrorSource::Upstream | ErrorSource::Internal | ErrorSource::Unset, _) => {
            Some(Refusal::UpstreamFailed)
        }
    }
}
