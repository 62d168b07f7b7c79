//! A client that speaks bytes and reads exactly one response at a time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use super::{PATIENCE, Request, Response, eventually};

trait Socket: Read + Write {
    fn set_patience(&self, patience: Duration);
    fn set_write_patience(&self, patience: Option<Duration>);
    fn try_finish(&self) -> bool;
}

impl Socket for TcpStream {
    fn set_patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).unwrap();
    }

    fn set_write_patience(&self, patience: Option<Duration>) {
        self.set_write_timeout(patience).unwrap();
    }

    fn try_finish(&self) -> bool {
        self.shutdown(std::net::Shutdown::Write).is_ok()
    }
}

impl Socket for UnixStream {
    fn set_patience(&self, patience: Duration) {
        self.set_read_timeout(Some(patience)).unwrap();
    }

    fn set_write_patience(&self, patience: Option<Duration>) {
        self.set_write_timeout(patience).unwrap();
    }

    fn try_finish(&self) -> bool {
        self.shutdown(std::net::Shutdown::Write).is_ok()
    }
}

/// TLS that reads what was sent although nothing can be written any more.
struct Tls(StreamOwned<ClientConnection, TcpStream>);

impl Read for Tls {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let StreamOwned { conn, sock } = &mut self.0;
        loop {
            match conn.reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if conn.wants_write() {
                drop(conn.write_tls(sock));
            }
            if conn.read_tls(sock)? == 0 {
                return Ok(0);
            }
            conn.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Socket for Tls {
    fn set_patience(&self, patience: Duration) {
        self.0.sock.set_patience(patience);
    }

    fn set_write_patience(&self, patience: Option<Duration>) {
        self.0.sock.set_write_patience(patience);
    }

    fn try_finish(&self) -> bool {
        self.0.sock.try_finish()
    }
}

/// One connection to the gateway.
pub(crate) struct Conn {
    socket: Box<dyn Socket + Send>,
    buffer: Vec<u8>,
    /// Its own address and the gateway's, where it is a plain connection over TCP.
    ends: Option<[SocketAddr; 2]>,
}

impl Conn {
    /// `address` is `host:port` or the path of a unix socket.
    pub(crate) fn open(address: &str) -> Self {
        let mut ends = None;
        let socket: Box<dyn Socket + Send> = if address.starts_with('/') {
            Box::new(UnixStream::connect(address).unwrap())
        } else {
            let socket = TcpStream::connect(address).unwrap();
            socket.set_nodelay(true).unwrap();
            ends = Some([socket.local_addr().unwrap(), socket.peer_addr().unwrap()]);
            Box::new(socket)
        };
        socket.set_patience(PATIENCE);
        Self { socket, buffer: Vec::new(), ends }
    }

    /// On top of TLS; the handshake is done when something is written.
    pub(crate) fn over_tls(stream: StreamOwned<ClientConnection, TcpStream>) -> Self {
        let stream = Tls(stream);
        stream.set_patience(PATIENCE);
        Self { socket: Box::new(stream), buffer: Vec::new(), ends: None }
    }

    /// How long a write may wait for the other side to read.
    pub(crate) fn write_patience(&self, patience: Option<Duration>) {
        self.socket.set_write_patience(patience);
    }

    /// Writes as much as is taken at once.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).unwrap();
    }

    /// For connections the gateway may have closed already.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)?;
        self.socket.flush()
    }

    /// Waits until the gateway has begun to read the octets that were written last, as the
    /// system tells.
    #[track_caller]
    pub(crate) fn wait_until_noticed(&self, written: usize) {
        let [own, gateway] = self.ends.expect("a plain connection over TCP");
        eventually("the gateway reads", || {
            let has_arrived = queues(own, gateway).is_some_and(|(left, _)| left == 0);
            has_arrived && queues(gateway, own).is_some_and(|(_, left)| left < written)
        });
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&self) {
        assert!(self.socket.try_finish());
    }

