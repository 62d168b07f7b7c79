//! Lines of the audit log, and what happens when there is no room for them.

use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

use super::*;
use crate::observe::event::TokenPlace;
use crate::request::code::Code;

fn entry(decision: TokenDecision<'_>) -> AuditEntry<'_> {
    AuditEntry {
        unix_ms: 1_767_225_600_042,
        decision,
        token: "portive",
        place: TokenPlace::Endpoint,
        user: Some("a\"\n\u{1b}"),
        key: Some("keyOne"),
        client: Some([192, 0, 2, 1].into()),
        request_id: None,
    }
}

const ISSUED: TokenDecision<'_> =
    TokenDecision::Issued { token: b"abc", ttl: 60, origin: CachedOrMinted::Minted };

fn path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path =
        std::env::temp_dir().join(format!("portcullis-audit-{}-{number}", std::process::id()));
    drop(std::fs::remove_file(&path));
    path
}

fn write(log: &AuditLog, decision: TokenDecision<'_>, need: AuditMode) -> Result<(), Unwritten> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(log.write(&entry(decision), need))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_names_the_token_by_its_digest_and_holds_no_line_break_of_a_users() {
    let line = json(&entry(ISSUED));
    assert_eq!(line.matches('\n').count(), 1);
    let line: Value = serde_json::from_str(&line).unwrap();
    let expected = serde_json::json!({
        "time": "2026-01-01T00:00:00.042Z", "audit": "issued", "token": "portive",
        "place": "endpoint", "user": "a\"\n\u{1b}", "key": "keyOne",
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "ttl": 60, "cached": false, "client": "192.0.2.1"
    });
    assert_eq!(line, expected);
    let refused = json(&entry(TokenDecision::Refused(Code::NotAllowed)));
    let line: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!((&line["audit"], &line["code"]), (&"refused".into(), &"not_allowed".into()));
    assert_eq!(line.get("sha256"), None);
}

#[test]
fn a_required_line_is_there_when_write_returns() {
    let path = path();
    let log = AuditLog::start(AuditDestination::File(path.clone()), AuditMode::Wanted).unwrap();
    for count in 1..=3 {
        assert_eq!(write(&log, ISSUED, AuditMode::Required), Ok(()));
        assert_eq!(lines(&path).len(), count);
    }
    write(&log, ISSUED, AuditMode::Wanted).unwrap();
    log.flush();
    assert_eq!((lines(&path).len(), log.failed()), (4, 0));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_full_disk_refuses_what_is_required_and_counts_what_is_not() {
    let full = AuditDestination::File("/dev/full".into());
    let log = AuditLog::start(full.clone(), AuditMode::Wanted).unwrap();
    assert_eq!(write(&log, ISSUED, AuditMode::Wanted), Ok(()));
    assert_eq!(write(&log, ISSUED, AuditMode::Required), Err(Unwritten));
    log.flush();
    assert_eq!(log.failed(), 2);
    let log = AuditLog::start(full, AuditMode::Required).unwrap();
    assert_eq!(
        write(&log, ISSUED, AuditMode::Wanted),
        Err(Unwritten),
        "the log requires all of them"
    );
}

#[test]
fn a_file_moved_away_is_opened_again_and_kept_where_it_cannot_be() {
    let (path, moved) = (path(), path());
    let log = AuditLog::start(AuditDestination::File(path.clone()), AuditMode::Required).unwrap();
    write(&log, ISSUED, AuditMode::Required).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    write(&log, ISSUED, AuditMode::Required).unwrap();
    log.reopen().unwrap();
    write(&log, ISSUED, AuditMode::Required).unwrap();
    assert_eq!((lines(&moved).len(), lines(&path).len()), (2, 1));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(log.reopen().is_err());
    assert_eq!(write(&log, ISSUED, AuditMode::Required), Ok(()));
    std::fs::remove_dir(path).unwrap();
    std::fs::remove_file(moved).unwrap();
}

#[test]
fn a_place_that_cannot_be_opened_is_an_error_at_the_start() {
    let nowhere = AuditDestination::File("/nonexistent/audit.jsonl".into());
    assert!(AuditLog::start(nowhere, AuditMode::Wanted).is_err());
}
