//! Sends the gateway's own answers, and reads request bodies that are not forwarded.

use http::{HeaderMap, Response, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::prelude::{Result, Session};
use pingora::protocols::http::ServerSession;

use crate::decide;
use crate::limit::Admitted;
use crate::policy::{TokenRoute, WebOrigin};
use crate::request::refusal::{RATELIMIT, RATELIMIT_POLICY, Refusal, Reply, RequestPart};
use crate::request::trace::Trace;
use crate::request::view::RequestLimits;

/// Writes a reply. The length is always known, so the connection can be kept.
pub(super) async fn reply(session: &mut Session, reply: Reply, trace: &Trace) -> Result<()> {
    let Reply { status, mut headers, body } = reply;
    let (name, id) = trace.request_id_field();
    headers.insert(name, id);
    let is_head = session.req_header().method == http::Method::HEAD;
    let has_body = !body.is_empty();
    if status != StatusCode::NO_CONTENT && (has_body || !is_head) {
        headers.insert(header::CONTENT_LENGTH, body.len().into());
    }
    let ends_here = is_head || !has_body;
    session.write_response_header(Box::new(head(status, headers)), ends_here).await?;
    if !ends_here {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// The head in the framework's form. Adding fields one by one would write and parse
/// each name again.
pub(super) fn head(status: StatusCode, headers: HeaderMap) -> ResponseHeader {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.headers = headers;
    parts.into()
}

/// How to treat the body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Forgotten,
    Kept,
}

/// Reads a body to its end, bounded in size and time, so that the connection can
/// be kept whether or not the body is of any use.
pub(super) async fn read_body(
    session: &mut Session,
    use_of: Body,
    limits: &RequestLimits,
) -> Result<Result<Vec<u8>, Refusal>> {
    if session.is_body_empty() {
        return Ok(Ok(Vec::new()));
    }
    // Reject on the announced length, before the client sends the body.
    if announced(session).is_some_and(|length| length > limits.token_body) {
        return Ok(Err(Refusal::TooLarge(RequestPart::Body)));
    }
    // Boxed, because requests without a body would be charged for the room.
    Box::pin(read_all(session, use_of, limits)).await
}

fn announced(session: &Session) -> Option<usize> {
    session.get_header(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read_all(
    session: &mut Session,
    use_of: Body,
    limits: &RequestLimits,
) -> Result<Result<Vec<u8>, Refusal>> {
    let expects = session.get_header(header::EXPECT).is_some();
    if let (true, ServerSession::H1(h1)) = (expects, session.as_downstream_mut()) {
        // Of an interim answer before the end of the body it would make the last one.
        h1.set_close_on_response_before_downstream_finish(false);
        h1.write_continue_response().await?;
        h1.set_close_on_response_before_downstream_finish(true);
    }
    let read = async {
        let (mut length, mut body) = (0, Vec::new());
        while let Some(chunk) =
            session.read_request_body().await.map_err(|error| error.into_down())?
        {
            length += chunk.len();
            if length > limits.token_body {
                return Ok(Err(Refusal::TooLarge(RequestPart::Body)));
            }
            if use_of == Body::Kept {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(Ok(body))
    };
    match tokio::time::timeout(limits.token_body_timeout, read).await {
        Ok(read) => read,
        Err(_) => Ok(Err(Refusal::BadRequest("the request body took too long"))),
    }
}

/// Whether a stream has announced an empty body and is still open: what it then sends
/// would come after the app has had the whole request.
pub(super) fn announces_nothing(session: &Session) -> bool {
    let ServerSession::H2(stream) = session.as_downstream() else { return false };
    let length = stream.req_header().headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length.as_bytes().iter().all(|&b| b == b'0'))
}

/// Waits for the end of such a stream. The framework resets one that sends more than it
/// has announced (RFC 9113 section 8.1.1).
pub(super) async fn read_nothing(
    session: &mut Session,
    limits: &RequestLimits,
) -> Result<Result<(), Refusal>> {
    const MORE: Refusal = Refusal::BadRequest("the body is longer than Content-Length says");
    let ServerSession::H2(stream) = session.as_downstream_mut() else { return Ok(Ok(())) };
    let limit = limits.token_body_timeout;
    let end = async {
        while let Some(data) = stream.read_body_bytes().await.map_err(|e| e.into_down())? {
            if !data.is_empty() {
                return Ok(Err(MORE));
            }
        }
        Ok(Ok(()))
    };
    Box::pin(tokio::time::timeout(limit, end)).await.unwrap_or(Ok(Err(MORE)))
}

/// Says how much of the allowance is left.
pub(super) fn push_limit(reply: &mut Reply, route: &TokenRoute, admitted: Option<&Admitted>) {
    if let (Some(limit), Some(admitted)) = (&route.limit, admitted) {
        reply.headers.insert(RATELIMIT_POLICY, limit.policy_header().clone());
        reply.headers.insert(RATELIMIT, admitted.header(limit));
    }
}

/// Lets an allowed origin read the answer, refusals included.
pub(super) fn with_cors(mut reply: Reply, origin: Option<&WebOrigin>) -> Reply {
    if let Some(origin) = origin
        && !reply.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    {
        decide::cors(&mut reply, origin);
    }
    reply
}
