//! The one HTTP client, for everything the gateway itself asks other servers.
//!
//! One call is one request: no redirects, no decoding, no retry of anything a server
//! may have acted on. Every call has a total timeout and a maximum size for its
//! answer. Names are resolved without blocking. Headers and bodies carry secrets, so
//! nothing of a request or an answer appears in a log or an error.
//!
//! Connections belong to the runtime the client was made with; calls run there,
//! so they may be made from any runtime, and a call that is no longer awaited still
//! leaves its connection usable.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::v1::Connector;
use pingora::http::RequestHeader;
use pingora::prelude::HttpPeer;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::{Error, ErrorType, RetryType};
use tokio::runtime::Handle;

use crate::base::crypto_provider;
use crate::base::url::Url;

/// Shorter than servers usually keep idle connections.
const IDLE: Duration = Duration::from_secs(4);
const IDLE_CONNECTIONS: usize = 64;
/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;
/// Most interim answers (1xx) that are skipped.
const MAX_INTERIM: usize = 8;

/// One request to another server.
#[derive(Clone)]
pub struct Call {
    pub method: Method,
    pub url: Url,
    /// `Content-Length` is added, and `Host` unless it is there.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    /// Budget for resolving, connecting and the whole answer.
    pub timeout: Duration,
    /// Most octets of the answer's body.
    pub max_size: usize,
    pub long_body: LongBody,
}

/// The end of an answer whose body is longer than `max_size`, or does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongBody {
    /// The answer counts with as much of the body as arrived within half the call's timeout.
    Cut,
    Refuse,
}

/// The server's answer, whatever its status.
#[derive(Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundError {
    /// The answer is not HTTP, or ended early.
    BadAnswer,
    /// The certificate is not valid for this server.
    BadCertificate,
    /// Nothing answers at that address.
    Refused,
    TimedOut,
    TooLarge,
    /// The server's name has no address.
    Unresolved,
}

impl fmt::Display for OutboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadAnswer => "the server's answer is not complete HTTP",
            Self::BadCertificate => "the server's certificate is not valid for its name",
            Self::Refused => "cannot connect to the server",
            Self::TimedOut => "the server did not answer in time",
            Self::TooLarge => "the server's answer is too large",
            Self::Unresolved => "the server's name cannot be resolved",
        })
    }
}

impl std::error::Error for OutboundError {}

impl Call {
    /// A GET with usual bounds.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: vec![(header::ACCEPT, HeaderValue::from_static("application/json"))],
            body: Bytes::new(),
            timeout: Duration::from_secs(5),
            max_size: 256 * 1024,
            long_body: LongBody::Refuse,
        }
    }
}

/// The client. Clones share their connections.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    runtime: Handle,
    /// Made when first needed: reading the system's certificates takes a while.
    connector: OnceLock<Connector>,
}

impl Outbound {
    /// A client whose connections live in `runtime`.
    pub fn new(runtime: Handle) -> Self {
        Self(Arc::new(Inner { runtime, connector: OnceLock::new() }))
    }

    /// Where its connections live, for tasks that make their own calls.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// Makes the call, or says why there is no answer.
    pub async fn send(&self, call: &Call) -> Result<Answer, OutboundError> {
        let (client, call) = (self.clone(), call.clone());
        let task = async move {
            tokio::time::timeout(call.timeout, client.0.exchange(&call))
                .await
                .unwrap_or(Err(OutboundError::TimedOut))
        };
        // A task that does not end normally was cut off with its runtime.
        self.0.runtime.spawn(task).await.unwrap_or(Err(OutboundError::Refused))
    }
}

/// Why an attempt failed.
enum Failed {
    /// An idle connection turned out to be closed; the server saw nothing.
    Stale,
    With(OutboundError),
}

impl Inner {
    async fn exchange(&self, call: &Call) -> Result<Answer, OutboundError> {
        let addresses = resolve(&call.url).await?;
        let mut last = OutboundError::Refused;
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            let peer = peer(address, &call.url);
            match self.attempt(&peer, call).await {
                Ok(answer) => return Ok(answer),
                Err(OutboundError::Refused) => last = OutboundError::Refused,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// One address: idle connections first, then a new one.
    async fn attempt(&self, peer: &HttpPeer, call: &Call) -> Result<Answer, OutboundError> {
        let connector = self.connector.get_or_init(connector);
        for _ in 0..IDLE_CONNECTIONS {
            let Some(session) = connector.reused_http_session(peer).await else { break };
            match self.talk(connector, session, peer, call).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Stale) => {}
                Err(Failed::With(error)) => return Err(error),
            }
        }
        let (session, _) = connector.get_http_session(peer).await.map_err(|e| unconnected(&e))?;
        self.talk(connector, session, peer, call).await.map_err(|failed| match failed {
            Failed::Stale => OutboundError::BadAnswer,
            Failed::With(error) => error,
        })
    }

