//! A proxy in front of a Redis that spoils replies: it delays them, cuts connections in
//! the middle, and passes every request on.

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
                std::thread::spawn(move || pass(&from, &to, None));
                let ours = ours.clone();
                std::thread::spawn(move || pass(&server, &client, Some(&ours)));
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

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, faults: Option<&Faults>) {
    let mut bytes = vec![0; 64 * 1024];
    let mut reads = 0;
    loop {
        let count = match from.read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        reads += 1;
        if let Some(faults) = faults {
            let every = faults.every.load(Ordering::SeqCst);
            if every > 0 && reads % every == 0 {
                std::thread::sleep(Duration::from_millis(faults.delay_ms.load(Ordering::SeqCst)));
            }
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
