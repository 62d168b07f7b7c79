//! The app of the soak: answers each numbered request with what belongs to that
//! number, and can be killed with all its connections and started again.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::servers::free_port;

/// Events of one stream, and the pause between two.
pub(crate) const EVENTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(30);

pub(crate) struct App {
    pub(crate) address: String,
    running: Option<Running>,
}

struct Running {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    open: Mutex<HashMap<usize, TcpStream>>,
}

/// The body of a page, or one event: nobody else's has a byte in common with it
/// for long.
pub(crate) fn text(number: u64, size: usize) -> Vec<u8> {
    format!("{number:011} ").into_bytes().into_iter().cycle().take(size).collect()
}

pub(crate) fn event(number: u64, event: usize) -> String {
    format!("data: {number} {event}\n\n")
}

/// The answer to an upload (FNV-1a over its octets).
pub(crate) fn receipt(number: u64, body: &[u8]) -> String {
    let hash = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{number} {} {hash:x}", body.len())
}

impl App {
    pub(crate) fn start() -> Self {
        let mut app = Self { address: format!("127.0.0.1:{}", free_port()), running: None };
        app.resume();
        app
    }

    pub(crate) fn resume(&mut self) {
        let listener = TcpListener::bind(&self.address).unwrap();
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        self.running = Some(Running { shared, thread });
    }

    /// At once, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        let Some(Running { shared, thread }) = self.running.take() else { return };
        shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener up.
        drop(TcpStream::connect(&self.address));
        thread.join().unwrap();
        for (_, socket) in shared.open.lock().unwrap().drain() {
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.kill();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (number, socket) in listener.incoming().flatten().enumerate() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let shared = shared.clone();
        shared.open.lock().unwrap().insert(number, socket.try_clone().unwrap());
        std::thread::spawn(move || {
            socket.set_nodelay(true).unwrap();
            let mut socket = BufReader::new(socket);
            while answer(&mut socket).is_ok_and(|goes_on| goes_on) {}
            shared.open.lock().unwrap().remove(&number);
        });
    }
}

/// Answers one request; whether the connection goes on.
fn answer(socket: &mut BufReader<TcpStream>) -> io::Result<bool> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head)? == 0 {
            return Ok(false);
        }
    }
    let field = |name: &str| {
        let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map_or("-", |(_, value)| value)
    };
    let target = head.split(' ').nth(1).unwrap_or_default();
    let words: Vec<_> = target.trim_start_matches("/private").split('/').skip(1).collect();
    let number = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let same = format!(
        "X-App: 1\r\nX-Number: {number}\r\nX-User: {}\r\nX-Generation: {}\r\n",
        field("x-auth-user"),
        field("x-generation")
    );
    let body = match (field("content-length").parse(), field("transfer-encoding")) {
        (Ok(length), _) => exactly(socket, length)?,
        (Err(_), "chunked") => chunks(socket)?,
        (Err(_), _) => Vec::new(),
    };
    let socket = socket.get_mut();
    let (head, body) = match words.as_slice() {
        ["page", _, size] => ("", text(number, size.parse().unwrap_or(0))),
        ["upload", _] => ("", receipt(number, &body).into_bytes()),
        ["events", _] => return events(socket, &same, number).map(|()| true),
        ["socket", _] => return tunnel(socket, &same).map(|()| false),
        _ => ("X-Odd: 1\r\n", Vec::new()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\n{same}{head}Content-Length: {length}\r\n\r\n");
    socket.write_all(&[head.as_bytes(), &body].concat())?;
    Ok(true)
}

fn exactly(socket: &mut impl io::Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    socket.read_exact(&mut body)?;
    Ok(body)
}

fn chunks(socket: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        body.extend(exactly(socket, size)?);
        exactly(socket, 2)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn events(socket: &mut TcpStream, same: &str, number: u64) -> io::Result<()> {
    let head = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(format!("HTTP/1.1 200 OK\r\n{same}{head}").as_bytes())?;
    for event in 0..EVENTS {
        let data = self::event(number, event);
        socket.write_all(format!("{:x}\r\n{data}\r\n", data.len()).as_bytes())?;
        std::thread::sleep(PAUSE);
    }
    socket.write_all(b"0\r\n\r\n")
}

/// Sends back whatever comes.
fn tunnel(socket: &mut TcpStream, same: &str) -> io::Result<()> {
    let head = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    socket.write_all(format!("HTTP/1.1 101 Switching Protocols\r\n{same}{head}").as_bytes())?;
    let mut bytes = [0; 4096];
    loop {
        match socket.read(&mut bytes)? {
            0 => return Ok(()),
            length => socket.write_all(&bytes[..length])?,
        }
    }
}
