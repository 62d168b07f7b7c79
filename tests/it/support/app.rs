//! The app behind the gateway: records exactly what it received, answers by path.
//!
//! Plain threads and sockets, no HTTP library: what matters here is bytes.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::client::find;
use super::seen::Seen;
use super::{PATIENCE, eventually, handlers};

/// Of a body no more than this is kept; its length is counted in any case.
const KEPT: usize = 1 << 20;

/// State shared by the app's threads.
#[derive(Default)]
pub(super) struct Shared {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    ended: AtomicUsize,
    stopped: AtomicBool,
    written: AtomicUsize,
    gate: Mutex<bool>,
    opened: Condvar,
}

impl Shared {
    /// Waits until the test opens the gate.
    pub(super) fn wait_at_gate(&self) {
        let gate = self.gate.lock().unwrap();
        let _ = self.opened.wait_timeout_while(gate, PATIENCE, |open| !*open).unwrap();
    }

    pub(super) fn is_gate_open(&self) -> bool {
        *self.gate.lock().unwrap()
    }
}

pub(crate) struct App {
    url: String,
    address: String,
    shared: Arc<Shared>,
}

impl App {
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// On a given address: an app that comes back.
    pub(crate) fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = Self { url: format!("http://{address}"), address, shared: Arc::default() };
        let shared = app.shared.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                socket.set_nodelay(true).unwrap();
                serve(&shared, Box::new(socket));
            }
        });
        app
    }

    /// Speaking TLS.
    pub(crate) fn over_tls(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = Self { url: format!("https://{address}"), address, shared: Arc::default() };
        let shared = app.shared.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let session = ServerConnection::new(config.clone()).unwrap();
                serve(&shared, Box::new(StreamOwned::new(session, socket)));
            }
        });
        app
    }

    pub(crate) fn on_unix_socket(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let address = path.display().to_string();
        let app = Self { url: format!("unix:{address}"), address, shared: Arc::default() };
        let shared = app.shared.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                serve(&shared, Box::new(socket));
            }
        });
        app
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Every request so far, in the order their heads came.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Every request since the last time, which are forgotten with it.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }

    /// The only request so far.
    #[track_caller]
    pub(crate) fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    #[track_caller]
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the app was not asked")
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) {
        eventually("requests at the app", || self.shared.seen.lock().unwrap().len() >= count);
    }

    /// Waits until so many connections to the app have ended.
    #[track_caller]
    pub(crate) fn wait_for_ended(&self, count: usize) {
        let ended = || self.shared.ended.load(Ordering::SeqCst);
        eventually("ended connections at the app", || ended() >= count);
    }

    pub(crate) fn forget(&self) {
        self.shared.seen.lock().unwrap().clear();
    }

    /// Lets go on whoever waits in the middle of an answer.
    pub(crate) fn open_gate(&self) {
        *self.shared.gate.lock().unwrap() = true;
        self.shared.opened.notify_all();
    }

    pub(crate) fn close_gate(&self) {
        *self.shared.gate.lock().unwrap() = false;
    }

    /// Bytes the app has written in all.
    pub(crate) fn written(&self) -> usize {
        self.shared.written.load(Ordering::SeqCst)
    }

    /// Waits until the app has written and then stood still for a while.
    pub(crate) fn wait_until_blocked(&self) {
        let mut before = 0;
        eventually("a standstill", || {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.written();
            std::mem::replace(&mut before, now) == now && now > 0
        });
    }
}

impl Drop for App {
    /// Ends the listener; the call below wakes it up.
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.open_gate();
        if self.address.starts_with('/') {
            drop(UnixStream::connect(&self.address));
        } else {
            drop(TcpStream::connect(&self.address));
        }
    }
}

pub(super) trait Socket: Read + Write + Send {
    fn set_patience(&self);
}

impl Socket for TcpStream {
    fn set_patience(&self) {
        self.set_read_timeout(Some(PATIENCE * 2)).unwrap();
    }
}

