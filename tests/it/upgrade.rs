//! Another program takes over the sockets: nobody is refused, and one that does
//! not get that far changes nothing.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use crate::support::{
    App, Conn, PATIENCE, Process, Setup, assert_no_secret, cookie_of, eventually, find, folder, get,
};

const ENVIRONMENT: [(&str, &str); 2] = [
    ("SESSION_SECRET", "canary-of-the-session-0123456789abcdef"),
    ("PORTIVE_API_KEY", "PRTV_keyOne_canaryOfTheKey0123456789abcdef"),
];

fn text(setup: &Setup) -> String {
    setup
        .text()
        .replace("\"canary-of-the-session-0123456789abcdef\"", "\"env:SESSION_SECRET\"")
        .replace("\"PRTV_keyOne_canaryOfTheKey0123456789abcdef\"", "\"env:PORTIVE_API_KEY\"")
}

struct Running {
    process: Process,
    file: PathBuf,
    address: String,
    admin: String,
    /// Processes that took over; they are nobody's children and must not stay.
    successors: Mutex<Vec<String>>,
}

fn start(setup: &Setup) -> Running {
    let file = folder().join("gateway.toml");
    let process = Process::run(&file, &text(setup), &ENVIRONMENT);
    let (address, admin) = process.addresses();
    Running { process, file, address, admin, successors: Mutex::default() }
}

fn kill(signal: &str, pid: &str) -> bool {
    Command::new("kill").args([signal, pid]).output().unwrap().status.success()
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in self.successors.lock().unwrap().iter().filter(|pid| is_running(pid)) {
            kill("-KILL", pid);
        }
    }
}

impl Running {
    fn lines(&self, message: &str) -> Vec<Value> {
        let said = self.process.errors();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// The process that serves now.
    fn pid(&self) -> String {
        let successors = self.successors.lock().unwrap();
        successors.last().cloned().unwrap_or_else(|| self.process.id().to_string())
    }

    /// Asks for an upgrade and waits until the successor serves and the old
    /// process is gone.
    fn upgrade(&self) {
        let (old, count) = (self.pid(), self.lines("replaced").len());
        assert!(kill("-USR2", &old));
        eventually("the successor", || self.lines("replaced").len() > count);
        let pid = self.lines("replaced")[count]["pid"].to_string();
        self.successors.lock().unwrap().push(pid);
        // A process whose parent has ended, or the test's own child.
        eventually("the end of the old one", || !is_running(&old));
    }

    fn page(&self, path: &str) -> u16 {
        Conn::open(&self.address).ask(&get(path)).status
    }
}

/// What clients met with.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    failures: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Tally {
    fn note(&self, who: &str, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => {
                self.answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => self.failures.lock().unwrap().push(format!("{who}: {error}")),
        }
    }

    fn wait_for(&self, count: usize) {
        while self.answered.load(Ordering::SeqCst) < count {
            assert_eq!(self.failures.lock().unwrap().len(), 0, "{:?}", self.failures.lock());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// One request and its whole answer; whether the connection is kept.
fn exchange(socket: &mut TcpStream, path: &str) -> io::Result<bool> {
    let request = get(path).header("Cookie", &cookie_of("ada"));
    socket.write_all(&request.bytes())?;
    let (mut answer, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = find(&answer, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            if !head.starts_with("http/1.1 200") {
                return Err(io::Error::other(head));
            }
            let field = |name| head.lines().find_map(|line| line.strip_prefix(name));
            let length: usize = field("content-length: ").unwrap().parse().unwrap();
            if answer.len() >= end + 4 + length {
                return Ok(field("connection: ") != Some("close"));
            }
        }
        match socket.read(&mut bytes)? {
            0 => return Err(io::Error::other(format!("cut off after {} bytes", answer.len()))),
            length => answer.extend_from_slice(&bytes[..length]),
        }
    }
}

fn keeps_a_connection(address: &str, tally: &Tally) {
    let mut kept: Option<TcpStream> = None;
    while tally.goes_on() {
        let outcome = (|| {
            let mut socket = kept.take().map_or_else(|| connect(address), Ok)?;
            if exchange(&mut socket, "/kept")? {
                kept = Some(socket);
            }
            Ok(())
        })();
        tally.note("kept", outcome);
    }
}

fn opens_connections(address: &str, tally: &Tally) {
    while tally.goes_on() {
        let outcome = connect(address).and_then(|mut socket| exchange(&mut socket, "/new"));
        tally.note("new", outcome.map(drop));
    }
}

fn speaks_web_socket(address: &str, tally: &Tally) {
    const FRAME: &[u8] = b"\x81\x85\x01\x02\x03\x04ijojn";
    const UPGRADE: &[u8] = b"GET /do/websocket HTTP/1.1\r\nHost: app.test\r\n\
        Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let open = || {
        let mut socket = connect(address)?;
        socket.write_all(UPGRADE)?;
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            socket.read_exact(&mut byte)?;
            head.extend_from_slice(&byte);
        }
        let is_open = head.starts_with(b"HTTP/1.1 101");
        is_open.then_some(socket).ok_or_else(|| io::Error::other("not upgraded"))
    };
    while tally.goes_on() {
        let mut socket = match open() {
            Ok(socket) => socket,
            Err(error) => return tally.note("upgrade", Err(error)),
        };
        for _ in 0..50 {
            let mut echo = [0; FRAME.len()];
            let outcome = socket.write_all(FRAME).and_then(|()| socket.read_exact(&mut echo));
            tally.note("web socket", outcome);
        }
    }
}

/// Requests of the test below. More with `UPGRADE_REQUESTS=100000 cargo test`.
fn requests() -> usize {
    std::env::var("UPGRADE_REQUESTS").map_or(20_000, |count| count.parse().unwrap())
}

#[test]
fn nobody_notices_reloads_upgrades_and_the_end() {
    let app = App::start();
    let mut running = start(&Setup::new(&app).server("watch = false"));
    let (tally, total) = (Tally::default(), requests());
    std::thread::scope(|scope| {
        let clients: [fn(&str, &Tally); 5] = [
            keeps_a_connection,
            keeps_a_connection,
            opens_connections,
            opens_connections,
            speaks_web_socket,
        ];
        for client in clients {
            let (address, tally) = (&running.address, &tally);
            scope.spawn(move || client(address, tally));
        }
        let work = || {
            for part in 1..=9 {
                tally.wait_for(total * part / 10);
                match part {
                    3 | 6 => running.upgrade(),
                    _ => assert!(kill("-HUP", &running.pid())),
                }
            }
            tally.wait_for(total);
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        tally.stop.store(true, Ordering::SeqCst);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    let failures = tally.failures.lock().unwrap();
    assert_eq!(failures.len(), 0, "of {total}: {failures:?}");
    assert!(tally.answered.load(Ordering::SeqCst) >= total);
    assert_eq!(running.process.wait().code(), Some(0), "the first one");
    assert!(running.lines("configuration reloaded").len() >= 5);
    let last = running.pid();
    assert!(kill("-TERM", &last));
    eventually("the end", || !is_running(&last));
    assert_no_secret("standard error", running.process.errors().as_bytes());
}

#[test]
fn the_end_lets_requests_on_kept_connections_finish() {
    let app = App::start();
    let mut running = start(&Setup::new(&app).server("watch = false"));
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                // Ends with the connection, which the last answer announces.
                let mut socket = connect(&running.address).unwrap();
                while exchange(&mut socket, "/kept").unwrap() {
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                assert_eq!(socket.read(&mut [0]).unwrap(), 0);
            });
        }
        eventually("some answers", || answered.load(Ordering::SeqCst) > 200);
        running.process.signal("TERM");
    });
    assert_eq!(running.process.wait().code(), Some(0));
}

