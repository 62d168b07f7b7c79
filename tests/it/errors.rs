//! When the app fails: one right answer, no bytes of anyone else, and recovery.

use std::net::TcpListener;

use crate::support::{App, Request, Reserved, Setup, eventually, get, post};

#[test]
fn a_dead_app_is_a_problem_for_scripts_and_a_page_for_people() {
    let nowhere = Reserved::new();
    let gateway = Setup::towards(&nowhere.url()).start();
    gateway.ask(&get("/x")).assert_refused(502, "upstream_failed");
    gateway.ask(&post("/x", b"abc")).assert_refused(502, "upstream_failed");
    let page = gateway.ask(&get("/x").navigation());
    assert_eq!(page.status, 502);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.text().contains("<h1>Bad Gateway</h1>"), "{}", page.text());
    assert_eq!(gateway.ask(&Request::new("HEAD", "/x")).status, 502);
    assert_eq!(gateway.token("ada").status, 200, "tokens need no app");
}

#[test]
fn a_missing_unix_socket_is_a_dead_app() {
    let path = crate::support::folder().join("app.sock");
    let gateway = Setup::towards(&format!("unix:{}", path.display())).start();
    gateway.ask(&get("/x")).assert_refused(502, "upstream_failed");
}

#[test]
fn the_app_is_found_again_once_it_is_back() {
    let nowhere = Reserved::new();
    let gateway = Setup::towards(&nowhere.url()).start();
    assert_eq!(gateway.ask(&get("/x")).status, 502);
    let app = App::at(&nowhere.address);
    assert_eq!(gateway.ask(&get("/x")).status, 200);
    drop(app);
}

#[test]
fn an_app_that_does_not_accept_in_time_is_504() {
    // The backlog of a listener nobody accepts from fills up.
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    let patience = std::time::Duration::from_millis(200);
    while let Ok(socket) = std::net::TcpStream::connect_timeout(&address, patience) {
        waiting.push(socket);
        assert!(waiting.len() < 10_000, "the backlog never fills up");
    }
    let gateway = Setup::towards(&format!("http://{address}"))
        .upstream("connect_timeout = \"200ms\"\nretries = 0")
        .start();
    gateway.ask(&get("/x")).assert_refused(504, "timeout");
    let upgrade = get("/x").header("Connection", "Upgrade").header("Upgrade", "websocket");
    gateway.ask(&upgrade).assert_refused(504, "timeout");
}

#[test]
fn an_app_that_does_not_answer_in_time_is_504() {
    let app = App::start();
    let gateway = Setup::new(&app).upstream("read_timeout = \"1500ms\"").start();
    gateway.ask(&get("/do/slow")).assert_refused(504, "timeout");
    let page = gateway.ask(&get("/do/slow").navigation());
    assert_eq!(page.status, 504);
    assert!(page.text().contains("<h1>"), "{}", page.text());
    gateway.ask(&post("/do/slow", b"abc")).assert_refused(504, "timeout");
    assert_eq!(gateway.ask(&get("/x")).status, 200);
}

#[test]
fn answers_that_are_not_http_are_502() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for path in ["/do/garbage", "/do/drop", "/do/bad-header", "/do/two-lengths"] {
        let answer = gateway.ask(&get(path));
        assert_eq!(answer.status, 502, "{path}: {answer:?}");
        answer.assert_refused(502, "upstream_failed");
        assert_eq!(gateway.ask(&get("/x")).status, 200, "after {path}");
        assert_eq!(gateway.ask(&post(path, b"abc")).status, 502, "{path}");
    }
}

#[test]
fn large_headers_of_the_app_pass() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let answer = gateway.ask(&get("/do/big-headers"));
    assert_eq!((answer.status, answer.all("x-big").len()), (200, 100));
}

#[test]
fn of_length_and_chunks_the_app_means_chunks() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let answer = gateway.ask(&get("/do/length-and-chunked"));
    assert_eq!((answer.status, answer.text()), (200, "four".to_owned()));
    assert_eq!(gateway.ask(&get("/x")).status, 200);
}

#[test]
fn a_body_cut_off_by_the_app_is_cut_off_for_the_client() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for (request, sent) in [
        (get("/do/truncated"), &b"ten bytes."[..]),
        (post("/do/unread", b"unread body"), b"ten bytes."),
        (get("/do/truncated-chunks"), b"pie"),
    ] {
        let mut conn = gateway.connect();
        conn.write(&request.bytes());
        let head = conn.next_head().unwrap();
        assert!(matches!(head.status, 200 | 502), "{head:?}");
        let rest = conn.rest();
        assert!(rest.len() < 1000, "the connection ends short of the promised length");
        let found = crate::support::find(&rest, sent).is_some();
        assert!(found || head.status == 502, "{:?}", String::from_utf8_lossy(&rest));
        assert!(crate::support::find(&rest, b"0\r\n\r\n").is_none(), "no proper end is made up");
        assert_eq!(gateway.ask(&get("/x")).status, 200);
    }
}

#[test]
fn a_stale_connection_does_not_fail_a_post() {
    let app = App::start();
    let gateway = Setup::new(&app).upstream("idle_timeout = \"200ms\"").start();
    for _ in 0..5 {
        // Closes the connection after it has answered.
        assert_eq!(gateway.ask(&get("/do/close-delimited")).status, 200);
        assert_eq!(gateway.ask(&post("/x", b"abc")).status, 200);
    }
}

#[test]
fn a_client_that_leaves_is_noted_and_costs_nothing() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for _ in 0..3 {
        let mut conn = gateway.connect();
        conn.write(&get("/do/slow").bytes());
        let count = app.seen().len();
        app.wait_for(count.max(1));
        drop(conn);
    }
    eventually("nothing in flight", || gateway.live.in_flight() == 0);
    assert_eq!(gateway.ask(&get("/x")).status, 200);
}

#[test]
fn after_a_failure_no_caller_gets_anothers_answer() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let bad = ["/do/truncated", "/do/garbage", "/do/drop", "/do/truncated-chunks"];
    let mut conn = gateway.connect();
    for round in 0..20 {
        let mut broken = gateway.connect();
        broken.write(&get(bad[round % bad.len()]).bytes());
        let target = format!("/mine/{round}");
        let answer = conn.ask(&get(&target));
        assert_eq!(answer.json()["target"], target);
        drop(broken.rest());
    }
}

#[test]
fn with_two_servers_a_dead_one_is_passed_over() {
    let (app, nowhere) = (App::start(), Reserved::new());
    let setup = Setup::new(&app);
    let text = setup.text().replace(
        &format!("servers = [\"{}\"]", app.url()),
        &format!("servers = [\"{}\", \"{}\"]\nretries = 1", nowhere.url(), app.url()),
    );
    let gateway = setup.replaced_by(text).start();
    for _ in 0..6 {
        assert_eq!(gateway.ask(&get("/x")).status, 200);
        assert_eq!(gateway.ask(&post("/x", b"abc")).status, 200);
    }
}
