//! Heads of requests: what is admitted can be read in one way only.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use portcullis::testing::{Client, Scheme};
use portcullis::testing::{Head, RequestLimits, RequestView, admit};

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET http://a.example/x?y HTTP/1.1\r\nHost: b.example\r\n\r\n",
        "GET https://a.example?y HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\ncontent-length: +3\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "GET /a/../b%2e%2e/%2F//c;d/.%00 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: [::1]:80\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%C0%AE%c0%ae/\\x HTTP/1.0\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a, b\r\nCache-Control: max-age=0, No-Cache\r\n\r\n",
    ]
    .into_iter()
    .map(|seed| seed.as_bytes().to_vec())
    .collect()
}

pub(crate) fn run(raw: &[u8]) {
    let Some((mut parts, target)) = parse(raw) else { return };
    for raw in [Some(raw), None] {
        let head = Head { parts: &parts, target: &target, raw, limits: RequestLimits::default() };
        let Ok(tidy) = admit(&head) else { continue };
        let sent = tidy.target.as_deref().unwrap_or(&target);
        check_target(sent);
        let count = |name: &HeaderName| parts.headers.get_all(name).iter().count();
        assert!(count(&HOST) <= 1 && count(&CONTENT_LENGTH) <= 1);
        assert!(count(&TRANSFER_ENCODING) <= 1);
        if raw.is_some() {
            assert!(count(&TRANSFER_ENCODING) == 0 || count(&CONTENT_LENGTH) == 0);
        }
        assert_eq!(tidy.cookie.is_some(), count(&COOKIE) > 1);
        let sent = sent.to_vec();
        if let Some(cookie) = tidy.cookie {
            parts.headers.insert(COOKIE, cookie);
        }
        view(&parts, &sent);
    }
}

/// Heads that every program would refuse are refused here. Paths that programs read in several
/// ways pass: they meet the rule of every reading (`readings`).
fn check_target(target: &[u8]) {
    assert!(target.starts_with(b"/") && target.iter().all(u8::is_ascii_graphic));
    let path = target.split(|&byte| byte == b'?').next().unwrap();
    let path = std::str::from_utf8(path).unwrap().to_ascii_lowercase();
    for part in ["#", "%00"] {
        assert!(!path.contains(part), "{part} in {path}");
    }
}

fn view(parts: &Parts, target: &[u8]) {
    let target = std::str::from_utf8(target).unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let client =
        Client { address: None, scheme: Scheme::Http, hops: Vec::new(), via_trusted: false };
    let headers = &parts.headers;
    let view = RequestView {
        method: &parts.method,
        path,
        query,
        headers,
        host: "a.example",
        client: &client,
    };
    let _ = (view.audience(), view.wants_fresh(), view.cookies().iter().count());
    assert!(!view.is_repeated(&COOKIE));
}

/// As the framework reads a head, but for what it refuses.
fn parse(raw: &[u8]) -> Option<(Parts, Vec<u8>)> {
    let mut lines = raw.split(|&byte| byte == b'\n');
    let mut words = lines.next()?.trim_ascii_end().split(|&byte| byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let mut parts = Request::new(()).into_parts().0;
    parts.method = Method::from_bytes(method).ok()?;
    parts.uri = Uri::try_from(target).unwrap_or_default();
    parts.version = if version == b"HTTP/1.0" { Version::HTTP_10 } else { Version::HTTP_11 };
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    for line in lines.take_while(|line| !line.is_empty()) {
        let at = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?;
        parts.headers.append(name, value);
    }
    Some((parts, target.to_vec()))
}
