//! Reloads, upgrades and the end of the process under load: clients that keep a
//! connection, that open one for each request, that share one among requests, and
//! that hold a tunnel meet no failure.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;

use crate::support::running::{Running, is_running};
use crate::support::{
    App, Conn, PATIENCE, Setup, assert_no_secret, cookie_of, eventually, find, get, http2,
};

const LAME_DUCK: Duration = Duration::from_secs(3);

/// Outcomes of the clients' requests.
#[derive(Default)]
struct VerdictBuilder {
    answered: AtomicUsize,
    failures: Mutex<Vec<String>>,
    /// From when on new connections may be refused.
    closing: Mutex<Option<Instant>>,
}

/// Whether a client goes on.
#[derive(PartialEq)]
enum Next {
    GoOn,
    GoHome,
}

impl VerdictBuilder {
    fn note(&self, who: &str, outcome: io::Result<()>) -> Next {
        let Err(error) = outcome else {
            self.answered.fetch_add(1, Ordering::SeqCst);
            return Next::GoOn;
        };
        let is_closing = self.closing.lock().unwrap().is_some_and(|from| Instant::now() >= from);
        if error.kind() != ErrorKind::ConnectionRefused || !is_closing {
            self.failures.lock().unwrap().push(format!("{who}: {error}"));
        }
        Next::GoHome
    }

