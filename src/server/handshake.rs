//! From an accepted socket to a stream that can be served: the PROXY protocol header
//! where one is required, then the TLS handshake.
//!
//! Both must finish within `header_timeout`. The framework's own TLS listeners would
//! wait a minute, cannot change their settings while running, and do not tell plain
//! HTTP from a broken handshake.

use std::time::Duration;

use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::{Peek as _, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt};

use super::io::socket::Socket;
use super::turns;
use crate::edge::ListenerTls;
use crate::edge::proxy_header::{self, HeaderSource, HeaderVersion, MalformedHeader};
use crate::request::refusal::{Audience, Refusal};

/// Why a handshake failed; a label of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandshakeError {
    Failed,
    Late,
    PlainHttp,
}

impl HandshakeError {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Late => "late",
            Self::PlainHttp => "plain_http",
        }
    }
}

/// The socket below a stream that nothing has been put on yet.
pub(super) fn socket(stream: Stream) -> Option<Box<Socket>> {
    stream.into_any().downcast().ok()
}

/// Takes the PROXY protocol header off the stream. From then on the stream says
/// that it comes from where the header says.
pub(super) async fn take_proxy_header(
    stream: Stream,
    limit: Duration,
) -> Result<Stream, MalformedHeader> {
    let mut socket = socket(stream).ok_or(MalformedHeader)?;
    let read = tokio::time::timeout(limit, read_proxy_header(&mut socket));
    let peer = match read.await.map_err(|_| MalformedHeader)?? {
        HeaderSource::Address(address) => Some(SocketAddr::Inet(address)),
        HeaderSource::Connection => return Ok(socket),
        HeaderSource::Unix => None,
    };
    socket.set_peer(peer);
    Ok(socket)
}

async fn read_proxy_header(socket: &mut Socket) -> Result<HeaderSource, MalformedHeader> {
    let gone = |_| MalformedHeader;
    let mut start = [0; proxy_header::START];
    // Reads what follows too, if it is there.
    socket.try_peek(&mut start).await.map_err(gone)?;
    socket.read_exact(&mut start).await.map_err(gone)?;
    match proxy_header::version(&start)? {
        HeaderVersion::One => {
            let mut line = start.to_vec();
            // Byte by byte: what follows the line belongs to the next layer.
            while !line.ends_with(b"\n") {
                if line.len() >= proxy_header::LONGEST_LINE {
                    return Err(MalformedHeader);
                }
                line.push(socket.read_u8().await.map_err(gone)?);
            }
            proxy_header::read_line(&line)
        }
        HeaderVersion::Two => {
            let mut preamble = [0; proxy_header::PREAMBLE];
            socket.read_exact(&mut preamble).await.map_err(gone)?;
            let mut body = vec![0; proxy_header::body_length(preamble)?];
            socket.read_exact(&mut body).await.map_err(gone)?;
            proxy_header::read_body(preamble, &body)
        }
    }
}

/// The TLS handshake. A client that speaks plain HTTP gets an answer that says so.
pub(super) async fn secure(
    stream: Stream,
    tls: &ListenerTls,
    limit: Duration,
) -> Result<Stream, HandshakeError> {
    let opening = async {
        let mut socket = socket(stream).ok_or(HandshakeError::Failed)?;
        let mut first = [0];
        socket.try_peek(&mut first).await.map_err(|_| HandshakeError::Failed)?;
        if first.iter().all(u8::is_ascii_alphabetic) {
            refuse_plain(&mut socket).await;
            return Err(HandshakeError::PlainHttp);
        }
        let acceptor = Acceptor::from_server_config(tls.config.clone());
        match turns::of_handshake(acceptor.tls_handshake(*socket)).await {
            Ok(secured) => Ok(Box::new(secured) as Stream),
            Err(error) => {
                tracing::debug!(cause = %error, "no TLS handshake");
                Err(HandshakeError::Failed)
            }
        }
    };
    // Apart: its 12 KB would be held as long as the connection, which waits here for a moment.
    tokio::time::timeout(limit, Box::pin(opening)).await.unwrap_or(Err(HandshakeError::Late))
}

async fn refuse_plain(socket: &mut Socket) {
    let refusal = Refusal::BadRequest("plain HTTP was sent to a port that speaks HTTPS");
    let reply = refusal.reply(Audience::Script);
    let mut answer = format!("HTTP/1.1 {}\r\nconnection: close\r\n", reply.status).into_bytes();
    answer.extend_from_slice(format!("content-length: {}\r\n", reply.body.len()).as_bytes());
    for (name, value) in &reply.headers {
        answer.extend_from_slice(
            &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat(),
        );
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&reply.body);
    // The client may have gone already.
    if socket.write_all(&answer).await.is_err() || socket.flush().await.is_err() {
        return;
    }
    let _ = AsyncWriteExt::shutdown(socket).await;
    // Closing with unread bytes would reset the connection, and the answer with it.
    let mut rest = [0; 1024];
    for _ in 0..64 {
        if !matches!(socket.read(&mut rest).await, Ok(1..)) {
            return;
        }
    }
}
