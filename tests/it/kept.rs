//! Sign-outs, revocations and limits that outlive the process.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::running::{Running, file_of};
use crate::support::{App, Conn, Process, Setup, cookie_of, eventually, folder, get};

const PATH: &str = "/api/get-auth-token";

fn setup(app: &App, rest: &str) -> Setup {
    Setup::new(app)
        .server("watch = false")
        .session("logout_paths = \"/logout\"")
        .token("limit = \"3/hour\"")
        .with(rest)
}

fn status(address: &str, user: &str) -> u16 {
    Conn::open(address).ask(&get(PATH).header("Cookie", &cookie_of(user))).status
}

fn sign_out(address: &str, user: &str) {
    let request = get("/logout").header("Cookie", &cookie_of(user));
    assert_eq!(Conn::open(address).ask(&request).status, 200);
}

/// The admin listener's answer: its status and all of it.
fn revoke(admin: &str, body: &Value) -> (u16, String) {
    let body = body.to_string();
    let mut conn = Conn::open(admin);
    let head = "POST /revoke HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\nContent-Length: ";
    conn.write(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes());
    let head = conn.next_head().unwrap();
    (head.status, String::from_utf8(conn.rest()).unwrap())
}

/// Signs alice out and revokes bob; carol uses her allowance up.
fn prepare(address: &str, admin: &str) {
    for user in ["alice", "bob", "dave"] {
        assert_eq!(status(address, user), 200, "{user}");
    }
    sign_out(address, "alice");
    assert_eq!(revoke(admin, &json!({ "user": "bob" })).0, 200);
    for expected in [200, 200, 200, 429] {
        assert_eq!(status(address, "carol"), expected);
    }
}

fn assert_over(address: &str) {
    assert_eq!(status(address, "alice"), 401, "signed out");
    assert_eq!(status(address, "bob"), 401, "revoked");
}

#[test]
fn an_upgrade_keeps_sign_outs_revocations_and_limits() {
    let app = App::start();
    let running = Running::start(&setup(&app, ""));
    prepare(&running.address, &running.admin);
    for upgrade in 1..=2 {
        running.upgrade();
        assert_over(&running.address);
        assert_eq!(status(&running.address, "carol"), 429, "upgrade {upgrade}");
        assert_eq!(status(&running.address, "dave"), 200);
    }
    assert_eq!(status(&running.address, "dave"), 429, "one before, and one after each");
}

#[test]
fn the_new_process_learns_what_the_old_one_still_does() {
    let app = App::start();
    let running = Running::start(&setup(&app, ""));
    let mut kept = Conn::open(&running.address);
    assert_eq!(kept.ask(&get("/x")).status, 200);
    let mut slow = Conn::open(&running.address);
    slow.write(&get("/do/slow").bytes());
    app.wait_for(2);
    running.begin_upgrade();
    // On a connection to the old process.
    assert_eq!(kept.ask(&get("/logout").header("Cookie", &cookie_of("alice"))).status, 200);
    eventually("the sign-out", || status(&running.address, "alice") == 401);
    app.open_gate();
    assert_eq!(slow.response_to("GET").text(), "slow but sure");
}

fn in_file(app: &App, path: &Path) -> Setup {
    setup(app, &format!("[revocations]\nfile = {path:?}\n"))
}

#[test]
fn a_restart_keeps_sign_outs_and_revocations_where_there_is_a_file() {
    let app = App::start();
    let folder = folder();
    let (file, kept) = (folder.join("gateway.toml"), folder.join("revocations"));
    let text = file_of(&in_file(&app, &kept));
    let running = Running::start_as(&file, &text, &[]);
    prepare(&running.address, &running.admin);
    // Killed at once: what the operator was told has happened has happened.
    assert_eq!(revoke(&running.admin, &json!({ "user": "erin" })).0, 200);
    running.signal("KILL");
    drop(running);
    assert_eq!(std::fs::metadata(&kept).unwrap().mode() & 0o777, 0o600);
    let text_kept = std::fs::read_to_string(&kept).unwrap();
    for name in ["alice", "bob", "erin", "session"] {
        assert!(!text_kept.contains(name), "{text_kept}");
    }
    let running = Running::start_as(&file, &text, &[]);
    assert_over(&running.address);
    assert_eq!(status(&running.address, "erin"), 401);
    assert_eq!(status(&running.address, "dave"), 200);
    // An upgrade reads the same file, and goes on writing it.
    running.upgrade();
    assert_over(&running.address);
    sign_out(&running.address, "dave");
    running.signal("TERM");
    let old = running.pid();
    eventually("its end", || !crate::support::running::is_running(&old));
    drop(running);
    let running = Running::start_as(&file, &text, &[]);
    assert_over(&running.address);
    assert_eq!(status(&running.address, "dave"), 401);
}

#[test]
fn systemds_state_directory_is_where_the_file_is_kept_by_default() {
    let app = App::start();
    let folder = folder();
    let (file, state) = (folder.join("gateway.toml"), folder.join("state"));
    std::fs::create_dir(&state).unwrap();
    let told = [("STATE_DIRECTORY", state.to_str().unwrap())];
    let text = file_of(&setup(&app, ""));
    for expected in [200, 401] {
        let running = Running::start_as(&file, &text, &told);
        assert_eq!(status(&running.address, "bob"), expected);
        assert_eq!(revoke(&running.admin, &json!({ "user": "bob" })).0, 200);
    }
    assert!(state.join("revocations").exists());
}

#[test]
fn a_file_that_cannot_be_opened_stops_the_start_and_the_check() {
    let app = App::start();
    let folder = folder();
    let file = folder.join("gateway.toml");
    let foreign = folder.join("notes.txt");
    std::fs::write(&foreign, "my notes\n").unwrap();
    for path in [folder.join("none/revocations"), folder.clone(), foreign.clone()] {
        std::fs::write(&file, file_of(&in_file(&app, &path))).unwrap();
        for command in ["check", "run"] {
            let arguments = [command, "--config", file.to_str().unwrap()];
            let environment = crate::support::running::ENVIRONMENT;
            let (code, _, problems) = Process::finish(&arguments, &environment);
            assert_eq!(code, 2, "{command}: {problems}");
            let expected = format!("revocations.file: {}: ", path.display());
            assert!(problems.contains(&expected), "{command}: {problems}");
        }
    }
    assert_eq!(std::fs::read(&foreign).unwrap(), b"my notes\n");
}

#[test]
fn the_operator_learns_that_a_revocation_is_not_on_disk() {
    let app = App::start();
    let folder = folder();
    let (file, kept) = (folder.join("gateway.toml"), folder.join("revocations"));
    let running = Running::start_as(&file, &file_of(&in_file(&app, &kept)), &[]);
    std::fs::remove_file(&kept).unwrap();
    std::fs::create_dir(&kept).unwrap();
    let (code, answer) = revoke(&running.admin, &json!({ "user": "bob" }));
    assert_eq!(code, 500, "{answer}");
    assert!(answer.contains("\"revoked\":true") && answer.contains("\"kept\":false"), "{answer}");
    assert_eq!(status(&running.address, "bob"), 401, "in force all the same");
    let metrics = running.admin("/metrics").1;
    assert!(metrics.contains("portcullis_revocation_file_failures_total 1"), "{metrics}");
    let line = "revocations are in force but cannot be written to their file";
    eventually("the log", || !running.lines(line).is_empty());
}
