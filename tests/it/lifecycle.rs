//! The process: starting, reloading, draining, ending; and the admin listener.

use crate::support::running::{ENVIRONMENT, Running, file_of};
use crate::support::{
    App, Conn, Process, Setup, assert_no_secret, eventually, folder, get, replace,
};
use std::net::TcpListener;

#[test]
fn a_taken_port_is_a_clear_error_and_exit_2() {
    let app = App::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = folder().join("gateway.toml");
    std::fs::write(&file, file_of(&Setup::new(&app).listen(&address))).unwrap();
    let (code, _, errors) =
        Process::finish(&["run", "--config", file.to_str().unwrap()], &ENVIRONMENT);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains(&address), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    assert_no_secret("standard error", errors.as_bytes());
}

#[test]
fn a_signal_is_kept_from_the_moment_the_socket_is_there() {
    let app = App::start();
    let folder = folder();
    let socket = folder.join("http.sock");
    let setup = Setup::new(&app).listen(&format!("unix:{}", socket.display()));
    let mut process = Process::run(&folder.join("gateway.toml"), &file_of(&setup), &ENVIRONMENT);
    process.signal_when("HUP", &format!("[ -S {} ]", socket.display()));
    eventually("the reload", || process.errors().contains("configuration reloaded"));
    assert!(process.is_running());
}

#[test]
fn a_bad_file_does_not_start_and_exits_2() {
    let file = folder().join("gateway.toml");
    for text in ["[server", "", "[server]\nlisten = 1\n"] {
        std::fs::write(&file, text).unwrap();
        let (code, _, errors) =
            Process::finish(&["--config", file.to_str().unwrap()], &ENVIRONMENT);
        assert_eq!(code, 2, "{text:?}: {errors}");
    }
    let missing = file.with_file_name("missing.toml");
    let (code, _, errors) = Process::finish(&["run", "--config", missing.to_str().unwrap()], &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("missing.toml"), "{errors}");
}

#[test]
fn sigterm_lets_requests_in_flight_finish_and_exits_0() {
    let app = App::start();
    let mut running = Running::start(&Setup::new(&app));
    let mut conn = Conn::open(&running.address);
    conn.write(&get("/do/slow").user("ada").bytes());
    app.wait_for(1);
    running.signal("TERM");
    eventually("no new connections", || std::net::TcpStream::connect(&running.address).is_err());
    assert!(running.process.is_running(), "a request is in flight");
    app.open_gate();
    assert_eq!(conn.response_to("GET").text(), "slow but sure");
    assert_eq!(running.process.wait().code(), Some(0));
}

