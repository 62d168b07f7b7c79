//! Headers that a stranger writes: who is signed in, which host, which path.

use super::finding::FindingKind;
use super::probe::{Ask, Probe, is_kept_back, text};
use super::report::Report;
use super::target::Target;
use crate::outbound::Answer;

/// A value that no answer contains by chance.
const MARK: &str = "portcullis-selftest";
const HOST: &str = "portcullis-selftest.invalid";
const NOWHERE: &str = "/portcullis-selftest-elsewhere";
/// Header names that tell apps who is signed in.
const IDENTITY: [&str; 9] = [
    "X-Auth-User",
    "X_Auth_User",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Remote-User",
    "X-User",
    "X-User-Id",
    "X-Auth-Request-User",
    "Remote-User",
];
const SUBREQUEST: &str = "middleware:middleware:middleware:middleware:middleware";

pub(super) async fn check(probe: &Probe, target: &Target, report: &mut Report) {
    let names = IDENTITY.into_iter().chain(target.identity.iter().map(String::as_str));
    let identity: Vec<_> = names.map(|name| (name, MARK)).collect();
    let skips = [
        ("X-Middleware-Subrequest", SUBREQUEST),
        ("X-Middleware-Subrequest-Id", MARK),
        ("X-Middleware-Prefetch", "1"),
    ];
    let guarded = target.protected.iter().chain(&target.tokens);
    for path in guarded.map(String::as_str).chain(["/"]) {
        let ask = Ask::get(path);
        let Ok(before) = probe.ask(&ask).await else { continue };
        for (fields, kind) in [
            (&identity[..], FindingKind::IdentityHeader),
            (&skips[..], FindingKind::MiddlewareHeader),
        ] {
            let with = ask.with(fields);
            if let Ok(answer) = probe.ask(&with).await {
                report.check(&ask, opens(kind, &before, &answer));
            }
        }
    }
    check_hosts(probe, target, report).await;
    check_rewrites(probe, target, report).await;
}

/// Whether the app believes a host or a scheme that the client wrote.
async fn check_hosts(probe: &Probe, target: &Target, report: &mut Report) {
    let forwarded = [
        ("X-Forwarded-Host", HOST),
        ("X-Original-Host", HOST),
        ("X-Host", HOST),
        ("X-HTTP-Host-Override", HOST),
        ("X-Forwarded-Server", HOST),
        ("Forwarded", "host=portcullis-selftest.invalid;proto=http"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Scheme", "http"),
    ];
    let own = [("Host", HOST)];
    let page = target.protected.first().map_or("/", String::as_str);
    for path in ["/", page] {
        let ask = Ask::get(path).with(&forwarded);
        if let Ok(answer) = probe.ask(&ask).await {
            report.check(&Ask::get(path), believes_host(FindingKind::ForwardedHost, &answer));
            report.check(&Ask::get(path), believes_scheme(&answer, probe.is_tls()));
        }
        let ask = Ask::get(path).with(&own);
        if let Ok(answer) = probe.ask(&ask).await {
            report.check(&ask, believes_host(FindingKind::AnyHost, &answer));
        }
    }
}

/// Whether a header leads to another path.
async fn check_rewrites(probe: &Probe, target: &Target, report: &mut Report) {
    let Some(path) = target.protected.iter().chain(&target.tokens).next() else { return };
    let ask = Ask::get(NOWHERE);
    let fields = [
        ("X-Original-URL", path.as_str()),
        ("X-Rewrite-URL", path.as_str()),
        ("X-Original-URI", path.as_str()),
        ("X-Forwarded-Uri", path.as_str()),
    ];
    let with = ask.with(&fields);
    if let (Ok(before), Ok(after)) = (probe.ask(&ask).await, probe.ask(&with).await) {
        report.check(&with, leads_elsewhere(&before, &after));
    }
}

/// A page that was kept back is shown, or the mark comes back from a page that shows who is
/// signed in.
fn opens(kind: FindingKind, before: &Answer, after: &Answer) -> Option<(FindingKind, String)> {
    let opens = is_kept_back(before.status) && after.status.is_success();
    let shows = holds(after, MARK) && !holds(before, MARK);
    if opens {
        let (before, after) = (before.status.as_u16(), after.status.as_u16());
        return Some((kind, format!("{after} instead of {before}")));
    }
    shows.then(|| (kind, "the value comes back in the answer".to_owned()))
}

fn believes_host(kind: FindingKind, answer: &Answer) -> Option<(FindingKind, String)> {
    let is_there = holds(answer, HOST) && !answer.status.is_server_error();
    is_there.then(|| (kind, format!("{HOST} comes back in the answer")))
}

fn believes_scheme(answer: &Answer, is_tls: bool) -> Option<(FindingKind, String)> {
    let location = text(answer, "location");
    let goes_down = is_tls && location.starts_with("http://");
    goes_down.then(|| (FindingKind::ForwardedProto, "a redirect to http".to_owned()))
}

fn leads_elsewhere(before: &Answer, after: &Answer) -> Option<(FindingKind, String)> {
    let (before, after) = (before.status.as_u16(), after.status.as_u16());
    let differs = before != after && after != 429 && after != 400;
    differs.then(|| (FindingKind::RewriteHeader, format!("{after} instead of {before}")))
}

/// Whether the answer contains a text, as a link or a redirect.
fn holds(answer: &Answer, mark: &str) -> bool {
    let in_headers = answer.headers.values().any(|value| contains(value.as_bytes(), mark));
    in_headers || contains(&answer.body, mark)
}

fn contains(text: &[u8], mark: &str) -> bool {
    text.windows(mark.len()).any(|window| window == mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode, header};

    use super::*;

    #[test]
    fn a_scheme_that_the_client_wrote_sends_no_user_to_plain_http() {
        let answer = |location| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LOCATION, HeaderValue::from_static(location));
            Answer { status: StatusCode::SEE_OTHER, headers, body: Bytes::new() }
        };
        let down = answer("http://app.example.com/login");
        assert!(matches!(believes_scheme(&down, true), Some((FindingKind::ForwardedProto, _))));
        assert_eq!(believes_scheme(&down, false), None);
        assert_eq!(believes_scheme(&answer("https://app.example.com/login"), true), None);
        assert_eq!(believes_scheme(&answer("/login"), true), None);
    }
}
