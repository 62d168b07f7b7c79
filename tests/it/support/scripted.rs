//! An app that answers each target with the bytes and the silences a test wrote
//! down, and any other target with its own name.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::client::find;
use super::{PATIENCE, Request, get};

/// The app's script for one request.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Sent one by one, with a short silence between two of them.
    pieces: Vec<Vec<u8>>,
    body: Body,
    end: End,
}

/// When the request's body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    First,
    Never,
}

/// How the connection goes on afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    HalfClose,
    Keep,
    Reset,
    /// Open, and nothing more to say.
    Silence,
}

impl Script {
    /// Sends these pieces; the connection waits for the next request.
    pub(crate) fn says(pieces: &[&[u8]]) -> Self {
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        Self { pieces, body: Body::First, end: End::Keep }
    }

    /// One byte at a time.
    pub(crate) fn dripping(bytes: &[u8]) -> Self {
        let pieces = bytes.iter().map(|byte| vec![*byte]).collect();
        Self { pieces, body: Body::First, end: End::Keep }
    }

    pub(crate) fn closes(self) -> Self {
        Self { end: End::Close, ..self }
    }

    pub(crate) fn half_closes(self) -> Self {
        Self { end: End::HalfClose, ..self }
    }

    pub(crate) fn resets(self) -> Self {
        Self { end: End::Reset, ..self }
    }

    pub(crate) fn falls_silent(self) -> Self {
        Self { end: End::Silence, ..self }
    }

    /// The request's body stays where it is.
    pub(crate) fn without_reading(self) -> Self {
        Self { body: Body::Never, ..self }
    }
}

pub(crate) struct Scripted {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    answered: Arc<AtomicUsize>,
}

/// Which script a target asks for.
type Scripts = Arc<dyn Fn(&str) -> Option<Script> + Send + Sync>;

impl Scripted {
    pub(crate) fn start(scripts: impl Fn(&str) -> Option<Script> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (scripts, seen): (Scripts, _) = (Arc::new(scripts), asked.clone());
        let answered = Arc::new(AtomicUsize::new(0));
        let written = answered.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                socket.set_nodelay(true).unwrap();
                socket.set_read_timeout(Some(PATIENCE * 2)).unwrap();
                let mut peer = Peer {
                    socket,
                    buffer: Vec::new(),
                    scripts: scripts.clone(),
                    asked: seen.clone(),
                    answered: written.clone(),
                };
                // An error means the gateway is gone: nobody is left to tell.
                std::thread::spawn(move || while peer.serve().is_ok_and(|more| more) {});
            }
        });
        Self { url, asked, answered }
    }

    /// How many requests were answered, to the last piece of their scripts.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// How often this was asked for.
    pub(crate) fn times(&self, method: &str, target: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        let start = format!("{method} {target} ");
        asked.iter().filter(|line| line.starts_with(&start)).count()
    }
}

/// A request that is answered with `number`, whatever happens to others.
pub(crate) fn numbered(number: usize) -> Request {
    get(&format!("/number/{number}"))
}

struct Peer {
    socket: TcpStream,
    buffer: Vec<u8>,
    scripts: Scripts,
    asked: Arc<Mutex<Vec<String>>>,
    answered: Arc<AtomicUsize>,
}

impl Peer {
    /// Answers one request; whether the connection goes on.
    fn serve(&mut self) -> io::Result<bool> {
        let Some(end) = self.until(b"\r\n\r\n")? else { return Ok(false) };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let line = head.split("\r\n").next().unwrap().to_owned();
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked.lock().unwrap().push(line);
        let own = format!(
            "HTTP/1.1 200 OK\r\nX-App: 1\r\nContent-Length: {}\r\n\r\n{target}",
            target.len()
        );
        let script = (self.scripts)(&target).unwrap_or_else(|| Script::says(&[own.as_bytes()]));
        if script.body == Body::First {
            self.read_body(&head.to_ascii_lowercase())?;
        }
        for (index, piece) in script.pieces.iter().enumerate() {
            if index > 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
            self.socket.write_all(piece)?;
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        self.finish(script.end)
    }

    fn finish(&mut self, end: End) -> io::Result<bool> {
        match end {
            End::Keep => return Ok(true),
            End::Close => {}
            End::HalfClose => {
                self.socket.shutdown(Shutdown::Write)?;
                self.wait_for_end()?;
            }
            End::Reset => {
                // Lets what was sent be read first.
                std::thread::sleep(Duration::from_millis(20));
                set_socket_linger(&self.socket, Some(Duration::ZERO))?;
            }
            End::Silence => self.wait_for_end()?,
        }
        Ok(false)
    }

    fn wait_for_end(&mut self) -> io::Result<()> {
        while self.fill()? > 0 {}
        Ok(())
    }

    fn read_body(&mut self, head: &str) -> io::Result<()> {
        if head.contains("\r\ntransfer-encoding: chunked") {
            let end = self.until(b"0\r\n\r\n")?.unwrap_or_default();
            self.buffer.drain(..end);
        }
        let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < length && self.fill()? > 0 {}
        self.buffer.drain(..length.min(self.buffer.len()));
        Ok(())
    }

    /// Where the first `needle` ends, once it is there; `None` at the end.
    fn until(&mut self, needle: &[u8]) -> io::Result<Option<usize>> {
        loop {
            if let Some(start) = find(&self.buffer, needle) {
                return Ok(Some(start + needle.len()));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let length = self.socket.read(&mut bytes)?;
        self.buffer.extend_from_slice(&bytes[..length]);
        Ok(length)
    }
}
