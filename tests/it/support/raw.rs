//! A server that answers every request with the bytes a test chose, in the
//! pieces the test chose, and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::PATIENCE;

pub(crate) struct Raw {
    pub(crate) url: String,
    pieces: Arc<Mutex<Vec<Vec<u8>>>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    /// Each piece goes out on its own, with a pause between two of them. After the
    /// last one the connection is closed.
    pub(crate) fn start(pieces: &[&[u8]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let raw = Self { url, pieces: Arc::default(), heads: Arc::default() };
        raw.answers(pieces);
        let (pieces, heads) = (raw.pieces.clone(), raw.heads.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (pieces, heads) = (pieces.clone(), heads.clone());
                std::thread::spawn(move || serve(socket, &pieces, &heads));
            }
        });
        raw
    }

    pub(crate) fn answers(&self, pieces: &[&[u8]]) {
        *self.pieces.lock().unwrap() = pieces.iter().map(|piece| piece.to_vec()).collect();
    }

    /// The heads of all requests so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The head of the last request.
    pub(crate) fn head(&self) -> String {
        self.heads().pop().expect("nobody asked")
    }
}

fn serve(socket: TcpStream, pieces: &Mutex<Vec<Vec<u8>>>, heads: &Mutex<Vec<String>>) {
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !matches!(socket.read_line(&mut head), Ok(1..)) {
            return;
        }
    }
    heads.lock().unwrap().push(head.to_lowercase());
    for piece in pieces.lock().unwrap().clone() {
        if socket.get_mut().write_all(&piece).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // Closing with something unread would reset the connection, and the answer with it.
    drop(socket.get_ref().shutdown(Shutdown::Write));
    drop(std::io::copy(&mut socket.by_ref().take(1 << 20), &mut std::io::sink()));
}
