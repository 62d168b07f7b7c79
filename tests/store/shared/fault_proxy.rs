//! A proxy in front of a store that spoils replies: it delays them and cuts connections in
//! the middle. Requests pass, but for one that a test holds up.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The fault applied to replies now; a test changes it at any time.
#[derive(Default)]
pub(crate) struct Faults {
    /// Every so many reads from the server wait so long.
    pub(crate) every: AtomicU64,
    pub(crate) delay_ms: AtomicU64,
    /// Bytes of replies.
    passed: AtomicU64,
    held: Mutex<Held>,
}

/// A request that does not pass.
#[derive(Default)]
struct Held {
    /// A word of it, while it is to be held up.
    word: Option<&'static str>,
    is_here: bool,
}

impl Faults {
    /// Waits with a reply whose turn it is.
    fn reply(&self, reads: u64, reply: &[u8]) {
        self.passed.fetch_add(reply.len().try_into().unwrap(), Ordering::SeqCst);
        let every = self.every.load(Ordering::SeqCst);
        if every > 0 && reads.is_multiple_of(every) {
            std::thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::SeqCst)));
        }
    }

    /// Waits with a request that has the word.
    fn hold(&self, request: &[u8]) {
        let has = |word: &str| request.windows(word.len()).any(|part| part == word.as_bytes());
        loop {
            let mut held = self.held.lock().unwrap();
            held.is_here = held.word.is_some_and(has);
            if !held.is_here {
                return;
            }
            drop(held);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

pub(crate) struct FaultProxy {
    pub(crate) port: u16,
    pub(crate) faults: Arc<Faults>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl FaultProxy {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (faults, open) = (Arc::new(Faults::default()), Arc::new(Mutex::new(Vec::new())));
        let (ours, connections) = (faults.clone(), open.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let mut all = connections.lock().unwrap();
                all.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (there, back) = (ours.clone(), ours.clone());
                std::thread::spawn(move || pass(&from, &to, |_, request| there.hold(request)));
                std::thread::spawn(move || {
                    pass(&server, &client, |reads, reply| back.reply(reads, reply))
                });
            }
        });
        Self { port, faults, open }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// One of `every` replies comes `delay` late, and all behind it.
    pub(crate) fn delay(&self, every: u64, delay: Duration) {
        self.faults.every.store(every, Ordering::SeqCst);
        let delay = u64::try_from(delay.as_millis()).unwrap();
        self.faults.delay_ms.store(delay, Ordering::SeqCst);
    }

    /// Holds the next request up that has this word.
    pub(crate) fn hold(&self, word: &'static str) {
        self.faults.held.lock().unwrap().word = Some(word);
    }

    /// Whether a request is held up.
    pub(crate) fn has_held(&self) -> bool {
        self.faults.held.lock().unwrap().is_here
    }

    pub(crate) fn let_go(&self) {
        self.faults.held.lock().unwrap().word = None;
    }

    /// Bytes that the server has sent.
    pub(crate) fn passed(&self) -> u64 {
        self.faults.passed.load(Ordering::SeqCst)
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, wait: impl Fn(u64, &[u8])) {
    let mut bytes = vec![0; 64 * 1024];
    let mut reads = 0;
    loop {
        let count = match from.read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        reads += 1;
        wait(reads, &bytes[..count]);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
