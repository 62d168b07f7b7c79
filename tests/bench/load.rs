//! The clients of HTTP/1.1: kept connections without pipelining.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::certificate;

pub(crate) const CONNECTIONS: usize = 32;
pub(crate) const HOST: &str = "app.example.com";
const THREADS: usize = 2;

/// The headers a browser sends with every request, and its cookies.
pub(crate) fn headers(cookies: &str) -> [(&'static str, &str); 9] {
    [
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", "application/json"),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("referer", "https://app.example.com/upload"),
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "same-origin"),
        ("cookie", cookies),
    ]
}

/// A request as a browser sends it.
pub(crate) fn get(path: &str, cookies: &str) -> Vec<u8> {
    let mut text = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n");
    for (name, value) in headers(cookies) {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Connections to one server.
pub(crate) struct Connections(Vec<Connection>);

impl Connections {
    pub(crate) fn open(address: &str, count: usize) -> Self {
        Self((0..count).map(|_| Connection::new(connect(address))).collect())
    }

    /// As `open`, over TLS.
    pub(crate) fn open_tls(address: &str, count: usize) -> Self {
        let open = |_| Connection::new(certificate::shake_hands(connect(address)));
        Self((0..count).map(open).collect())
    }

    /// Sends `request` as often as said, on all connections alike.
    pub(crate) fn repeat(&mut self, request: &[u8], times: usize) {
        let turns = times / self.0.len();
        let share = self.0.len().div_ceil(THREADS);
        std::thread::scope(|scope| {
            for some in self.0.chunks_mut(share) {
                scope.spawn(move || (0..turns).for_each(|_| turn(some, request)));
            }
        });
    }

    /// Sends each request once, a batch at a time.
    pub(crate) fn send_all(&mut self, requests: impl Iterator<Item = Vec<u8>>) {
        let mut requests = requests.peekable();
        while requests.peek().is_some() {
            let busy = self.0.iter_mut().zip(&mut requests);
            let count = busy.map(|(connection, request)| connection.send(&request)).count();
            for connection in self.0.iter_mut().take(count) {
                connection.receive();
            }
        }
    }

    /// The body of the answer to one request.
    pub(crate) fn body_of(&mut self, request: &[u8]) -> Vec<u8> {
        self.0[0].send(request);
        self.0[0].receive().to_vec()
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Connection {
    fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), buffer: vec![0; 256 * 1024] }
    }

    fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        self.stream.flush().unwrap();
    }

    /// Reads one answer and returns its body.
    fn receive(&mut self) -> &[u8] {
        let mut filled = 0;
        let mut whole: Option<(usize, usize)> = None;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert_ne!(read, 0, "the server closed the connection");
            filled += read;
            whole = whole.or_else(|| extent(&self.buffer[..filled]));
            if let Some((start, end)) = whole.filter(|&(_, end)| end <= filled) {
                return &self.buffer[start..end];
            }
        }
    }
}

/// Waits for the last answer first: by then the others are there too. Otherwise
/// the server would be charged for waking its client, the more often the slower
/// it is.
fn turn(connections: &mut [Connection], request: &[u8]) {
    connections.iter_mut().for_each(|connection| connection.send(request));
    for connection in connections.iter_mut().rev() {
        connection.receive();
    }
}

/// Where the body starts and ends, once the head is there.
fn extent(answer: &[u8]) -> Option<(usize, usize)> {
    let start = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..start]).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let length = head.split_once("content-length: ").unwrap().1.split_once('\r').unwrap().0;
    Some((start, start + length.parse::<usize>().unwrap()))
}
