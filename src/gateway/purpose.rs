//! The purpose of a connection to the app.

use std::time::Duration;

use http::header;
use pingora::http::RequestHeader;

/// The request is given up if the app takes none of it for this long.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Request,
    /// A tunnel, which HTTP/2 has no room for.
    Upgrade,
}

/// Whether the body is a stream of messages, which come when there is something to say.
pub(super) fn is_conversation(request: &RequestHeader) -> bool {
    let content_type = request.headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The senders of requests to a listener.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    Client,
    /// A proxy, about a request that its client has sent.
    Front,
}