impl Socket for StreamOwned<ServerConnection, TcpStream> {
    fn set_patience(&self) {
        self.sock.set_patience();
    }
}

impl Socket for UnixStream {
    fn set_patience(&self) {
        self.set_read_timeout(Some(PATIENCE * 2)).unwrap();
    }
}

fn serve(shared: &Arc<Shared>, socket: Box<dyn Socket>) {
    let shared = shared.clone();
    std::thread::spawn(move || {
        socket.set_patience();
        let number = shared.connections.fetch_add(1, Ordering::SeqCst);
        let mut peer = Peer { socket, buffer: Vec::new(), number, index: 0, shared };
        // An error means the gateway is gone: nobody is left to tell.
        while peer.next_request().is_ok_and(|more| more) {}
        peer.shared.ended.fetch_add(1, Ordering::SeqCst);
    });
}

/// One connection from the gateway.
pub(super) struct Peer {
    socket: Box<dyn Socket>,
    buffer: Vec<u8>,
    number: usize,
    index: usize,
    pub(super) shared: Arc<Shared>,
}

impl Peer {
    /// Whether the connection goes on after this request.
    fn next_request(&mut self) -> io::Result<bool> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if self.fill()? == 0 {
                if !self.buffer.is_empty() {
                    let head = std::mem::take(&mut self.buffer);
                    self.record(head);
                }
                return Ok(false);
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        self.record(head.clone());
        let seen = Seen { head, ..Seen::default() };
        handlers::answer(self, &seen)
    }

    fn record(&mut self, head: Vec<u8>) {
        let mut seen = self.shared.seen.lock().unwrap();
        self.index = seen.len();
        seen.push(Seen { connection: self.number, head, ..Seen::default() });
    }

    fn note(&self, wire: &[u8], length: usize) {
        // Gone if the test has asked the app to forget.
        if let Some(seen) = self.shared.seen.lock().unwrap().get_mut(self.index) {
            let room = KEPT.saturating_sub(seen.wire.len()).min(wire.len());
            seen.wire.extend_from_slice(&wire[..room]);
            seen.length += length;
        }
    }

    /// Reads a request's body, handing on each piece as it comes.
    pub(super) fn body(
        &mut self,
        seen: &Seen,
        mut piece: impl FnMut(&mut Self, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if seen.one("transfer-encoding").is_some() {
            loop {
                let line = self.line()?;
                let size = usize::from_str_radix(line.split(';').next().unwrap(), 16)
                    .map_err(io::Error::other)?;
                self.note(format!("{line}\r\n").as_bytes(), 0);
                if size == 0 {
                    loop {
                        let trailer = self.line()?;
                        self.note(format!("{trailer}\r\n").as_bytes(), 0);
                        if trailer.is_empty() {
                            return Ok(());
                        }
                    }
                }
                self.pieces(size, &mut piece)?;
                let end = self.line()?;
                self.note(format!("{end}\r\n").as_bytes(), 0);
            }
        }
        let length = seen.one("content-length").map_or(0, |length| length.parse().unwrap());
        self.pieces(length, &mut piece)
    }

    fn pieces(
        &mut self,
        mut left: usize,
        piece: &mut impl FnMut(&mut Self, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while left > 0 {
            if self.buffer.is_empty() && self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let length = left.min(self.buffer.len());
            let bytes: Vec<u8> = self.buffer.drain(..length).collect();
            self.note(&bytes, bytes.len());
            piece(self, &bytes)?;
            left -= length;
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Whatever comes next; empty at the end.
    pub(super) fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)?;
        self.shared.written.fetch_add(bytes.len(), Ordering::SeqCst);
        self.socket.flush()
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let length = self.socket.read(&mut bytes)?;
        self.buffer.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    /// Between two pieces of a slow answer.
    pub(super) fn pause(&self) {
        std::thread::sleep(Duration::from_millis(20));
    }
}