    fn wait_for(&self, count: usize) {
        while self.answered.load(Ordering::SeqCst) < count {
            assert_eq!(self.failures.lock().unwrap().len(), 0, "{:?}", self.failures.lock());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn closes_in(&self, time: Duration) {
        *self.closing.lock().unwrap() = Some(Instant::now() + time);
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

fn keeps_a_connection(address: &str, tally: &VerdictBuilder) {
    let mut kept: Option<TcpStream> = None;
    let mut turn = || {
        let mut socket = kept.take().map_or_else(|| connect(address), Ok)?;
        if exchange(&mut socket, "/kept")? {
            kept = Some(socket);
        }
        Ok(())
    };
    while tally.note("kept", turn()) == Next::GoOn {}
}

fn opens_connections(address: &str, tally: &VerdictBuilder) {
    let turn = || connect(address).and_then(|mut socket| exchange(&mut socket, "/new").map(drop));
    while tally.note("new", turn()) == Next::GoOn {}
}

/// Over HTTP/2, two requests at a time on one connection, until that is told to be
/// the last.
fn multiplexes(address: &str, tally: &VerdictBuilder) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut kept = None;
    let mut turn = || {
        runtime.block_on(async {
            let client = match kept.take() {
                Some(client) => client,
                None => open_http2(address).await?,
            };
            let Ok(client) = client.ready().await else { return Ok(()) };
            let ask = || http2::ask(&client, http2::request("GET", "/multiplexed"), &[]);
            let (one, two) = tokio::join!(ask(), ask());
            for answer in [one, two] {
                match answer {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => return Err(io::Error::other(answer.text())),
                    // Between the two requests; it was not looked at.
                    Err(error)
                        if error.is_go_away() && error.reason() == Some(Reason::NO_ERROR) => {}
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
            kept = Some(client);
            Ok(())
        })
    };
    while tally.note("multiplexed", turn()) == Next::GoOn {}
}

async fn open_http2(address: &str) -> io::Result<SendRequest<Bytes>> {
    let socket = tokio::net::TcpStream::connect(address).await?;
    let (client, connection) = h2::client::handshake(socket).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(client)
}

const FRAME: &[u8] = b"\x81\x85\x01\x02\x03\x04ijojn";

fn open_tunnel(address: &str) -> io::Result<TcpStream> {
    const UPGRADE: &[u8] = b"GET /do/websocket HTTP/1.1\r\nHost: app.test\r\n\
        Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut socket = connect(address)?;
    socket.write_all(UPGRADE)?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    let is_open = head.starts_with(b"HTTP/1.1 101");
    is_open.then_some(socket).ok_or_else(|| io::Error::other("not upgraded"))
}

fn echoes(socket: &mut TcpStream) -> io::Result<()> {
    let mut echo = [0; FRAME.len()];
    socket.write_all(FRAME)?;
    socket.read_exact(&mut echo)?;
    if echo == FRAME { Ok(()) } else { Err(io::Error::other("another frame came back")) }
}

fn opens_tunnels(address: &str, tally: &VerdictBuilder) {
    let turn = || {
        let mut socket = open_tunnel(address)?;
        (0..50).try_for_each(|_| {
            tally.note("frame", echoes(&mut socket));
            Ok::<_, io::Error>(())
        })
    };
    while tally.note("tunnel", turn()) == Next::GoOn {}
}

/// Ends the process when the test fails: clients go on as long as it serves.
struct Ends<'a>(&'a Running);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.signal("KILL");
        }
    }
}

/// Requests of the test below. More with `UNDER_LOAD=100000 cargo test`.
fn requests() -> usize {
    std::env::var("UNDER_LOAD").map_or(20_000, |count| count.parse().unwrap())
}

#[test]
fn no_client_notices_reloads_upgrades_or_the_end() {
    let app = App::start();
    let lines = format!("watch = false\nlame_duck = \"{}ms\"", LAME_DUCK.as_millis());
    let mut running = Running::start(&Setup::new(&app).server(&lines));
    let (tally, total) = (VerdictBuilder::default(), requests());
    std::thread::scope(|scope| {
        let clients: [fn(&str, &VerdictBuilder); 6] = [
            keeps_a_connection,
            keeps_a_connection,
            opens_connections,
            opens_connections,
            multiplexes,
            opens_tunnels,
        ];
        for client in clients {
            let (address, tally) = (&running.address, &tally);
            scope.spawn(move || client(address, tally));
        }
        let _ends = Ends(&running);
        for part in 1..=9 {
            tally.wait_for(total * part / 10);
            match part {
                3 | 6 => running.upgrade(),
                _ => {
                    let reloads = || running.lines("configuration reloaded").len();
                    let before = reloads();
                    running.signal("HUP");
                    eventually("the reload", || reloads() > before);
                }
            }
        }
        tally.wait_for(total);
        assert_eq!(running.admin("/readyz").0, 200);
        tally.closes_in(LAME_DUCK);
        running.signal("TERM");
        eventually("the lame duck", || running.admin("/readyz").0 == 503);
    });
    let failures = tally.failures.lock().unwrap();
    assert_eq!(failures.len(), 0, "of {total}: {failures:?}");
    assert!(tally.answered.load(Ordering::SeqCst) >= total);
    assert_eq!(running.process.wait().code(), Some(0), "the first one");
    assert!(running.lines("configuration reloaded").len() >= 5);
    let last = running.pid();
    eventually("the end", || !is_running(&last));
    assert_no_secret("standard error", running.process.errors().as_bytes());
}

#[test]
fn the_end_lets_requests_on_kept_connections_finish() {
    let app = App::start();
    let mut running = Running::start(&Setup::new(&app).server("watch = false"));
    // Keeps the process until every client has sent its last request, however slow it is.
    let mut slow = Conn::open(&running.address);
    slow.write(&get("/do/slow").bytes());
    app.wait_for(1);
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
        running.signal("TERM");
    });
    app.open_gate();
    assert_eq!(slow.response_to("GET").text(), "slow but sure");
    assert_eq!(running.process.wait().code(), Some(0));
}

#[test]
fn a_tunnel_lives_until_its_client_leaves_or_the_drain_is_over() {
    const DRAIN: Duration = Duration::from_secs(3);
    const STOPPING: &str = "stopping; signal again to stop at once";
    let app = App::start();
    for leaves in [true, false] {
        let drain = if leaves { "1h" } else { "3s" };
        let mut running = Running::start(&Setup::new(&app).server(&format!("drain = \"{drain}\"")));
        let mut tunnel = open_tunnel(&running.address).unwrap();
        let began = Instant::now();
        running.signal("TERM");
        eventually("the signal", || !running.lines(STOPPING).is_empty());
        echoes(&mut tunnel).unwrap();
        if leaves {
            drop(tunnel);
            assert_eq!(running.process.wait().code(), Some(0), "nobody is waited for");
            continue;
        }
        while echoes(&mut tunnel).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(began.elapsed() >= DRAIN, "cut after {:?}", began.elapsed());
        assert_eq!(running.process.wait().code(), Some(0));
    }
}
