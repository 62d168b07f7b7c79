//! Files that change while the gateway runs: read again by themselves, all or
//! nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::support::tls::{Authority, certificate};
use crate::support::{
    App, Conn, Process, SESSION_SECRET, Setup, assert_no_secret, eventually, folder, get,
};

const ENVIRONMENT: [(&str, &str); 1] =
    [("PORTIVE_API_KEY", "PRTV_keyOne_canaryOfTheKey0123456789abcdef")];

struct Running {
    process: Process,
    folder: PathBuf,
    file: PathBuf,
    address: String,
    admin: String,
}

/// A configuration as an operator writes it: the session's secret in a file.
fn text(setup: &Setup) -> String {
    setup
        .text()
        .replace(&format!("\"{SESSION_SECRET}\""), "\"file:secrets/session\"")
        .replace("\"PRTV_keyOne_canaryOfTheKey0123456789abcdef\"", "\"env:PORTIVE_API_KEY\"")
}

fn start(setup: &Setup) -> Running {
    let folder = folder();
    fs::create_dir(folder.join("first")).unwrap();
    fs::write(folder.join("first/session"), SESSION_SECRET).unwrap();
    symlink("first", folder.join("secrets")).unwrap();
    let file = folder.join("gateway.toml");
    let process = Process::run(&file, &text(setup), &ENVIRONMENT);
    let (address, admin) = process.addresses();
    Running { process, folder, file, address, admin }
}

impl Running {
    fn page(&self, path: &str) -> u16 {
        Conn::open(&self.address).ask(&get(path)).status
    }

    fn token(&self) -> u16 {
        Conn::open(&self.address).ask(&get("/api/get-auth-token").user("ada")).status
    }

    fn reloads(&self, result: &str) -> u64 {
        let mut conn = Conn::open(&self.admin);
        conn.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let metrics = String::from_utf8(conn.rest()).unwrap();
        let line = format!("portcullis_reloads_total{{result=\"{result}\"}} ");
        metrics.lines().find_map(|l| l.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
    }
}

fn setup(app: &App, lines: &str) -> Setup {
    Setup::new(app).server(&format!("watch = \"50ms\"\n{lines}"))
}

#[test]
fn a_changed_file_is_read_and_a_bad_one_changes_nothing() {
    let app = App::start();
    let running = start(&setup(&app, ""));
    let mut kept = Conn::open(&running.address);
    assert_eq!(kept.ask(&get("/new/x")).status, 200);
    let route = "[[route]]\npath = \"/new/**\"\nsession = \"required\"\n";
    fs::write(&running.file, text(&setup(&app, "").with(route))).unwrap();
    eventually("the new policy", || running.page("/new/x") == 401);
    assert_eq!(kept.ask(&get("/new/x")).status, 401, "on the connection from before");
    let bad = text(&setup(&app, "")).replace("30/minute", "often").replace("1m", "60");
    fs::write(&running.file, format!("{bad}\n[unknown]\n")).unwrap();
    eventually("the refusal", || running.reloads("refused") == 1);
    let said = running.process.errors();
    for what in ["token.portive.limit", "token.portive.ttl", "unknown"] {
        assert!(said.contains(what), "{what} in {said}");
    }
    assert_eq!(running.page("/new/x"), 401, "the old policy stays");
    fs::write(&running.file, text(&setup(&app, ""))).unwrap();
    eventually("the policy after that", || running.page("/new/x") == 200);
    assert_eq!((running.reloads("ok"), running.reloads("refused")), (2, 1), "each change once");
    assert_no_secret("standard error", running.process.errors().as_bytes());
}

#[test]
fn a_secret_that_is_swapped_by_a_link_is_read_again() {
    let app = App::start();
    let running = start(&setup(&app, ""));
    assert_eq!(running.token(), 200);
    // As container platforms mount a new version of a secret.
    fs::create_dir(running.folder.join("second")).unwrap();
    fs::write(running.folder.join("second/session"), "canary-of-another-session-secret").unwrap();
    symlink("second", running.folder.join("next")).unwrap();
    fs::rename(running.folder.join("next"), running.folder.join("secrets")).unwrap();
    eventually("the new secret", || running.token() == 401);
    fs::remove_file(running.folder.join("secrets")).unwrap();
    eventually("the refusal", || running.reloads("refused") == 1);
    assert_eq!(running.token(), 401);
    symlink("first", running.folder.join("secrets")).unwrap();
    eventually("the old secret", || running.token() == 200);
}

#[test]
fn a_renewed_certificate_is_shown_without_being_told() {
    let (app, authority) = (App::start(), Authority::new());
    let (files, renewed) = (authority.issue(&["app.test"]), authority.issue(&["app.test"]));
    let running = start(&setup(&app, &format!("tls = [{}]", files.item())));
    let client = authority.client();
    let mut kept = client.open(&running.address, "app.test");
    assert_eq!(kept.ask(&get("/x")).status, 200);
    files.become_like(&renewed);
    eventually("the new certificate", || {
        client.shown(&running.address, "app.test") == certificate(&renewed.cert)
    });
    assert_eq!(kept.ask(&get("/x")).status, 200);
}

#[test]
fn without_watching_only_the_signal_counts() {
    let app = App::start();
    let off = || Setup::new(&app).server("watch = false");
    let running = start(&off());
    let route = "[[route]]\npath = \"/new/**\"\nsession = \"required\"\n";
    fs::write(&running.file, text(&off().with(route))).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(running.page("/new/x"), 200);
    running.process.signal("HUP");
    eventually("the new policy", || running.page("/new/x") == 401);
}