    async fn talk(
        &self,
        connector: &Connector,
        mut session: HttpSession,
        peer: &HttpPeer,
        call: &Call,
    ) -> Result<Answer, Failed> {
        let failed = |error: Box<Error>| {
            let unseen = matches!(error.retry, RetryType::ReusedOnly) && call.method.is_safe();
            if unseen { Failed::Stale } else { Failed::With(broken(&error)) }
        };
        let request = request(call).map_err(|error| Failed::With(broken(&error)))?;
        session.write_request_header(request).await.map_err(failed)?;
        if !call.body.is_empty() {
            session.write_body(&call.body).await.map_err(failed)?;
        }
        session.finish_body().await.map_err(failed)?;
        let (status, headers) = read_head(&mut session).await.map_err(failed)?;
        let mut body = BytesMut::new();
        let reading = read_body(&mut session, call, &mut body);
        if patiently(call, reading).await.map_err(Failed::With)? == BodyEnd::Whole {
            connector.release_http_session(session, peer, Some(IDLE)).await;
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

fn connector() -> Connector {
    crypto_provider::install();
    let options = ConnectorOptions::new(IDLE_CONNECTIONS);
    Connector::new(Some(options))
}

pub(super) async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, OutboundError> {
    if let Some(ip) = url.ip() {
        return Ok(vec![SocketAddr::new(ip, url.port())]);
    }
    match tokio::net::lookup_host((url.host(), url.port())).await {
        Ok(found) => Some(found.collect::<Vec<_>>()).filter(|all| !all.is_empty()),
        Err(_) => None,
    }
    .ok_or(OutboundError::Unresolved)
}

/// Timeouts of single steps are not set: one covers the call.
pub(super) fn peer(address: SocketAddr, url: &Url) -> HttpPeer {
    let name = if url.is_tls() { url.host().to_owned() } else { String::new() };
    HttpPeer::new(address, url.is_tls(), name)
}

pub(super) fn request(call: &Call) -> Result<Box<RequestHeader>, Box<Error>> {
    let target = call.url.target().as_bytes();
    let mut request = RequestHeader::build(call.method.clone(), target, None)?;
    request.insert_header(header::HOST, call.url.authority())?;
    request.insert_header(header::USER_AGENT, "portcullis")?;
    for (name, value) in &call.headers {
        if *name == header::HOST {
            request.insert_header(name, value)?;
        } else {
            request.append_header(name, value)?;
        }
    }
    let has_body = !call.body.is_empty() || call.method == Method::POST;
    if has_body {
        request.insert_header(header::CONTENT_LENGTH, call.body.len())?;
    }
    Ok(Box::new(request))
}

async fn read_head(session: &mut HttpSession) -> Result<(StatusCode, HeaderMap), Box<Error>> {
    for _ in 0..MAX_INTERIM {
        session.read_response().await?;
        let Some(head) = session.resp_header() else { break };
        if !head.status.is_informational() {
            return Ok((head.status, head.headers.clone()));
        }
    }
    Err(Error::new(ErrorType::InvalidHTTPHeader))
}

async fn read_body(
    session: &mut HttpSession,
    call: &Call,
    body: &mut BytesMut,
) -> Result<BodyEnd, OutboundError> {
    while let Some(part) = session.read_body_bytes().await.map_err(|error| broken(&error))? {
        if add(&part, body, call)? == BodyEnd::Cut {
            return Ok(BodyEnd::Cut);
        }
    }
    Ok(BodyEnd::Whole)
}

/// Whether a body is there as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyEnd {
    Cut,
    Whole,
}

/// Adds a part to a body, or as much of it as the call takes.
pub(super) fn add(part: &[u8], body: &mut BytesMut, call: &Call) -> Result<BodyEnd, OutboundError> {
    let room = call.max_size.saturating_sub(body.len());
    let Some(taken) = part.get(..room).filter(|taken| taken.len() < part.len()) else {
        body.extend_from_slice(part);
        return Ok(BodyEnd::Whole);
    };
    match call.long_body {
        LongBody::Cut => {
            body.extend_from_slice(taken);
            Ok(BodyEnd::Cut)
        }
        LongBody::Refuse => Err(OutboundError::TooLarge),
    }
}

/// Where a cut body will do, one that breaks off or does not end is cut as well.
pub(super) async fn patiently(
    call: &Call,
    reading: impl Future<Output = Result<BodyEnd, OutboundError>>,
) -> Result<BodyEnd, OutboundError> {
    match call.long_body {
        LongBody::Cut => {
            let read = tokio::time::timeout(call.timeout / 2, reading).await;
            Ok(read.ok().and_then(Result::ok).unwrap_or(BodyEnd::Cut))
        }
        LongBody::Refuse => reading.await,
    }
}

pub(super) fn unconnected(error: &Error) -> OutboundError {
    match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => OutboundError::TimedOut,
        ErrorType::InvalidCert | ErrorType::TLSHandshakeFailure => OutboundError::BadCertificate,
        _ => OutboundError::Refused,
    }
}

pub(super) fn broken(error: &Error) -> OutboundError {
    match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => OutboundError::TimedOut,
        _ => OutboundError::BadAnswer,
    }
}