    /// As `finish`, if the connection is still there.
    pub(crate) fn try_finish(&self) {
        self.socket.try_finish();
    }

    /// Sends a request and reads its response.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Response {
        self.write(&request.bytes());
        self.response_to(&request.method)
    }

    /// The response to a request that was sent; interim ones are passed over.
    #[track_caller]
    pub(crate) fn response_to(&mut self, method: &str) -> Response {
        self.try_response_to(method).expect("the connection ended without a response")
    }

    /// As `response_to`; `None` if the connection ends first.
    #[track_caller]
    pub(crate) fn try_response_to(&mut self, method: &str) -> Option<Response> {
        loop {
            let response = self.next_head()?;
            if response.status >= 200 || response.status == 101 {
                return Some(self.with_body(response, method));
            }
        }
    }

    /// The next head, interim ones included; its body is still to come.
    #[track_caller]
    pub(crate) fn next_head(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if self.fill() == 0 {
                assert!(self.buffer.is_empty(), "cut off: {:?}", lossy(&self.buffer));
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        Some(Response::parse(&head).unwrap_or_else(|| panic!("no response: {:?}", lossy(&head))))
    }

    #[track_caller]
    fn with_body(&mut self, mut response: Response, method: &str) -> Response {
        let bodiless = method == "HEAD" || matches!(response.status, 101 | 204 | 304);
        if !bodiless {
            response.body = if response.header("transfer-encoding") == Some("chunked") {
                self.chunks()
            } else if let Some(length) = response.header("content-length") {
                let length = length.parse().unwrap();
                self.exactly(length)
            } else {
                self.rest()
            };
        }
        response.check();
        response
    }

    /// The data of a chunked body to its end, trailers passed over.
    #[track_caller]
    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk();
            if chunk.is_empty() {
                while self.line() != "" {}
                return body;
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// The data of the next chunk; empty for the last one.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let size = self.line();
        let size = usize::from_str_radix(size.split(';').next().unwrap(), 16)
            .unwrap_or_else(|_| panic!("no chunk size: {size:?}"));
        let data = self.exactly(size);
        if size > 0 {
            assert_eq!(self.line(), "", "no line end after a chunk");
        }
        data
    }

    #[track_caller]
    fn line(&mut self) -> String {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
                return lossy(&line);
            }
            assert_ne!(self.fill(), 0, "cut off: {:?}", lossy(&self.buffer));
        }
    }

    #[track_caller]
    pub(crate) fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert_ne!(self.fill(), 0, "{} of {length} bytes came", self.buffer.len());
        }
        self.buffer.drain(..length).collect()
    }

    /// Everything to the end of the connection, however it ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill() > 0 {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the other side has ended the connection with nothing more to say.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && self.fill() == 0
    }

    /// Reads more; zero at the end, also if the connection was reset.
    #[track_caller]
    fn fill(&mut self) -> usize {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(length) => {
                    self.buffer.extend_from_slice(&bytes[..length]);
                    return length;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        panic!("nothing came; so far: {:?}", lossy(&self.buffer))
                    }
                    _ => return 0,
                },
            }
        }
    }
}

/// Octets that wait to be taken by the other side of a connection, and that wait to be read
/// here (proc_pid_net(5), `tcp`). The table may lack a row while others come and go.
fn queues(local: SocketAddr, remote: SocketAddr) -> Option<(usize, usize)> {
    let hex = |address: SocketAddr| match address {
        SocketAddr::V4(it) => {
            format!("{:08X}:{:04X}", u32::from_ne_bytes(it.ip().octets()), it.port())
        }
        SocketAddr::V6(it) => panic!("{it} is of the other version"),
    };
    let (local, remote) = (hex(local), hex(remote));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let row = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut row = row.filter(|row| row.len() > 4 && row[1] == local && row[2] == remote);
    let row = row.next()?;
    let (sent, received) = row[4].split_once(':')?;
    let read = |text| usize::from_str_radix(text, 16).unwrap();
    Some((read(sent), read(received)))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
