//! A token's path: closed without a session, to other sites, methods and protocols.

use http::{HeaderName, Method};

use super::finding::FindingKind;
use super::probe::{Ask, Probe, is_refusal, text};
use super::report::Report;
use super::transport::cookie_flags;
use crate::outbound::Answer;

pub(super) const EVIL: &str = "https://portcullis-selftest.invalid";
const METHODS: [&str; 3] = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

pub(super) async fn check(probe: &Probe, path: &str, report: &mut Report) {
    let ask = Ask::get(path);
    let plain = match probe.ask(&ask).await {
        Ok(plain) => plain,
        Err(error) => return report.untested(format!("GET {path}: {error}")),
    };
    report.check(&ask, without_session(&plain));
    report.check(&ask, not_the_gateway(&plain));
    report.check(&ask, cookie_flags(&plain, probe.is_tls()));
    report.check(&ask, no_sniff(&plain));
    let post = Ask { method: &Method::POST, ..ask };
    if let Ok(answer) = probe.ask(&post).await {
        report.check(&post, without_session(&answer));
    }
    check_other_sites(probe, path, report).await;
    let fields = METHODS.map(|name| (name, "DELETE"));
    let overridden = ask.with(&fields);
    if let Ok(answer) = probe.ask(&overridden).await {
        report.check(&overridden, method_override(&plain, &answer));
    }
    match probe.ask_http2(&ask).await {
        Ok(answer) => report.check(&ask, http2(&plain, &answer)),
        Err(error) => report.skip(format!("GET {path} over HTTP/2: {error}")),
    }
}

/// The answer to a page of another site in a user's browser.
async fn check_other_sites(probe: &Probe, path: &str, report: &mut Report) {
    let page = [("Origin", EVIL), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "cors")];
    let sandbox =
        [("Origin", "null"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "cors")];
    let wish = [
        ("Origin", EVIL),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "x-selftest"),
    ];
    let ask = if probe.has_session() { Ask::get(path).signed_in() } else { Ask::get(path) };
    let preflight = Ask { method: &Method::OPTIONS, ..Ask::get(path) };
    for ask in [ask.with(&page), ask.with(&sandbox), preflight.with(&wish)] {
        let Ok(answer) = probe.ask(&ask).await else { continue };
        report.check(&ask, cors(&answer));
        if ask.method == Method::GET && probe.has_session() {
            report.check(&ask, other_site(&answer));
        }
    }
}

fn without_session(answer: &Answer) -> Option<(FindingKind, String)> {
    let is_page = text(answer, "content-type").starts_with("text/html");
    let is_given = answer.status.is_success() && !is_page && !answer.body.is_empty();
    is_given.then(|| {
        let (status, kind) = (answer.status.as_u16(), text(answer, "content-type"));
        (FindingKind::TokenWithoutSession, format!("{status} {kind} without a session"))
    })
}

/// A redirect, a page or a plain 404: another program's answer.
fn not_the_gateway(answer: &Answer) -> Option<(FindingKind, String)> {
    let is_given = without_session(answer).is_some();
    (!is_given && !is_refusal(answer)).then(|| {
        let (status, kind) = (answer.status.as_u16(), text(answer, "content-type"));
        (FindingKind::NotTheGateway, format!("{status} {kind}, not a refusal of the gateway"))
    })
}

fn no_sniff(answer: &Answer) -> Option<(FindingKind, String)> {
    let lacks = is_refusal(answer) && text(answer, "x-content-type-options") != "nosniff";
    lacks.then(|| (FindingKind::NoSniff, "no X-Content-Type-Options: nosniff".to_owned()))
}

pub(super) fn cors(answer: &Answer) -> Option<(FindingKind, String)> {
    let name = HeaderName::from_static("access-control-allow-origin");
    let allowed = text(answer, name.as_str());
    let is_open = [EVIL, "*", "null"].contains(&allowed);
    is_open.then(|| (FindingKind::CorsOpen, format!("Access-Control-Allow-Origin: {allowed}")))
}

fn other_site(answer: &Answer) -> Option<(FindingKind, String)> {
    let is_given = without_session(answer).is_some();
    is_given.then(|| (FindingKind::TokenToAnotherSite, format!("{}", answer.status.as_u16())))
}

fn method_override(plain: &Answer, overridden: &Answer) -> Option<(FindingKind, String)> {
    let (before, after) = (plain.status.as_u16(), overridden.status.as_u16());
    let differs = before != after && after != 429;
    differs.then(|| (FindingKind::MethodOverride, format!("{after} instead of {before}")))
}

pub(super) fn http2(plain: &Answer, over_http2: &Answer) -> Option<(FindingKind, String)> {
    let opens = over_http2.status.is_success() && !plain.status.is_success();
    opens.then(|| {
        let (before, after) = (plain.status.as_u16(), over_http2.status.as_u16());
        (FindingKind::Http2OtherRules, format!("{after} over HTTP/2, {before} over HTTP/1.1"))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn http2_may_not_show_what_http1_refuses() {
        let answer = |status| Answer { status, headers: HeaderMap::new(), body: Bytes::new() };
        let (open, kept) = (answer(StatusCode::OK), answer(StatusCode::UNAUTHORIZED));
        assert!(matches!(http2(&kept, &open), Some((FindingKind::Http2OtherRules, _))));
        assert_eq!((http2(&kept, &kept), http2(&open, &open)), (None, None));
    }
}
