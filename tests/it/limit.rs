//! Limits and single flight under parallel load, through real sockets.

use std::sync::{Arc, Barrier};

use crate::support::{App, Conn, Gateway, Request, Setup, clock, get, post, seconds};

const PATH: &str = "/api/get-auth-token";

/// Connections open at once, each asking several times: within the number of
/// files a test may usually open.
const CONNECTIONS: usize = 200;
const TURNS: usize = 5;

/// The statuses of a thousand requests sent at once.
fn thousand(gateway: &Gateway, request: &Request) -> Vec<u16> {
    let start = Arc::new(Barrier::new(CONNECTIONS));
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (start, request) = (start.clone(), request.clone());
            let mut conn = Conn::open(&gateway.address);
            std::thread::spawn(move || {
                start.wait();
                (0..TURNS).map(|_| conn.ask(&request).status).collect::<Vec<_>>()
            })
        })
        .collect();
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|found| **found == status).count()
}

#[test]
fn a_thousand_parallel_requests_yield_exactly_thirty_answers() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let statuses = thousand(&gateway, &get(PATH).user("ada"));
    assert_eq!((count(&statuses, 200), count(&statuses, 429)), (30, 970));
    assert_eq!(gateway.metric("portcullis_mints_total{token=\"portive\"}"), 1);
    clock.advance(seconds(2));
    let statuses = thousand(&gateway, &get(PATH).user("ada"));
    assert_eq!((count(&statuses, 200), count(&statuses, 429)), (1, 999), "one every two seconds");
}

#[test]
fn a_thousand_parallel_first_requests_cause_one_mint() {
    let app = App::start();
    let gateway = Setup::new(&app).token("").start();
    let statuses = thousand(&gateway, &get(PATH).user("ada"));
    assert_eq!(count(&statuses, 200), 1000);
    assert_eq!(gateway.metric("portcullis_mints_total{token=\"portive\"}"), 1);
    assert!(app.seen().is_empty());
}

#[test]
fn a_refused_request_says_when_to_come_back() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = \"2/minute\"").clock(&clock).start();
    let first = gateway.token("ada");
    assert_eq!(first.header("ratelimit-policy"), Some("\"portive\";q=2;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"portive\";r=1;t=30"));
    assert_eq!(gateway.token("ada").header("ratelimit"), Some("\"portive\";r=0;t=60"));
    let refused = gateway.token("ada");
    refused.assert_refused(429, "too_many_requests");
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"portive\";q=2;w=60"));
    assert_eq!(refused.header("ratelimit"), Some("\"portive\";r=0;t=60"));
    clock.advance(std::time::Duration::from_millis(29_500));
    assert_eq!(gateway.token("ada").header("retry-after"), Some("1"), "rounded up");
    clock.advance(std::time::Duration::from_millis(500));
    assert_eq!(gateway.token("ada").status, 200, "whoever waits as told is admitted");
}

#[test]
fn several_rates_must_all_admit_and_a_refusal_takes_nothing() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = [\"2/10s\", \"3/hour\"]").clock(&clock).start();
    let mut answers = Vec::new();
    for step in [0, 0, 0, 10, 0, 0, 10] {
        clock.advance(seconds(step));
        answers.push(gateway.token("ada").status);
    }
    assert_eq!(answers, [200, 200, 429, 200, 429, 429, 429]);
    clock.advance(seconds(20 * 60));
    assert_eq!(gateway.token("ada").status, 200, "the hourly rate gives back one per 20 minutes");
}

#[test]
fn every_way_to_ask_counts_against_the_same_allowance() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = \"5/hour\"").clock(&clock).start();
    for request in [
        get(PATH),
        post(PATH, b"{}"),
        Request::new("HEAD", PATH),
        get(PATH).header("Cache-Control", "no-cache"),
        get(&format!("{PATH}?fresh=1")),
    ] {
        assert_eq!(gateway.ask(&request.user("ada")).status, 200);
    }
    assert_eq!(gateway.token("ada").status, 429);
    assert_eq!(gateway.token("bob").status, 200, "another user has an allowance of his own");
}

#[test]
fn requests_refused_before_the_limit_do_not_count() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("limit = \"1/hour\"").clock(&clock).start();
    for _ in 0..3 {
        assert_eq!(gateway.ask(&get(PATH)).status, 401);
        assert_eq!(gateway.ask(&Request::new("PUT", PATH).user("ada")).status, 405);
        let foreign = get(PATH).user("ada").header("Origin", "https://evil.test");
        assert_eq!(gateway.ask(&foreign).status, 403);
    }
    assert_eq!(gateway.token("ada").status, 200);
}

#[test]
fn a_reload_keeps_counters_and_tokens() {
    let (app, clock) = (App::start(), clock());
    let setup = |limit: &str| Setup::new(&app).token(&format!("limit = \"{limit}\"")).clock(&clock);
    let gateway = setup("3/hour").start();
    let first = gateway.token("ada").auth_token();
    assert_eq!(gateway.token("ada").status, 200);
    gateway.reload(&setup("3/hour").with("[[route]]\npath = \"/x\"\nsession = \"required\""));
    assert_eq!(gateway.ask(&get("/x")).status, 401, "the new policy is in force");
    assert_eq!(gateway.token("ada").auth_token(), first);
    assert_eq!(gateway.token("ada").status, 429);
}
