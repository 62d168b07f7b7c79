//! TLS, its headers for browsers, cookies, and the admin listener.

use http::{HeaderValue, header};

use super::finding::FindingKind;
use super::probe::{Ask, Probe, text};
use super::report::Report;
use super::target::Target;
use crate::base::host::is_loopback;
use crate::outbound::{Answer, Url};

/// The admin listener's paths, and a text that its answer has and no other.
const ADMIN: [(&str, &str); 2] = [("/metrics", "portcullis_"), ("/status", "\"uptime_seconds\"")];
/// Its usual port.
const ADMIN_PORT: u16 = 9090;

pub(super) async fn check(probe: &Probe, home: &Answer, target: &Target, report: &mut Report) {
    let ask = Ask::get("/");
    let Some(url) = Url::parse(probe.origin()) else { return };
    if probe.is_tls() {
        report.check(&ask, no_hsts(home));
        if url.port() == 443 {
            check_plain(probe, &url, target, report).await;
        }
    } else {
        report.check(&ask, no_tls(url.host()));
    }
    report.check(&ask, cookie_flags(home, probe.is_tls()));
    for (path, mark) in ADMIN {
        let ask = Ask::get(path);
        if let Ok(answer) = probe.ask(&ask).await {
            report.check(&ask, admin(&answer, mark));
        }
    }
    if url.port() != ADMIN_PORT && !is_loopback(url.host()) {
        let origin = format!("http://{}:{ADMIN_PORT}", url.host());
        let ask = Ask::get("/metrics");
        if let Ok(answer) = probe.ask_at(&origin, &ask).await {
            report.check(&ask, admin(&answer, "portcullis_"));
        }
    }
}

/// The same site over plain HTTP.
async fn check_plain(probe: &Probe, url: &Url, target: &Target, report: &mut Report) {
    let path = target.tokens.first().map_or("/", String::as_str);
    let ask = Ask::get(path);
    if let Ok(answer) = probe.ask_at(&format!("http://{}", url.host()), &ask).await {
        report.check(&ask, plain(&answer));
    }
}

fn no_tls(host: &str) -> Option<(FindingKind, String)> {
    (!is_loopback(host)).then(|| (FindingKind::NoTls, "plain HTTP".to_owned()))
}

fn no_hsts(answer: &Answer) -> Option<(FindingKind, String)> {
    let is_there = !text(answer, "strict-transport-security").is_empty();
    (!is_there).then(|| (FindingKind::NoHsts, "no Strict-Transport-Security".to_owned()))
}

fn plain(answer: &Answer) -> Option<(FindingKind, String)> {
    let to_tls = answer.status.is_redirection() && text(answer, "location").starts_with("https://");
    let refuses = answer.status.is_client_error() && answer.status.as_u16() == 421;
    (!to_tls && !refuses).then(|| {
        (
            FindingKind::PlainHttp,
            format!("{} over http, without a redirect to https", answer.status.as_u16()),
        )
    })
}

fn admin(answer: &Answer, mark: &str) -> Option<(FindingKind, String)> {
    let body = String::from_utf8_lossy(&answer.body);
    let is_it = answer.status.is_success() && body.contains(mark);
    is_it.then(|| (FindingKind::AdminOpen, "the answer of the admin listener".to_owned()))
}

/// Cookies that look like a session's, and what they lack.
pub(super) fn cookie_flags(answer: &Answer, is_tls: bool) -> Option<(FindingKind, String)> {
    let cookies = answer.headers.get_all(header::SET_COOKIE).iter();
    let mut lacking = cookies.filter_map(|cookie| lacks(cookie, is_tls));
    lacking.next().map(|seen| (FindingKind::CookieFlags, seen))
}

fn lacks(cookie: &HeaderValue, is_tls: bool) -> Option<String> {
    let text = cookie.to_str().ok()?.to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let looks_like_one = ["sess", "sid", "auth", "token", "jwt", "remember"];
    if value.is_empty() || !looks_like_one.iter().any(|part| name.contains(part)) {
        return None;
    }
    // Scripts read the token that a form or a header repeats.
    let is_for_scripts = name.contains("csrf") || name.contains("xsrf");
    let flags: Vec<&str> = parts.map(|part| part.split('=').next().unwrap_or_default()).collect();
    let wanted = [("secure", is_tls), ("httponly", !is_for_scripts), ("samesite", true)];
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(flag, is_wanted)| *is_wanted && !flags.contains(flag))
        .map(|(flag, _)| *flag)
        .collect();
    (!missing.is_empty()).then(|| format!("the cookie {name} without {}", missing.join(", ")))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn answer(status: u16, fields: &[(&'static str, &'static str)]) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new() }
    }

    #[test]
    fn plain_http_may_only_lead_to_https() {
        assert_eq!(plain(&answer(308, &[("location", "https://a.example/")])), None);
        assert_eq!(plain(&answer(421, &[])), None);
        for bad in [
            answer(200, &[]),
            answer(401, &[]),
            answer(302, &[("location", "http://a.example/login")]),
            answer(302, &[("location", "/login")]),
        ] {
            assert!(matches!(plain(&bad), Some((FindingKind::PlainHttp, _))), "{}", bad.status);
        }
    }

    #[test]
    fn remote_sites_need_tls_and_hsts() {
        assert_eq!((no_tls("127.0.0.1"), no_tls("localhost")), (None, None));
        assert!(matches!(no_tls("app.example.com"), Some((FindingKind::NoTls, _))));
        assert!(matches!(no_hsts(&answer(200, &[])), Some((FindingKind::NoHsts, _))));
        let hsts = [("strict-transport-security", "max-age=31536000")];
        assert_eq!(no_hsts(&answer(200, &hsts)), None);
    }

    #[test]
    fn a_session_cookie_has_its_flags() {
        let flags = |cookie| cookie_flags(&answer(200, &[("set-cookie", cookie)]), true);
        for good in [
            "session=x; Path=/; Secure; HttpOnly; SameSite=Lax",
            "theme=dark",
            "session=; Max-Age=0",
            "XSRF-TOKEN=x; Secure; SameSite=Lax",
        ] {
            assert_eq!(flags(good), None, "{good}");
        }
        let seen = |cookie| flags(cookie).map(|(_, seen)| seen).unwrap();
        assert_eq!(
            seen("connect.sid=x; HttpOnly"),
            "the cookie connect.sid without secure, samesite"
        );
        assert_eq!(
            seen("auth_token=x; Secure; SameSite=Lax"),
            "the cookie auth_token without httponly"
        );
        let over_http = answer(200, &[("set-cookie", "sid=x; HttpOnly; SameSite=Lax")]);
        assert_eq!(cookie_flags(&over_http, false), None);
    }
}
