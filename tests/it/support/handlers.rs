//! The app's answers: `/do/…` misbehaves or streams, anything else is echoed.

use std::io;

use serde_json::json;

use super::app::Peer;
use super::seen::Seen;

const OK: &str = "HTTP/1.1 200 OK\r\nX-App: 1\r\n";

/// Answers one request; whether the connection goes on.
pub(super) fn answer(peer: &mut Peer, seen: &Seen) -> io::Result<bool> {
    let path = seen.path();
    match path.strip_prefix("/do/").unwrap_or("") {
        // Before the body is read.
        "drop" => return Ok(false),
        "early-401" => return early(peer, seen, "401 Unauthorized"),
        "early-413" => return early(peer, seen, "413 Payload Too Large"),
        "late-upload" => peer.shared.clone().wait_at_gate(),
        "mirror" => return mirror(peer, seen),
        "unread" => {
            // Closing with unread bytes resets the connection.
            peer.write(format!("{OK}Content-Length: 1000\r\n\r\nten bytes.").as_bytes())?;
            return Ok(false);
        }
        "continue" => peer.write(b"HTTP/1.1 100 Continue\r\n\r\n")?,
        "websocket" => return websocket(peer),
        _ => {}
    }
    let mut body = Vec::new();
    let keep = path != "/do/late-upload";
    let mut length = 0;
    peer.body(seen, |_, piece| {
        length += piece.len();
        if keep {
            body.extend_from_slice(piece);
        }
        Ok(())
    })?;
    match path.strip_prefix("/do/").unwrap_or("") {
        "bad-header" => {
            peer.write(format!("{OK}Bad Name : x\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
            Ok(false)
        }
        "big-headers" => {
            let field = format!("X-Big: {}\r\n", "b".repeat(1000));
            peer.write(format!("{OK}{}Content-Length: 0\r\n\r\n", field.repeat(100)).as_bytes())?;
            Ok(true)
        }
        "chunked" => {
            peer.write(format!("{OK}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
            for _ in 0..3 {
                peer.write(b"5\r\npiece\r\n")?;
                peer.pause();
            }
            peer.write(b"0\r\n\r\n")?;
            Ok(true)
        }
        "close-delimited" => {
            peer.write(format!("{OK}Connection: close\r\n\r\nto the end").as_bytes())?;
            Ok(false)
        }
        "download" => download(peer, seen),
        "early-hints" => {
            peer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")?;
            fixed(peer, "", "after hints")
        }
        "empty-204" => peer.write(b"HTTP/1.1 204 No Content\r\nX-App: 1\r\n\r\n").map(|()| true),
        "garbage" => peer.write(b"\x00\x01 this is no HTTP\r\n\r\n").map(|()| false),
        "halves" => {
            peer.write(format!("{OK}Content-Length: 11\r\n\r\nfirst").as_bytes())?;
            peer.shared.clone().wait_at_gate();
            peer.write(b"second").map(|()| true)
        }
        "headers" => fixed(
            peer,
            "ETag: \"x\"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nCache-Control: public\r\n\
             X-Auth-User: app\r\n",
            "plain",
        ),
        "healthz" if peer.shared.is_gate_open() => {
            peer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")?;
            Ok(true)
        }
        "http10" => peer.write(b"HTTP/1.0 200 OK\r\nX-App: 1\r\n\r\nold body").map(|()| false),
        "late-body" => {
            peer.write(format!("{OK}Content-Length: 4\r\n\r\n").as_bytes())?;
            peer.shared.clone().wait_at_gate();
            peer.write(b"body").map(|()| true)
        }
        "late-upload" => fixed(peer, "", &length.to_string()),
        "length-and-chunked" => {
            peer.write(
                format!(
                    "{OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n"
                )
                .as_bytes(),
            )?;
            Ok(true)
        }
        "not-modified" => peer
            .write(b"HTTP/1.1 304 Not Modified\r\nX-App: 1\r\nETag: \"x\"\r\n\r\n")
            .map(|()| true),
        "own-id" => fixed(peer, "X-Request-Id: of-the-app\r\n", "plain"),
        "redirect" => {
            peer.write(b"HTTP/1.1 303 See Other\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")?;
            Ok(true)
        }
        "renew" => renew(peer, seen),
        "range" => {
            let range = seen.one("range").unwrap_or_default();
            peer.write(
                format!(
                    "HTTP/1.1 206 Partial Content\r\nX-App: 1\r\nContent-Range: {}/10\r\n\
                     Content-Length: 3\r\n\r\n234",
                    range.replace('=', " ")
                )
                .as_bytes(),
            )?;
            Ok(true)
        }
        "refuse-upgrade" => {
            peer.write(b"HTTP/1.1 403 Forbidden\r\nX-App: 1\r\nContent-Length: 2\r\n\r\nno")?;
            Ok(true)
        }
        "slow" => {
            peer.shared.clone().wait_at_gate();
            fixed(peer, "", "slow but sure")
        }
        "sse" => {
            peer.write(
                format!(
                    "{OK}Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                .as_bytes(),
            )?;
            peer.write(b"9\r\ndata: 1\n\n\r\n")?;
            peer.shared.clone().wait_at_gate();
            peer.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")?;
            Ok(true)
        }
        "truncated" => {
            peer.write(format!("{OK}Content-Length: 1000\r\n\r\nten bytes.").as_bytes())?;
            Ok(false)
        }
        "truncated-chunks" => {
            peer.write(format!("{OK}Transfer-Encoding: chunked\r\n\r\n5\r\npie").as_bytes())?;
            Ok(false)
        }
        "two-lengths" => {
            peer.write(
                format!("{OK}Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc").as_bytes(),
            )?;
            Ok(false)
        }
        _ => echo(peer, seen, &body),
    }
}

fn fixed(peer: &mut Peer, fields: &str, body: &str) -> io::Result<bool> {
    let length = body.len();
    peer.write(format!("{OK}{fields}Content-Length: {length}\r\n\r\n{body}").as_bytes())?;
    Ok(true)
}

/// The received request, as JSON; no body for HEAD.
fn echo(peer: &mut Peer, seen: &Seen, body: &[u8]) -> io::Result<bool> {
    let text = json!({
        "method": seen.method(),
        "target": seen.target(),
        "fields": seen.fields(),
        "body": String::from_utf8_lossy(body),
    })
    .to_string();
    let length = text.len();
    let text = if seen.method() == "HEAD" { "" } else { &text };
    peer.write(
        format!("{OK}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{text}")
            .as_bytes(),
    )?;
    Ok(true)
}

/// Sets the cookie in the query anew if one of that name came, as frameworks renew
/// sessions.
fn renew(peer: &mut Peer, seen: &Seen) -> io::Result<bool> {
    let target = seen.target();
    let renewed = target.split_once('?').unwrap().1;
    let name = renewed.split('=').next().unwrap();
    let came = seen.all("cookie").iter().any(|cookies| cookies.contains(name));
    let set = if came { format!("Set-Cookie: {renewed}; Path=/\r\n") } else { String::new() };
    fixed(peer, &set, "renewed if it came")
}

/// Answers before it has read the body, then reads what still comes.
fn early(peer: &mut Peer, seen: &Seen, status: &str) -> io::Result<bool> {
    peer.write(
        format!(
            "HTTP/1.1 {status}\r\nX-App: 1\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly"
        )
        .as_bytes(),
    )?;
    // The gateway may stop sending at any point.
    let _ = peer.body(seen, |_, _| Ok(()));
    Ok(false)
}

/// Sends back each piece of the body as it comes.
fn mirror(peer: &mut Peer, seen: &Seen) -> io::Result<bool> {
    peer.write(format!("{OK}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
    peer.body(seen, |peer, piece| {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        peer.write(&chunk)
    })?;
    peer.write(b"0\r\n\r\n")?;
    Ok(true)
}

/// As many bytes as the query says.
fn download(peer: &mut Peer, seen: &Seen) -> io::Result<bool> {
    let length: usize = seen.target().split_once('?').unwrap().1.parse().unwrap();
    peer.write(format!("{OK}Content-Length: {length}\r\n\r\n").as_bytes())?;
    let block = vec![b'd'; 64 * 1024];
    let mut left = length;
    while left > 0 {
        let part = left.min(block.len());
        peer.write(&block[..part])?;
        left -= part;
    }
    Ok(true)
}

/// Switches protocols at once and sends back whatever comes.
fn websocket(peer: &mut Peer) -> io::Result<bool> {
    peer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nX-App: 1\r\nUpgrade: websocket\r\n\
          Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )?;
    loop {
        let bytes = peer.some()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        peer.write(&bytes)?;
    }
}
