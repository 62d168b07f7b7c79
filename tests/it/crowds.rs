//! Clients that come in numbers: none keeps another one waiting, and none leaves anything behind.

use crate::support::{App, Conn, Request, Setup, Stopwatch, eventually, get, post, seconds};

#[test]
fn connections_beyond_the_limit_are_closed_and_places_are_given_back() {
    let app = App::start();
    let gateway = Setup::new(&app).server("max_connections = 3").start();
    let mut kept: Vec<Conn> = (0..3).map(|_| gateway.connect()).collect();
    for conn in &mut kept {
        assert_eq!(conn.ask(&get("/x")).status, 200);
    }
    for _ in 0..5 {
        let mut refused = gateway.connect();
        drop(refused.try_write(&get("/x").bytes()));
        assert!(refused.rest().is_empty(), "closed without an answer");
    }
    assert_eq!(app.seen().len(), 3);
    gateway.counts("portcullis_connections_refused_total", 5);
    for conn in &mut kept {
        assert_eq!(conn.ask(&get("/x")).status, 200, "those inside are served on");
    }
    kept.pop();
    eventually("a free place", || {
        let mut conn = gateway.connect();
        let last = get("/x").header("Connection", "close");
        conn.try_write(&last.bytes()).is_ok() && conn.rest().starts_with(b"HTTP/1.1 200")
    });
}

#[test]
fn a_crowd_that_waits_delays_no_other_request() {
    let app = App::start();
    // Longer than anybody's patience.
    let gateway = Setup::new(&app).server("header_timeout = \"1h\"").start();
    let crowd: Vec<Conn> = (0..300)
        .map(|number| {
            let mut conn = gateway.connect();
            conn.write(if number % 2 == 0 { b"GET /x HTTP/1.1\r\n" } else { b"" });
            conn
        })
        .collect();
    let began = Stopwatch::start();
    for _ in 0..10 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
        assert_eq!(gateway.token("ada").status, 200);
    }
    assert!(began.elapsed() < seconds(5), "{:?}", began.elapsed());
    drop(crowd);
}

#[test]
fn a_crowd_that_waits_for_the_app_delays_no_other_request() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let mut crowd: Vec<Conn> = (0..100)
        .map(|_| {
            let mut conn = gateway.connect();
            conn.write(&get("/do/slow").bytes());
            conn
        })
        .collect();
    app.wait_for(100);
    assert_eq!(gateway.token("ada").status, 200);
    assert_eq!(gateway.ask(&get("/x")).status, 200);
    app.open_gate();
    for conn in &mut crowd {
        assert_eq!(conn.response_to("GET").text(), "slow but sure");
    }
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for (number, bytes) in [
        b"".to_vec(),
        b"GET /x HT".to_vec(),
        get("/do/slow").bytes(),
        Request::new("POST", "/x").header("Content-Length", "100").bytes(),
        Request::new("POST", "/x").header("Transfer-Encoding", "chunked").bytes(),
        get("/do/download?50000000").bytes(),
        get("/do/sse").bytes(),
        Request::new("POST", "/api/get-auth-token")
            .user("ada")
            .header("Content-Length", "9")
            .bytes(),
    ]
    .into_iter()
    .cycle()
    .take(80)
    .enumerate()
    {
        let mut conn = gateway.connect();
        conn.write(&bytes);
        if number % 3 == 0 {
            conn.try_finish();
        }
    }
    app.open_gate();
    eventually("nothing in flight", || gateway.live.in_flight() == 0);
    gateway.counts("portcullis_connections", 0);
    assert_eq!(gateway.ask(&post("/x", b"abc")).status, 200);
}
