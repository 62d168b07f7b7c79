//! One call over HTTP/2, to see how a server answers there.

use bytes::BytesMut;
use http::{HeaderName, Uri, header};
use pingora::Error;
use pingora::connectors::http::Connector;
use pingora::prelude::HttpPeer;
use pingora::protocols::http::client::HttpSession;
use pingora::protocols::http::v2::client::Http2Session;

use super::client::{
    Answer, BodyEnd, Call, OutboundError, add, broken, patiently, peer, request, resolve,
    unconnected,
};
use crate::base::crypto_provider;
use crate::base::url::Url;

/// Fields that HTTP/2 does not know (RFC 9113 section 8.2.2), and the one it says otherwise.
const NOT_HERE: [HeaderName; 3] = [header::CONNECTION, header::HOST, header::TRANSFER_ENCODING];

/// Makes the call on a separate connection; over TLS only if the server offers `h2`, else
/// with prior knowledge.
pub(crate) async fn send_http2(call: &Call) -> Result<Answer, OutboundError> {
    tokio::time::timeout(call.timeout, exchange(call)).await.unwrap_or(Err(OutboundError::TimedOut))
}

async fn exchange(call: &Call) -> Result<Answer, OutboundError> {
    crypto_provider::install();
    let addresses = resolve(&call.url).await?;
    let address = addresses.into_iter().next().ok_or(OutboundError::Unresolved)?;
    let mut peer: HttpPeer = peer(address, &call.url);
    peer.options.set_http_version(2, 2);
    let connector = Connector::<()>::new(None);
    let session = connector.get_http_session(&peer).await.map_err(|error| unconnected(&error))?;
    let (HttpSession::H2(mut session), _) = session else { return Err(OutboundError::BadAnswer) };
    talk(&mut session, call).await
}

async fn talk(session: &mut Http2Session, call: &Call) -> Result<Answer, OutboundError> {
    let failed = |error: Box<Error>| broken(&error);
    let mut request = request(call).map_err(failed)?;
    for name in &NOT_HERE {
        request.remove_header(name);
    }
    request.set_uri(absolute(&call.url).ok_or(OutboundError::BadAnswer)?);
    // A request without a body ends with its head. A server may answer one with a body early,
    // and reset the rest (RFC 9113 section 8.1): its answer still counts.
    session.write_request_header(request, call.body.is_empty()).map_err(failed)?;
    if !call.body.is_empty() {
        drop(session.write_request_body(call.body.clone(), true).await);
    }
    session.read_response_header().await.map_err(failed)?;
    let head = session.response_header().ok_or(OutboundError::BadAnswer)?;
    let (status, headers) = (head.status, head.headers.clone());
    let mut body = BytesMut::new();
    patiently(call, read_body(session, call, &mut body)).await?;
    Ok(Answer { status, headers, body: body.freeze() })
}

async fn read_body(
    session: &mut Http2Session,
    call: &Call,
    body: &mut BytesMut,
) -> Result<BodyEnd, OutboundError> {
    while let Some(part) = session.read_response_body().await.map_err(|error| broken(&error))? {
        if add(&part, body, call)? == BodyEnd::Cut {
            return Ok(BodyEnd::Cut);
        }
    }
    Ok(BodyEnd::Whole)
}

/// The target as HTTP/2 says it: with scheme and authority.
fn absolute(url: &Url) -> Option<Uri> {
    let scheme = if url.is_tls() { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(url.authority());
    uri.path_and_query(url.target()).build().ok()
}
