//! The sessions of public reports, made by the libraries' latest versions: each is read
//! as its app reads it, or refused with a message that names the setting to write.
//!
//! A case has the settings as they were reported (`session`) and, where no default can
//! know the app's choice, those that read it (`cured`).

use serde_json::Value as Json;

use super::*;
use vectors::{answer, compile};

const CASES: &str = include_str!("../../../tests/fixtures/reports/sessions.json");

/// From cookies to an identity and its row, asking the case's store in between.
pub(super) fn verdict(
    source: &SessionReader,
    store: &Json,
    cookies: Cookies<'_>,
    now: u64,
) -> Result<(Identity, Option<(StoreRank, Row)>), Rejected> {
    let mut seen = None;
    let mut check = source.look(cookies, now)?;
    loop {
        let question = match check {
            Check::Known(identity) => return Ok((identity, seen)),
            Check::Ask(question) => question,
        };
        let found = answer(store, &question.query);
        if let Some(StoreAnswer::Row(row)) = found.as_ref().filter(|_| question.is_first()) {
            seen = Some((question.rank(), row.clone()));
        }
        check = source.answered(&question, found, now)?;
    }
}

/// All that `portcullis session` would say: of an accepted session, its notes.
fn said(case: &Json, session: &Json) -> Result<(Identity, String), String> {
    let source = compile(session).map_err(|problems| format!("{problems:?}"))?;
    let header = case["cookie"].as_str().unwrap();
    let cookies = Cookies::new(header.as_bytes());
    if let Some(asked) = case["asked"].as_str() {
        assert_eq!(source.asked_cookies(cookies), asked.as_bytes(), "{}", case["id"]);
    }
    let now = case["now"].as_u64().unwrap();
    match verdict(&source, &case["store"], cookies, now) {
        Ok((identity, row)) => {
            let notes = source.notes(&identity, row.as_ref(), now).join("; ");
            Ok((identity, notes))
        }
        Err(rejected) => {
            let hints = source.hints(cookies, &rejected).join("; ");
            Err(format!("{}: {}; {hints}", rejected.reason.as_str(), rejected.detail))
        }
    }
}

/// Whether an identity is the one a case wants.
fn is_wanted(case: &Json, identity: &Identity) -> bool {
    let user = case["user_id"].as_str().is_none_or(|user| user == identity.user_id());
    let end = case["expires_at"].as_u64().is_none_or(|end| Some(end) == identity.expires_at());
    case["want"] == "accept" && user && end
}

/// The verdict in a word, or what is wrong.
fn judged(case: &Json) -> Result<&'static str, String> {
    let names_cure = |text: &str| {
        let says = case["says"].as_array().into_iter().flatten();
        says.map(|part| part.as_str().unwrap()).all(|part| text.contains(part))
    };
    let found = said(case, &case["session"]);
    let is_cured = || {
        let Some(cured) = case.get("cured") else { return Ok(()) };
        match (said(case, cured), case["want"].as_str()) {
            (Ok((identity, _)), Some("accept")) if is_wanted(case, &identity) => Ok(()),
            (Err(_), Some("reject")) => Ok(()),
            (Ok((identity, _)), _) => {
                Err(format!("with the cure: accepted for {}", identity.user_id()))
            }
            (Err(why), _) => Err(format!("with the cure: {why}")),
        }
    };
    match (found, case["want"].as_str()) {
        (Ok((identity, notes)), Some("accept")) if is_wanted(case, &identity) => {
            // What the app does beside it is shown with the accepted session.
            if names_cure(&notes) { is_cured().map(|()| "accepted") } else { Err(notes) }
        }
        (Err(text), Some("reject")) if names_cure(&text) => is_cured().map(|()| "refused"),
        (Err(text), _) if case.get("says").is_some() && names_cure(&text) => {
            is_cured().map(|()| "refused, and the cure named")
        }
        // Only the app knows its limit: the setting is shown with the accepted session.
        (Ok((_, notes)), Some("reject")) if case.get("cured").is_some() => {
            if names_cure(&notes) {
                is_cured().map(|()| "accepted, and the cure named")
            } else {
                Err(notes)
            }
        }
        (Ok((identity, _)), _) => {
            Err(format!("accepted for {} until {:?}", identity.user_id(), identity.expires_at()))
        }
        (Err(text), _) => Err(text),
    }
}

#[test]
fn every_reported_session_is_read_or_its_cure_is_named() {
    let cases: Vec<Json> = serde_json::from_str(CASES).unwrap();
    assert!(cases.len() >= 49);
    let mut failures = Vec::new();
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        if let Some(elsewhere) = case["elsewhere"].as_str() {
            println!("{id:36} {elsewhere}");
            continue;
        }
        match judged(case) {
            Ok(verdict) => println!("{id:36} {verdict}"),
            Err(why) => failures.push(format!("{id}: {why}")),
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