#[test]
fn the_system_has_no_reason_to_stop_a_process_that_serves() {
    let app = App::start();
    let running = Running::start(&Setup::new(&app));
    let file = |name: &str| {
        std::fs::read_to_string(format!("/proc/{}/{name}", running.process.id())).unwrap()
    };
    let number = |text: &str, name: &str| -> usize {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let status = file("status");
    let most = number(&file("limits"), "Max open files");
    assert!(number(&status, "FDSize:") >= most.min(32 * 1024), "its table of files is large");
    assert_eq!(number(&status, "THP_enabled:"), 0, "its pages are small");
}

#[test]
fn an_idle_process_ends_at_once_on_sigterm_and_sigint() {
    let app = App::start();
    for signal in ["TERM", "INT"] {
        let mut running = Running::start(&Setup::new(&app).server("drain = \"1h\""));
        let idle = Conn::open(&running.address);
        running.signal(signal);
        assert_eq!(running.process.wait().code(), Some(0), "{signal}");
        drop(idle);
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let app = App::start();
    let mut running = Running::start(&Setup::new(&app).server("drain = \"1h\""));
    let mut conn = Conn::open(&running.address);
    conn.write(&get("/do/slow").bytes());
    app.wait_for(1);
    running.signal("TERM");
    eventually("the drain", || running.process.errors().contains("stopping"));
    running.signal("TERM");
    assert_eq!(running.process.wait().code(), Some(130));
    assert!(conn.try_response_to("GET").is_none(), "the request in flight was dropped");
}

#[test]
fn a_drain_has_an_end() {
    let app = App::start();
    let mut running = Running::start(&Setup::new(&app).server("drain = \"300ms\""));
    let mut conn = Conn::open(&running.address);
    conn.write(&get("/do/slow").bytes());
    app.wait_for(1);
    running.signal("TERM");
    assert_eq!(running.process.wait().code(), Some(0));
}

#[test]
fn readiness_goes_first_while_serving_continues() {
    let app = App::start();
    let mut running =
        Running::start(&Setup::new(&app).server("lame_duck = \"1h\"\ndrain = \"1h\""));
    assert_eq!(running.admin("/readyz").0, 200);
    running.signal("TERM");
    eventually("the lame duck", || running.admin("/readyz").0 == 503);
    assert_eq!(running.admin("/healthz").0, 200);
    assert_eq!(running.token("ada"), 200);
    running.signal("TERM");
    assert_eq!(running.process.wait().code(), Some(130));
}

#[test]
fn signals_that_mean_something_else_do_not_end_the_process() {
    let app = App::start();
    let mut running = Running::start(&Setup::new(&app));
    running.signal("QUIT");
    eventually("a warning", || running.process.errors().contains("SIGQUIT"));
    assert_eq!(running.token("ada"), 200);
    assert!(running.process.is_running());
}

#[test]
fn sighup_swaps_the_policy_and_keeps_the_counters() {
    let app = App::start();
    let setup = |rest: &str| Setup::new(&app).token("limit = \"3/hour\"").with(rest);
    let running = Running::start(&setup(""));
    assert_eq!([running.token("ada"), running.token("ada")], [200, 200]);
    let route = "[[route]]\npath = \"/new/**\"\nsession = \"required\"\n";
    replace(&running.file, file_of(&setup(route)));
    running.signal("HUP");
    let page = || Conn::open(&running.address).ask(&get("/new/x")).status;
    eventually("the new policy", || page() == 401);
    assert_eq!([running.token("ada"), running.token("ada")], [200, 429], "counted on");
    eventually("the count", || running.reloads("ok") == 1);
}

#[test]
fn a_bad_file_changes_nothing() {
    let app = App::start();
    let running = Running::start(&Setup::new(&app));
    let refused = || running.reloads("refused");
    let good = std::fs::read_to_string(&running.file).unwrap();
    let bad = [
        "not toml [".to_owned(),
        String::new(),
        good.replace("env:SESSION_SECRET", "env:NOT_SET"),
        good.replace("env:PORTIVE_API_KEY", "PRTV_keyOne_canaryPastedIntoTheFile"),
        good.replace("limit = \"30/minute\"", "limit = \"30\""),
        good.replace("threads = 2", "threads = 1\ndrain = \"1s\"") + "[log]\nuser = \"off\"\n",
        format!("{good}\n[unknown]\n"),
    ];
    for (count, text) in bad.iter().enumerate() {
        replace(&running.file, text);
        running.signal("HUP");
        eventually("the refusal", || refused() == count + 1);
        assert_eq!(running.token("ada"), 200, "{text}");
    }
    for setting in ["server.threads", "server.drain", "log.user"] {
        let named = format!("`{setting}` changed");
        eventually(&named, || running.process.errors().contains(&named));
    }
    std::fs::remove_file(&running.file).unwrap();
    running.signal("HUP");
    eventually("the refusal", || refused() == bad.len() + 1);
    assert_eq!(running.token("ada"), 200);
    assert_no_secret("standard error", running.process.errors().as_bytes());
}

#[test]
fn the_admin_listener_tells_health_readiness_and_metrics() {
    let app = App::start();
    let running = Running::start(&Setup::new(&app));
    // No part of a number in hexadecimal.
    running.token("lovelace");
    assert_eq!(running.admin("/healthz").0, 200);
    assert_eq!(running.admin("/readyz").0, 200);
    let line = "portcullis_requests_total{route=\"token.portive\",status=\"200\"} 1";
    // Counted when the request has ended, which is after its answer was read.
    eventually("the count", || running.admin("/metrics").1.contains(line));
    let (status, metrics) = running.admin("/metrics");
    assert_eq!(status, 200);
    assert!(!metrics.contains("lovelace"));
    assert_eq!(running.admin("/other").0, 404);
    assert_eq!(running.admin("/healthz/..").0, 404);
    let mut conn = Conn::open(&running.admin);
    conn.write(b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(conn.next_head().unwrap().status, 405);
    // What the admin listener answers, the public one does not.
    for path in ["/healthz", "/readyz", "/metrics"] {
        app.forget();
        assert!(Conn::open(&running.address).ask(&get(path)).is_from_app());
        assert_eq!(app.only().path(), path);
    }
}

#[test]
fn the_most_talkative_process_says_no_secret() {
    let app = App::start();
    let mut running =
        Running::start(&Setup::new(&app).with("[log]\nlevel = \"trace\"\nformat = \"json\"\n"));
    let token = crate::support::token_of("ada");
    for request in [
        get("/api/get-auth-token").user("ada"),
        get("/x").user("ada").header("Authorization", &format!("Bearer {token}")),
        get(&format!("/x?token={token}")).user("ada"),
        get("/do/drop").user("ada"),
        get("/do/garbage").user("ada"),
        get("/api/get-auth-token").header("Cookie", &format!("session={token}x")),
        get("/x").header("Referer", &format!("http://app.test/?t={token}")),
        get("/\u{1b}[31m").header("User-Agent", "\u{1b}[31mred"),
    ] {
        drop(Conn::open(&running.address).ask(&request));
    }
    running.signal("TERM");
    assert_eq!(running.process.wait().code(), Some(0));
    // The framework itself refuses the last one, without a line.
    eventually("the access log", || running.process.output().lines().count() >= 7);
    let (output, errors) = (running.process.output(), running.process.errors());
    for (place, text) in [("standard output", &output), ("standard error", &errors)] {
        assert_no_secret(place, text.as_bytes());
        assert!(!text.contains('\u{1b}'), "{place} has escape sequences: {text}");
    }
}
