//! Bodies that keep moving, but hardly: `min_body_rate` ends them, both ways.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{App, Gateway, Setup, eventually, get, post, seconds};

const LATE_BODIES: &str = "portcullis_slow_clients_total{part=\"body\"}";

fn gateway(app: &App, rate: &str) -> Gateway {
    Setup::new(app).server(&format!("min_body_rate = {rate}")).start()
}

/// Uploads ten octets fifty times a second; how long the gateway has put up with it.
fn drip(gateway: &Gateway, content_type: &str, limit: Duration) -> Duration {
    let mut conn = gateway.connect();
    let upload = post("/x", b"").header("Content-Type", content_type);
    let head = String::from_utf8(upload.bytes()).unwrap();
    conn.write(head.replace("Content-Length: 0", "Content-Length: 1000000").as_bytes());
    let began = Instant::now();
    while began.elapsed() < limit && conn.try_write(b"0123456789").is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}

#[test]
fn an_upload_that_drips_is_given_up_and_one_that_is_slow_is_not() {
    let app = App::start();
    let strict = gateway(&app, "\"2KiB/1s\"");
    assert!(drip(&strict, "text/plain", seconds(8)) < seconds(6));
    strict.counts(LATE_BODIES, 1);
    assert_eq!(strict.logged(1)["reason"], "slow_client");
    for (rate, content_type) in [
        ("\"100B/1s\"", "text/plain"),
        ("false", "text/plain"),
        ("\"2KiB/1s\"", "application/grpc"),
    ] {
        let gateway = gateway(&app, rate);
        assert!(drip(&gateway, content_type, seconds(3)) >= seconds(3), "{rate} {content_type}");
        assert_eq!(gateway.metric(LATE_BODIES), 0);
    }
}

#[test]
fn little_patience_for_a_piece_is_little_patience_for_a_drip() {
    let app = App::start();
    let gateway = Setup::new(&app).server("body_timeout = \"1s\"").start();
    let ended = drip(&gateway, "text/plain", seconds(8));
    assert!((seconds(2)..seconds(7)).contains(&ended), "{ended:?}");
    let patient = Setup::new(&app).server("body_timeout = \"1s\"\nmin_body_rate = false").start();
    assert!(drip(&patient, "text/plain", seconds(4)) >= seconds(4));
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
        gateway.metric(LATE_BODIES) == 1
    });
}
