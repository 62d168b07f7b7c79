//! The audit log: who was given which token, and no token without a line where
//! that is required.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::running::{ENVIRONMENT, file_of};
use crate::support::{
    App, Conn, Gateway, Process, Request, START, Setup, clock, eventually, folder, get, seconds,
};

const PAGE: &str = r#"[token.page]
preset = "portive"
key = "PRTV_keyPage_canaryOfTheKey0123456789abcdef"
ttl = "1d"
[[route]]
path = "/upload"
set_headers = { X-Token = "{token.page}" }
"#;

fn log(audit: &str) -> String {
    format!("[log]\naudit = {audit}\n")
}

/// The lines that are there whole: one may be being written.
fn text(path: &Path) -> String {
    let mut text = std::fs::read_to_string(path).unwrap_or_default();
    text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
    text
}

/// The lines of the file once there are `count`; nothing in them is a token.
#[track_caller]
fn lines(path: &Path, count: usize) -> Vec<Value> {
    let mut text = String::new();
    eventually("the audit log", || {
        text = self::text(path);
        text.lines().count() >= count
    });
    assert!(!text.contains("eyJ") && !text.contains("canary"), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sha256(token: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn path() -> PathBuf {
    folder().join("audit.jsonl")
}

#[test]
fn every_token_issued_or_refused_has_a_line() {
    let (app, clock, path) = (App::start(), clock(), path());
    let limit = "limit = \"2/minute\"";
    let gateway =
        Setup::new(&app).token(limit).with(&log(&format!("{path:?}"))).clock(&clock).start();
    let token = gateway.token("ada").auth_token();
    clock.advance(seconds(10));
    assert_eq!(gateway.token("ada").status, 200);
    assert_eq!(gateway.token("ada").status, 429);
    assert_eq!(gateway.ask(&get("/api/get-auth-token")).status, 401);
    assert_eq!(gateway.ask(&Request::new("HEAD", "/api/get-auth-token").user("eve")).status, 200);
    assert!(gateway.ask(&get("/").user("ada")).is_from_app());
    let lines = lines(&path, 4);
    assert_eq!(lines.len(), 4, "HEAD gives no token, other requests none either");
    let [made, kept, limited, nobody] = lines.try_into().unwrap();
    assert_eq!(
        (&made["audit"], &made["token"], &made["user"]),
        (&"issued".into(), &"portive".into(), &"ada".into())
    );
    assert_eq!((&made["key"], &made["place"]), (&"keyOne".into(), &"endpoint".into()));
    assert_eq!(made["sha256"], sha256(&token));
    assert_eq!((&made["ttl"], &made["cached"]), (&60.into(), &false.into()));
    assert_eq!((&kept["ttl"], &kept["cached"]), (&50.into(), &true.into()));
    assert_eq!(kept["sha256"], made["sha256"]);
    assert_eq!(made["client"], "127.0.0.1");
    assert_eq!(made["time"], "2027-01-15T08:00:00.000Z");
    assert_eq!(START, 1_800_000_000);
    assert_eq!((&limited["code"], &limited["user"]), (&"too_many_requests".into(), &"ada".into()));
    assert_eq!((&nobody["code"], nobody.get("user")), (&"not_signed_in".into(), None));
}

#[test]
fn tokens_put_into_pages_have_lines_too() {
    let (app, path) = (App::start(), path());
    let gateway = Setup::new(&app).with(PAGE).with(&log(&format!("{path:?}"))).start();
    gateway.ask(&get("/upload").user("ada"));
    let token = app.only().one("x-token").unwrap();
    let line = lines(&path, 1).remove(0);
    assert_eq!((&line["token"], &line["place"]), (&"page".into(), &"page".into()));
    assert_eq!((&line["sha256"], &line["key"]), (&sha256(&token).into(), &"keyPage".into()));
}

fn failures(gateway: &Gateway) -> u64 {
    gateway.metric("portcullis_audit_failures_total")
}

#[test]
fn where_it_is_required_there_is_no_token_without_a_line() {
    let app = App::start();
    let full = log("{ to = \"/dev/full\", required = true }");
    let gateway = Setup::new(&app).with(PAGE).with(&full).start();
    gateway.token("ada").assert_refused(503, "unavailable");
    assert!(gateway.ask(&get("/upload").user("ada")).is_from_app());
    assert_eq!(app.only().one("x-token"), None, "the page comes without its token");
    assert!(failures(&gateway) >= 2);
}

#[test]
fn where_it_is_not_required_a_full_disk_is_counted() {
    let app = App::start();
    let gateway = Setup::new(&app).with(&log("\"/dev/full\"")).start();
    assert_eq!(gateway.token("ada").status, 200);
    eventually("the count", || failures(&gateway) == 1);
}

#[test]
fn a_single_token_can_require_it() {
    let app = App::start();
    let other = "[token.other]\npath = \"/api/other\"\npreset = \"portive\"\nttl = \"1m\"\n\
                 key = \"PRTV_keyTwo_canaryOfTheSecondKey0123456789\"\naudit = \"required\"\n";
    let gateway = Setup::new(&app).with(other).with(&log("\"/dev/full\"")).start();
    assert_eq!(gateway.token("ada").status, 200);
    gateway.ask(&get("/api/other").user("ada")).assert_refused(503, "unavailable");
    let text = Setup::new(&app).with(other).text();
    let problems = portcullis::testing::Config::read(&text, &portcullis::testing::Secrets::Literal);
    let problems = problems.err().unwrap();
    assert!(problems[0].text.contains("`audit` needs a log"), "{problems:?}");
}

/// A process of its own, with its settings outside the test's memory.
fn start(app: &App, audit: &str) -> (Process, PathBuf) {
    let folder = folder();
    let text = file_of(&Setup::new(app).with(&log(audit)));
    (Process::run(&folder.join("gateway.toml"), &text, &ENVIRONMENT), folder)
}

fn token(process: &Process) -> u16 {
    let (address, _) = process.addresses();
    Conn::open(&address).ask(&get("/api/get-auth-token").user("ada")).status
}

#[test]
fn standard_output_carries_both_logs() {
    let app = App::start();
    let (process, ..) = start(&app, "{ to = \"stdout\", required = true }");
    assert_eq!(token(&process), 200);
    eventually("both lines", || process.output().lines().count() >= 2);
    let lines: Vec<Value> =
        process.output().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let audit: Vec<_> = lines.iter().filter(|line| line.get("audit").is_some()).collect();
    assert_eq!(audit.len(), 1, "{lines:?}");
    assert_eq!((lines.len(), &audit[0]["user"]), (2, &"ada".into()));
}

#[test]
fn a_file_moved_away_is_opened_again_on_sighup() {
    let app = App::start();
    let (process, folder) = start(&app, "{ to = \"audit.jsonl\", required = true }");
    let (path, moved) = (folder.join("audit.jsonl"), folder.join("audit.jsonl.1"));
    assert_eq!((token(&process), lines(&path, 1).len()), (200, 1));
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!((token(&process), lines(&moved, 2).len()), (200, 2));
    process.signal("HUP");
    // The file is there a moment before lines go to it; the reload comes after both.
    eventually("the reload", || process.errors().contains("configuration reloaded"));
    assert_eq!((token(&process), lines(&path, 1).len()), (200, 1));
    assert_eq!(lines(&moved, 2).len(), 2);
}

#[test]
fn a_file_that_cannot_be_opened_stops_the_start() {
    let app = App::start();
    let (mut process, ..) = start(&app, "\"/nonexistent/audit.jsonl\"");
    assert_eq!(process.wait().code(), Some(2));
    eventually("the reason", || process.errors().contains("log.audit"));
}
