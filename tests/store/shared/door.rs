//! A port that ends every connection, and counts them.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A port at which each connection ends at once: something is there, and it is no store.
pub(crate) struct Door {
    port: u16,
    knocks: Arc<Mutex<Vec<Instant>>>,
    closed: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Door {
    pub(crate) fn open(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let (knocks, closed) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let (ours, stop): (Arc<Mutex<Vec<Instant>>>, _) = (Arc::clone(&knocks), closed.clone());
        let thread = std::thread::spawn(move || {
            for client in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                drop(client);
                ours.lock().unwrap().push(Instant::now());
            }
        });
        Self { port, knocks, closed, thread }
    }

    /// How often it was tried lately.
    pub(crate) fn knocks(&self, lately: Duration) -> usize {
        self.knocks.lock().unwrap().iter().filter(|at| at.elapsed() < lately).count()
    }

    pub(crate) fn close(self) {
        self.closed.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        self.thread.join().unwrap();
    }
}
