//! The HTTP/1.1 connection a request came over: how long its heads may take, its
//! request lines as they came, and the framing of its bodies.
//!
//! It travels with its stream, in the framework's slot for user data; a task-local
//! variable would be set and reset each time the connection is woken.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use pingora::protocols::Digest;
use pingora::protocols::raw_connect::ProxyDigest;

use super::body_framing::{BodyFraming, FramingReader};
use super::deadline::Deadline;
pub(crate) use super::deadline::DeadlinePassed;
use super::request_line::{LineReader, RequestLine};

/// The state of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    deadline: Arc<Deadline>,
    line: RequestLine,
    body: BodyFraming,
}

/// How much of the received bytes the framework may read.
pub(crate) enum Received {
    AsTheyAre,
    Instead(Vec<u8>),
    /// Nothing: they belong to a malformed body.
    Malformed,
}

/// Sees all received bytes.
#[derive(Debug)]
pub(crate) struct Reader {
    deadline: Arc<Deadline>,
    line: LineReader,
    body: FramingReader,
}

impl Reader {
    pub(crate) fn received(&mut self, bytes: &[u8]) -> Received {
        if bytes.is_empty() {
            return Received::AsTheyAre;
        }
        self.deadline.received();
        let instead = self.line.received(bytes);
        if !self.body.received(instead.as_deref().unwrap_or(bytes)) {
            return Received::Malformed;
        }
        instead.map_or(Received::AsTheyAre, Received::Instead)
    }
}

impl Connection {
    /// Each head may take the time `head`, and begins within `idle` of the request before.
    pub(crate) fn new(head: Duration, idle: Duration) -> Self {
        Self {
            deadline: Deadline::new(head, idle),
            line: RequestLine::default(),
            body: BodyFraming::default(),
        }
    }

    /// The reader that must see all received bytes.
    pub(crate) fn reader(&self) -> Reader {
        Reader {
            deadline: self.deadline.clone(),
            line: self.line.reader(),
            body: self.body.reader(),
        }
    }

    /// Serves the connection until `serving` ends or a time has passed.
    pub(crate) async fn serve<T>(
        self,
        serving: impl Future<Output = T>,
    ) -> Result<T, DeadlinePassed> {
        self.deadline.watch(serving).await
    }

    /// In the form that a stream carries.
    pub(crate) fn into_digest(self) -> Arc<ProxyDigest> {
        let (nothing, ()) = Response::new(()).into_parts();
        Arc::new(ProxyDigest::new(Box::new(nothing.into()), Some(Box::new(self))))
    }

    /// The connection a request came over; HTTP/2 has none.
    pub(crate) fn of(digest: Option<&Digest>) -> Option<&Self> {
        digest?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
    }

    /// Called when a request's head is complete.
    pub(crate) fn head_has_arrived(&self) {
        self.deadline.head_has_arrived();
        self.line.head_has_arrived();
    }

    /// Whether a request is being handled, as opposed to a head being read.
    pub(crate) fn handles_request(&self) -> bool {
        self.line.is_handled()
    }

    /// Called when a request has ended.
    pub(crate) fn request_has_ended(&self) {
        self.deadline.request_has_ended();
        self.line.request_has_ended();
        self.body.request_has_ended();
    }

    /// Called for a request with a chunked body whose head has `head` octets. Whether the
    /// part of the body that has arrived is well-formed.
    pub(crate) fn body_is_chunked(&self, head: usize) -> bool {
        self.body.is_chunked_after(head)
    }

    /// Whether the current request's body is chunked, and wrongly.
    pub(crate) fn has_broken_body(&self) -> bool {
        self.body.is_broken()
    }

    /// Ends the connection, whatever it is doing.
    pub(crate) fn end_now(&self) {
        self.deadline.end_now();
    }

    /// Whether the current request's line is anything but a method, a target and a
    /// version with one space between them.
    pub(crate) fn has_odd_line(&self) -> bool {
        self.line.is_odd()
    }
}
