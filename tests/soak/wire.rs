//! A client for times when connections end in the middle: what comes back is a
//! whole answer or an error, never a panic.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Response, find};

/// Longer than anything takes that is right.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Wire<S> {
    socket: S,
    buffer: Vec<u8>,
}

impl Wire<TcpStream> {
    pub(crate) fn open(address: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self::over(socket))
    }
}

impl<S: Read + Write> Wire<S> {
    pub(crate) fn over(socket: S) -> Self {
        Self { socket, buffer: Vec::new() }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)?;
        self.socket.flush()
    }

    /// Sends a request that is not HEAD and reads its whole answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> io::Result<Response> {
        self.write(request)?;
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> io::Result<Response> {
        let mut answer = self.head()?;
        answer.body = if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks()?
        } else {
            let length = answer.header("content-length").and_then(|length| length.parse().ok());
            self.exactly(length.ok_or_else(|| io::Error::other("an answer without a length"))?)?
        };
        answer.check();
        Ok(answer)
    }

    pub(crate) fn head(&mut self) -> io::Result<Response> {
        let head = self.until(b"\r\n\r\n")?;
        Response::parse(&head).ok_or_else(|| {
            io::Error::other(format!("no answer: {:?}", String::from_utf8_lossy(&head)))
        })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n")?;
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
            body.extend(self.exactly(size)?);
            self.until(b"\r\n")?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    pub(crate) fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.buffer, end) {
                return Ok(self.buffer.drain(..at + end.len()).collect());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; 32 * 1024];
        match self.socket.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.buffer.extend_from_slice(&bytes[..length]);
                Ok(())
            }
        }
    }
}
