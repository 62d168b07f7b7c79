//! HTTP/2 with prior knowledge: a proper client, and one that writes frames by
//! hand.

use std::future::{Future, poll_fn};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use h2::client::SendRequest;

use super::{PATIENCE, Response};

/// Longer than a whole test takes on a busy machine.
const LONGEST: std::time::Duration = PATIENCE.saturating_mul(4);

/// Runs `test` to its end, within reason.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONGEST, test).await.expect("took too long") })
}

/// A connection; cloned for each stream.
pub(crate) async fn open(address: &str) -> SendRequest<Bytes> {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    client
}

/// As `open`, over TLS.
pub(crate) async fn open_tls(address: &str, config: rustls::ClientConfig) -> SendRequest<Bytes> {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("app.test").unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = connector.connect(name, socket).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    http::Request::builder().method(method).uri(format!("http://app.test{path}"))
}

/// Sends a request with these DATA frames; the last one ends the stream.
pub(crate) async fn ask(
    client: &SendRequest<Bytes>,
    request: http::request::Builder,
    frames: &[&'static [u8]],
) -> Result<Response, h2::Error> {
    let mut client = client.clone().ready().await?;
    let (response, mut stream) =
        client.send_request(request.body(()).unwrap(), frames.is_empty())?;
    for (index, frame) in frames.iter().enumerate() {
        stream.send_data(Bytes::from_static(frame), index + 1 == frames.len())?;
        // Lets each frame leave on its own.
        tokio::task::yield_now().await;
    }
    let (parts, mut body) = response.await?.into_parts();
    let mut answer = Response {
        version: "HTTP/2".to_owned(),
        status: parts.status.as_u16(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    for (name, value) in &parts.headers {
        answer.headers.push((name.to_string(), value.to_str().unwrap().to_owned()));
    }
    while let Some(data) = poll_fn(|context| body.poll_data(context)).await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        answer.body.extend_from_slice(&data);
    }
    answer.check();
    Ok(answer)
}

/// The preface, and settings that change nothing.
pub(crate) const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RESET: u8 = 3;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A literal field that is never indexed (RFC 7541 section 6.2.3).
pub(crate) fn field(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0x10);
    for text in [name, value] {
        assert!(text.len() < 127, "longer lengths need more than one byte");
        block.push(u8::try_from(text.len()).unwrap());
        block.extend_from_slice(text);
    }
}

/// Sends these fields, as they are, and a body; waits until the gateway has
/// answered the stream or ended the connection.
pub(crate) fn send_raw(address: &str, fields: &[(&[u8], &[u8])], body: Option<&[u8]>) {
    const GOAWAY: u8 = 7;
    const END_STREAM: u8 = 1;
    let mut block = Vec::new();
    for (name, value) in fields {
        field(&mut block, name, value);
    }
    let mut bytes = HELLO.to_vec();
    let end = if body.is_none() { END_STREAM } else { 0 };
    bytes.extend(frame(HEADERS, END_HEADERS | end, 1, &block));
    if let Some(body) = body {
        bytes.extend(frame(DATA, END_STREAM, 1, body));
    }
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(&bytes).unwrap();
    loop {
        let mut head = [0; 9];
        if socket.read_exact(&mut head).is_err() {
            return;
        }
        let length = u64::from(u32::from_be_bytes([0, head[0], head[1], head[2]]));
        if std::io::copy(&mut (&socket).take(length), &mut std::io::sink()).is_err() {
            return;
        }
        let answered = head[8] == 1 && (head[3] == RESET || head[4] & END_STREAM != 0);
        if answered || head[3] == GOAWAY {
            return;
        }
    }
}
