//! A guarded page: refused under every spelling of its path, and over HTTP/2.

use super::finding::FindingKind;
use super::probe::{Ask, LONGEST_ANSWER, Probe, is_kept_back};
use super::report::Report;
use super::tokens::http2;
use crate::outbound::Answer;

/// A page that cannot be there.
const NOWHERE: &str = "/portcullis-selftest-nowhere";

pub(super) async fn check(probe: &Probe, path: &str, report: &mut Report) {
    let ask = Ask::get(path);
    let plain = match probe.ask(&ask).await {
        Ok(plain) => plain,
        Err(error) => return report.untested(format!("GET {path}: {error}")),
    };
    report.check(&ask, open(&plain));
    if !is_kept_back(plain.status) {
        return;
    }
    let nowhere = probe.ask(&Ask::get(NOWHERE)).await.ok();
    for spelling in spellings(path) {
        let ask = Ask::get(&spelling);
        if let Ok(answer) = probe.ask(&ask).await {
            report.check(&ask, spelled(&answer, nowhere.as_ref()));
        }
    }
    match probe.ask_http2(&ask).await {
        Ok(answer) => report.check(&ask, http2(&plain, &answer)),
        Err(error) => report.skip(format!("GET {path} over HTTP/2: {error}")),
    }
}

fn open(answer: &Answer) -> Option<(FindingKind, String)> {
    let status = answer.status;
    (!is_kept_back(status))
        .then(|| (FindingKind::PageOpen, format!("{} without a session", status.as_u16())))
}

/// A single-page app answers every path with the same page: that is none of this one.
fn spelled(answer: &Answer, nowhere: Option<&Answer>) -> Option<(FindingKind, String)> {
    let is_fallback = nowhere.is_some_and(|nowhere| {
        // The length of a page that was cut says nothing.
        let is_cut = answer.body.len() >= LONGEST_ANSWER;
        nowhere.status == answer.status
            && nowhere.body.len() == answer.body.len()
            && (!is_cut || nowhere.body == answer.body)
    });
    let is_shown = answer.status.is_success() && !is_fallback;
    is_shown.then(|| {
        (FindingKind::PathSpelling, format!("{} without a session", answer.status.as_u16()))
    })
}

/// Spellings that some server takes for the same path.
fn spellings(path: &str) -> Vec<String> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let first = rest.bytes().next().unwrap_or(b'x');
    let tail = rest.get(1..).unwrap_or_default();
    let mut all = vec![
        format!("//{rest}"),
        format!("/./{rest}"),
        format!("/selftest/../{rest}"),
        format!("/%2e/{rest}"),
        format!("/selftest/%2e%2e/{rest}"),
        format!("/%{first:02x}{tail}"),
        format!("/%25{first:02x}{tail}"),
        format!("{path}/"),
        format!("{path};selftest"),
        format!("{path}%20"),
        format!("{path}%00"),
        format!("{path}.json"),
        format!("/selftest/..;/{rest}"),
    ];
    if rest.bytes().any(|byte| byte.is_ascii_lowercase()) {
        all.push(path.to_ascii_uppercase());
    }
    all
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn pages_that_were_cut_are_the_same_only_in_every_octet() {
        let page = |text: &str, length| {
            let body = text.repeat(length).into_bytes().into();
            Answer { status: StatusCode::OK, headers: HeaderMap::new(), body }
        };
        let (a, b) = (page("a", LONGEST_ANSWER), page("b", LONGEST_ANSWER));
        assert!(matches!(spelled(&a, Some(&b)), Some((FindingKind::PathSpelling, _))));
        assert_eq!(spelled(&a, Some(&a)), None);
        assert_eq!(spelled(&page("a", 9), Some(&page("b", 9))), None, "a nonce may differ");
    }

    #[test]
    fn spellings_are_other_paths_each_once() {
        let all = spellings("/admin");
        assert!(all.contains(&"/%61dmin".to_owned()) && all.contains(&"/ADMIN".to_owned()));
        let once: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(once.len(), all.len());
        assert!(!all.contains(&"/admin".to_owned()));
    }
}