#[test]
fn a_program_that_does_not_start_changes_nothing() {
    let app = App::start();
    let running = start(&Setup::new(&app).server("watch = false"));
    let good = std::fs::read_to_string(&running.file).unwrap();
    let mut kept = Conn::open(&running.address);
    assert_eq!(kept.ask(&get("/x")).status, 200);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("listen = [\"127.0.0.1:0\", \"{}\"]", taken.local_addr().unwrap());
    for (count, text) in [
        "not toml [".to_owned(),
        good.replace("env:SESSION_SECRET", "env:NOT_SET"),
        good.replacen("listen = \"127.0.0.1:0\"", &taken, 1),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(&running.file, text).unwrap();
        running.process.signal("USR2");
        eventually("the refusal", || running.lines("not replaced; serving on").len() > count);
        assert_eq!(running.page("/x"), 200);
        assert_eq!(kept.ask(&get("/x")).status, 200, "on the connection from before");
    }
    assert!(running.process.errors().contains("NOT_SET"), "it says why itself");
    std::fs::write(&running.file, good).unwrap();
    running.upgrade();
    assert_eq!(running.page("/x"), 200);
}

#[test]
fn a_successor_may_listen_elsewhere_too_and_serves_by_its_own_file() {
    let app = App::start();
    let running = start(&Setup::new(&app).server("watch = false"));
    let socket = running.file.with_file_name("gateway.sock");
    let route = "[[route]]\npath = \"/new/**\"\nsession = \"required\"\n";
    let more = format!("listen = [\"127.0.0.1:0\", \"unix:{}\"]", socket.display());
    let next = text(&Setup::new(&app).server("watch = false").with(route));
    let next = next.replacen("listen = \"127.0.0.1:0\"", &more, 1);
    std::fs::write(&running.file, next).unwrap();
    let mut slow = Conn::open(&running.address);
    slow.write(&get("/do/slow").bytes());
    app.wait_for(1);
    let old = running.pid();
    assert!(kill("-USR2", &old));
    eventually("the new policy", || running.page("/new/x") == 401);
    assert_eq!(Conn::open(socket.to_str().unwrap()).ask(&get("/x")).status, 200);
    assert!(is_running(&old), "a request is in flight");
    app.open_gate();
    assert_eq!(slow.response_to("GET").text(), "slow but sure");
    eventually("the end of the old one", || !is_running(&old));
    running.successors.lock().unwrap().push(running.lines("replaced")[0]["pid"].to_string());
    assert_eq!(running.page("/new/x"), 401);
    let mut admin = Conn::open(&running.admin);
    admin.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(admin.next_head().unwrap().status, 200);
}

#[test]
fn the_service_manager_learns_who_serves() {
    let app = App::start();
    let file = folder().join("gateway.toml");
    let manager = file.with_file_name("notify.sock");
    let notices = std::os::unix::net::UnixDatagram::bind(&manager).unwrap();
    notices.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut bytes = [0; 256];
        let length = notices.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    let environment =
        [ENVIRONMENT[0], ENVIRONMENT[1], ("NOTIFY_SOCKET", manager.to_str().unwrap())];
    let text = text(&Setup::new(&app).server("watch = false"));
    let process = Process::run(&file, &text, &environment);
    let (address, admin) = process.addresses();
    let running = Running { process, file, address, admin, successors: Mutex::default() };
    assert_eq!(next(), "READY=1");
    running.upgrade();
    let mut notices = [next(), next()];
    notices.sort();
    assert_eq!(notices, [format!("MAINPID={}", running.pid()), "READY=1".to_owned()]);
    assert!(kill("-TERM", &running.pid()));
    assert_eq!(next(), "STOPPING=1");
}
