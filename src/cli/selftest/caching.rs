//! Caches between the users and the gateway: none may keep an answer of a token's path.

use super::finding::FindingKind;
use super::probe::{Ask, Probe, text};
use super::report::Report;
use crate::outbound::Answer;

/// Endings that CDNs keep despite the headers.
const ENDINGS: [&str; 3] = ["/selftest.css", ";selftest.js", "%2fselftest.png"];

pub(super) async fn check(probe: &Probe, path: &str, report: &mut Report) {
    let ask = Ask::get(path);
    // Twice: what a cache has kept comes back the second time.
    for _ in 0..2 {
        if let Ok(answer) = probe.ask(&ask).await {
            report.check(&ask, kept(&answer));
        }
    }
    if !probe.has_session() {
        return;
    }
    let signed_in = ask.signed_in();
    let given = match probe.ask(&signed_in).await {
        Ok(given) => given,
        Err(error) => return report.untested(format!("GET {path} with the session: {error}")),
    };
    if given.status.as_u16() == 429 {
        return report.skip(format!("GET {path} with the session: its limit is used up"));
    }
    if !given.status.is_success() {
        let status = given.status.as_u16();
        return report.skip(format!(
            "GET {path} with the session: {status}; is the user signed in, and does the token need \
             inputs?"
        ));
    }
    report.check(&signed_in, kept(&given));
    report.check(&signed_in, no_limit(&given));
    if let Ok(answer) = probe.ask(&ask).await {
        report.check(&ask, given_to_nobody(&given, &answer));
    }
    for ending in ENDINGS {
        let other = format!("{path}{ending}");
        let ask = Ask::get(&other).signed_in();
        if let Ok(answer) = probe.ask(&ask).await {
            report.check(&ask, another_name(&given, &answer));
        }
    }
}

/// Whether a cache has, or could have, kept an answer.
fn kept(answer: &Answer) -> Option<(FindingKind, String)> {
    let hit = ["cf-cache-status", "x-cache", "x-cache-status", "x-vercel-cache", "x-proxy-cache"];
    let is_hit = |name: &&str| text(answer, name).to_ascii_lowercase().contains("hit");
    if let Some(name) = hit.into_iter().find(|name| is_hit(name)) {
        return Some((FindingKind::TokenCached, format!("{name}: {}", text(answer, name))));
    }
    let age = text(answer, "age");
    if !age.is_empty() && age != "0" {
        return Some((FindingKind::TokenCached, format!("Age: {age}")));
    }
    let control = text(answer, "cache-control").to_ascii_lowercase();
    let is_private = control.contains("no-store") && !control.contains("public");
    (!is_private).then(|| {
        let said = if control.is_empty() {
            "no Cache-Control".to_owned()
        } else {
            format!("Cache-Control: {control}")
        };
        (FindingKind::MayBeCached, said)
    })
}

fn no_limit(answer: &Answer) -> Option<(FindingKind, String)> {
    let is_there = !text(answer, "ratelimit").is_empty();
    (!is_there).then(|| (FindingKind::NoLimit, "no RateLimit header".to_owned()))
}

/// The answer without a session, after one with it.
fn given_to_nobody(given: &Answer, answer: &Answer) -> Option<(FindingKind, String)> {
    let is_same = answer.status.is_success() && answer.body == given.body;
    is_same.then(|| (FindingKind::TokenCached, "the same token without a session".to_owned()))
}

fn another_name(given: &Answer, answer: &Answer) -> Option<(FindingKind, String)> {
    let is_same_kind = text(answer, "content-type") == text(given, "content-type");
    let members = |answer: &Answer| {
        let body: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
        let members = body.as_ref().and_then(serde_json::Value::as_object).cloned();
        members.map(|members| members.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
    };
    let is_alike = match (members(given), members(answer)) {
        (Some(given), Some(answer)) => given == answer,
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => given.body == answer.body,
    };
    let is_given = answer.status.is_success() && is_same_kind && is_alike;
    is_given.then(|| {
        (FindingKind::TokenUnderAnotherName, "an answer as at the token's own path".to_owned())
    })
}
