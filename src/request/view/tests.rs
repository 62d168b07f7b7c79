//! Requests as they arrive, and what `admit` makes of them.

use http::Request;

use super::*;

fn parts(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn admit_raw(parts: &Parts, target: &str, raw: Option<&str>) -> Result<Normalised, Refusal> {
    let raw = raw.map(str::as_bytes);
    admit(&Head { parts, target: target.as_bytes(), raw, limits: RequestLimits::default() })
}

fn admitted(target: &str, fields: &[(&str, &str)]) -> Result<Normalised, Refusal> {
    admit_raw(&parts("GET", "/", fields), target, None)
}

const HOST: (&str, &str) = ("host", "app.example");

#[test]
fn an_ordinary_request_needs_no_tidying() {
    assert_eq!(admitted("/a?b=c", &[HOST]), Ok(Normalised::default()));
}

#[test]
fn hosts_that_are_not_one_host_are_refused() {
    for host in ["", "a b", "a:80:90", "user@a", "a/b", "a:99999", "a,b", "a..b", "a?b", "[::1"] {
        assert!(admitted("/", &[("host", host)]).is_err(), "{host}");
    }
    assert!(admitted("/", &[]).is_err());
    assert!(admitted("/", &[HOST, ("host", "b")]).is_err());
    for host in ["a", "a:80", "[::1]:8080", "127.0.0.1", "A.Example."] {
        assert!(admitted("/", &[("host", host)]).is_ok(), "{host}");
    }
}

#[test]
fn only_one_way_to_find_the_end_of_the_body_is_accepted() {
    for fields in [
        &[HOST, ("content-length", "5"), ("content-length", "5")][..],
        &[HOST, ("content-length", "5, 5")],
        &[HOST, ("content-length", "+5")],
        &[HOST, ("content-length", "")],
        &[HOST, ("transfer-encoding", "gzip, chunked")],
        &[HOST, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        &[HOST, ("transfer-encoding", "identity")],
    ] {
        assert!(admitted("/", fields).is_err(), "{fields:?}");
    }
    let chunked = parts("POST", "/", &[HOST, ("transfer-encoding", "chunked")]);
    let raw =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-LENGTH: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(admit_raw(&chunked, "/", Some(raw)).is_err());
    let raw = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(admit_raw(&chunked, "/", Some(raw)).is_ok());
}

#[test]
fn request_lines_with_extra_words_or_fragments_are_refused() {
    let plain = parts("GET", "/", &[HOST]);
    for line in ["GET /a b HTTP/1.1", "GET  / HTTP/1.1", "GET /a#b HTTP/1.1", "GET /\t HTTP/1.1"] {
        let raw = format!("{line}\r\nHost: app.example\r\n\r\n");
        assert!(admit_raw(&plain, "/a", Some(&raw)).is_err(), "{line}");
    }
    assert!(
        admit_raw(&plain, "/", Some("\r\nGET / HTTP/1.1\r\nHost: app.example\r\n\r\n")).is_ok()
    );
}

#[test]
fn absolute_form_becomes_origin_form() {
    let normalised = admitted("http://app.example/a?b", &[HOST]).unwrap();
    assert_eq!(normalised.target.as_deref(), Some(&b"/a?b"[..]));
    let normalised = admitted("HTTP://app.example?x", &[]).unwrap();
    assert_eq!(normalised.target.as_deref(), Some(&b"/?x"[..]));
    assert_eq!(normalised.host.unwrap(), "app.example");
    for target in ["x", "*", "ftp://a/b", "http://", "http://u@a/"] {
        assert!(admitted(target, &[]).is_err(), "{target}");
    }
}

#[test]
fn malformed_targets_are_refused() {
    for target in ["/a b", "/\u{e9}", "/a\u{0}", "/%00", "/a\"b", "/a?b=\"c\"", "/a<b"] {
        assert!(admitted(target, &[HOST]).is_err(), "{target}");
    }
    for target in ["//a", "/a/../b", "/a\\b", "/%0a", "/caf%e9", "/%c0%af"] {
        assert!(admitted(target, &[HOST]).is_ok(), "{target}");
    }
}

#[test]
fn split_cookie_fields_are_joined() {
    let normalised = admitted("/", &[HOST, ("cookie", "a=1"), ("cookie", "b=2")]).unwrap();
    assert_eq!(normalised.cookie.unwrap(), "a=1; b=2");
    assert_eq!(admitted("/", &[HOST, ("cookie", "a=1")]).unwrap().cookie, None);
}

#[test]
fn methods_that_reflect_or_tunnel_are_refused() {
    for method in ["TRACE", "TRACK", "CONNECT", "trace", "Trace", "connect", "pri"] {
        let request = parts(method, "/", &[HOST]);
        assert!(matches!(admit_raw(&request, "/", None), Err(Refusal::MethodNotAllowed(_))));
    }
    assert!(admit_raw(&parts("PROPFIND", "/", &[HOST]), "/", None).is_ok());
}

#[test]
fn a_target_over_the_limit_is_too_large() {
    let target = |length: usize| format!("/{}", "x".repeat(length - 1));
    assert_eq!(admitted(&target(8192), &[HOST]), Ok(Normalised::default()));
    assert_eq!(admitted(&target(8193), &[HOST]), Err(Refusal::TooLarge(RequestPart::Target)));
}

#[test]
fn headers_over_the_limit_are_too_large() {
    let large = "x".repeat(33 * 1024);
    assert_eq!(admitted("/", &[HOST, ("x", &large)]), Err(Refusal::TooLarge(RequestPart::Headers)));
    let many = |count| [HOST].into_iter().chain(std::iter::repeat_n(("x", "y"), count));
    let many = |count| admitted("/", &many(count).collect::<Vec<_>>());
    assert_eq!(many(127), Ok(Normalised::default()));
    assert_eq!(many(128), Err(Refusal::TooLarge(RequestPart::Headers)));
}

#[test]
fn an_upgrade_is_a_bodiless_get_for_one_allowed_protocol() {
    const CONNECTION: (&str, &str) = ("connection", "upgrade");
    const WEBSOCKET: (&str, &str) = ("upgrade", "websocket");
    let asks = |method: &str, version, fields: &[(&str, &str)]| {
        let request = parts(method, "/", fields);
        let protocol = upgrade(&request.method, version, &request.headers);
        protocol.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
    };
    for fields in [
        &[CONNECTION, WEBSOCKET][..],
        &[("connection", "Upgrade"), ("upgrade", "WebSocket")],
        &[("connection", "keep-alive, UPGRADE"), WEBSOCKET],
        &[("connection", "keep-alive"), ("connection", "x ,\tupgrade\t, y"), WEBSOCKET],
        &[CONNECTION, WEBSOCKET, ("content-length", "0")],
    ] {
        assert!(asks("GET", Version::HTTP_11, fields), "{fields:?}");
        assert!(!asks("POST", Version::HTTP_11, fields), "POST {fields:?}");
        assert!(!asks("HEAD", Version::HTTP_11, fields), "HEAD {fields:?}");
        assert!(!asks("GET", Version::HTTP_10, fields), "HTTP/1.0 {fields:?}");
        assert!(!asks("GET", Version::HTTP_2, fields), "HTTP/2 {fields:?}");
    }
    for fields in [
        &[][..],
        &[CONNECTION],
        &[WEBSOCKET],
        &[("connection", "close"), WEBSOCKET],
        &[("connection", "upgrades"), WEBSOCKET],
        &[CONNECTION, ("upgrade", "")],
        &[CONNECTION, ("upgrade", "foo")],
        &[CONNECTION, ("upgrade", "h2c")],
        &[CONNECTION, ("upgrade", "websocket/13")],
        &[CONNECTION, ("upgrade", "websocket, foo")],
        &[CONNECTION, ("upgrade", "foo, websocket")],
        &[CONNECTION, WEBSOCKET, WEBSOCKET],
        &[CONNECTION, WEBSOCKET, ("upgrade", "foo")],
        &[CONNECTION, WEBSOCKET, ("content-length", "1")],
        &[CONNECTION, WEBSOCKET, ("content-length", "00")],
        &[CONNECTION, WEBSOCKET, ("content-length", "0"), ("content-length", "7")],
        &[CONNECTION, WEBSOCKET, ("transfer-encoding", "chunked")],
    ] {
        assert!(!asks("GET", Version::HTTP_11, fields), "{fields:?}");
    }
}
