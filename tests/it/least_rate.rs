//! Bodies that keep moving, but hardly: `min_body_rate` ends them, both ways.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{App, Gateway, PATIENCE, Setup, eventually, get, post, seconds};

const LATE_BODIES: &str = "portcullis_slow_clients_total{part=\"body\"}";

fn gateway(app: &App, rate: &str) -> Gateway {
    Setup::new(app).server(&format!("min_body_rate = {rate}")).start()
}

/// Uploads ten octets fifty times a second; how long the gateway has put up with it, and the
/// longest time between two pieces, which a busy machine makes longer.
fn drip(gateway: &Gateway, content_type: &str, limit: Duration) -> (Duration, Duration) {
    let mut conn = gateway.connect();
    let upload = post("/x", b"").header("Content-Type", content_type);
    let head = String::from_utf8(upload.bytes()).unwrap();
    let began = Instant::now();
    conn.write(head.replace("Content-Length: 0", "Content-Length: 1000000").as_bytes());
    let (mut last, mut longest) = (began, Duration::ZERO);
    while began.elapsed() < limit && conn.try_write(b"0123456789").is_ok() {
        std::thread::sleep(Duration::from_millis(20));
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    (began.elapsed(), longest.max(last.elapsed()))
}

/// As `drip`, by a client that kept its pace: only that one says how long the gateway waits.
#[track_caller]
fn steady_drip(gateway: &Gateway, content_type: &str, limit: Duration) -> Duration {
    for _ in 0..10 {
        let (took, longest) = drip(gateway, content_type, limit);
        if longest < Duration::from_millis(500) {
            return took;
        }
    }
    panic!("the machine never had time for a steady client");
}

#[test]
fn an_upload_that_drips_is_given_up_and_one_that_is_slow_is_not() {
    let app = App::start();
    let strict = gateway(&app, "\"2KiB/1s\"");
    assert!(drip(&strict, "text/plain", PATIENCE).0 < PATIENCE, "it is given up");
    strict.counts(LATE_BODIES, 1);
    assert_eq!(strict.logged(1)["reason"], "slow_client");
    for (rate, content_type) in
        [("\"10B/1s\"", "text/plain"), ("false", "text/plain"), ("\"2KiB/1s\"", "application/grpc")]
    {
        let gateway = gateway(&app, rate);
        let took = steady_drip(&gateway, content_type, seconds(3));
        assert!(took >= seconds(3), "{rate} {content_type}");
    }
}

#[test]
fn little_patience_for_a_piece_is_little_patience_for_a_drip() {
    let app = App::start();
    let gateway = Setup::new(&app).server("body_timeout = \"1s\"").start();
    let ended = steady_drip(&gateway, "text/plain", PATIENCE);
    assert!((seconds(2)..PATIENCE).contains(&ended), "{ended:?}");
    let patient = Setup::new(&app).server("body_timeout = \"1s\"\nmin_body_rate = false").start();
    assert!(steady_drip(&patient, "text/plain", seconds(4)) >= seconds(4));
}

#[test]
fn a_client_that_takes_its_answer_by_drips_is_given_up() {
    let app = App::start();
    let gateway = gateway(&app, "\"20MiB/1s\"");
    let mut client = TcpStream::connect(&gateway.address).unwrap();
    client.write_all(&get("/do/download?100000000").bytes()).unwrap();
    eventually("the end", || {
        // A megabyte per second, at most.
        std::thread::sleep(Duration::from_millis(10));
        let mut little = [0; 10_000];
        assert_ne!(client.read(&mut little).unwrap_or(1), 0);
        gateway.metric_now(LATE_BODIES) == 1
    });
}
