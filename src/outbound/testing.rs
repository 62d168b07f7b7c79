//! A server that says exactly what a test wants, on a loopback port of the
//! system's choice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Url;

/// The server's script for each request on a connection.
#[derive(Clone)]
pub(crate) enum Habit {
    /// Answers, and keeps the connection.
    Keep(&'static str),
    /// Answers, then closes.
    Close(&'static str),
    /// Answers the first request as if it kept the connection, then closes it
    /// when the next one comes.
    Forget(&'static str),
    /// Answers with the current content, and keeps the connection.
    Say(Arc<Mutex<String>>),
    Silent,
}

pub(crate) struct Server {
    pub(crate) url: Url,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Every request so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A 200 with this body.
pub(crate) fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

pub(crate) async fn serve(habit: Habit) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/a?b=c", listener.local_addr().unwrap())).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let (count, record) = (connections.clone(), seen.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream, habit.clone(), record.clone()));
        }
    });
    Server { url, connections, seen }
}

async fn answer(mut stream: TcpStream, habit: Habit, seen: Arc<Mutex<Vec<String>>>) {
    for turn in 0.. {
        let Some(request) = read_request(&mut stream).await else { return };
        seen.lock().unwrap().push(request);
        let (text, keep) = match &habit {
            Habit::Close(text) => ((*text).to_owned(), false),
            Habit::Forget(_) if turn > 0 => return,
            Habit::Forget(text) | Habit::Keep(text) => ((*text).to_owned(), true),
            Habit::Say(text) => (text.lock().unwrap().clone(), true),
            Habit::Silent => std::future::pending().await,
        };
        stream.write_all(text.as_bytes()).await.unwrap();
        if !keep {
            return;
        }
    }
}

/// One request's head, and as much body as it says.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut all = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.ok().filter(|&read| read > 0)?;
        all.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap_or("0");
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            if body.len() >= length {
                return Some(text);
            }
        }
    }
}
