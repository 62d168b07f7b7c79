//! Callers and their rights, as tables.

use http::Request;

use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn tcp(peer: &str, local: &str) -> AdminClient {
    AdminClient::Tcp { peer: peer.parse().unwrap(), local: local.parse().unwrap() }
}

fn here() -> AdminClient {
    tcp("127.0.0.1", "127.0.0.1:9090")
}

fn unix() -> AdminClient {
    AdminClient::Unix { uid: Some(1000) }
}

fn request(uri: &str, version: Version, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method("POST").uri(uri).version(version);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The documented request, with more fields.
fn change(host: &str, more: &[(&str, &str)]) -> Parts {
    let own = [
        ("Host", host),
        ("Content-Type", "application/json"),
        ("Content-Length", "14"),
        ("Accept", "*/*"),
        ("User-Agent", "curl/8.14.1"),
    ];
    request("/revoke", Version::HTTP_11, &[&own, more].concat())
}

fn status(checked: Result<(), AccessDenied>) -> u16 {
    checked.map_or_else(|denied| denied.status.as_u16(), |()| 200)
}

fn tokens() -> Vec<Secret> {
    vec![Secret::new("another-token-of-32-characters--"), Secret::new(TOKEN)]
}

#[test]
fn a_host_is_an_address_or_localhost_with_the_listeners_port_or_none() {
    let hosts = [
        ("127.0.0.1:9090", 200),
        ("127.0.0.1", 200),
        ("localhost:9090", 200),
        ("LOCALHOST", 200),
        ("[::1]:9090", 200),
        ("[::1]", 200),
        ("10.2.3.4:9090", 200),
        ("[2001:db8::1]", 200),
        ("", 421),
        ("admin", 421),
        ("evil.example:9090", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.nip.io:9090", 421),
        ("localhost.", 421),
        ("127.0.0.1:8080", 421),
        ("127.0.0.1:", 421),
        ("127.0.0.1:09090", 421),
        ("user@localhost:9090", 421),
        ("localhost:9090, evil.example", 421),
        ("::1", 421),
        ("::1:9090", 421),
        ("[::1", 421),
        ("[127.0.0.1]", 421),
        ("2130706433", 421),
        ("0x7f.1", 421),
        ("127.1", 421),
    ];
    for (host, expected) in hosts {
        let parts = request("/metrics", Version::HTTP_11, &[("Host", host)]);
        assert_eq!(status(check_host(&parts, &here())), expected, "{host:?}");
    }
    let two = request("/", Version::HTTP_11, &[("Host", "localhost"), ("Host", "localhost")]);
    assert_eq!(status(check_host(&two, &here())), 421);
    let absolute = request("http://localhost/", Version::HTTP_11, &[("Host", "localhost")]);
    assert_eq!(status(check_host(&absolute, &here())), 421);
}

#[test]
fn a_unix_socket_has_no_port_and_a_probe_of_http_1_0_no_host() {
    for (host, expected) in [("localhost", 200), ("localhost:9090", 421), ("evil.example", 421)] {
        let parts = request("/", Version::HTTP_11, &[("Host", host)]);
        assert_eq!(status(check_host(&parts, &unix())), expected, "{host:?}");
    }
    let mut probe = request("/healthz", Version::HTTP_10, &[]);
    assert_eq!(status(check_host(&probe, &here())), 421, "it would change something");
    probe.method = http::Method::GET;
    assert_eq!(status(check_host(&probe, &here())), 200);
    probe.version = Version::HTTP_11;
    assert_eq!(status(check_host(&probe, &here())), 421);
}

#[test]
fn a_change_has_no_field_that_a_proxy_or_a_browser_adds() {
    assert_eq!(status(check_change(&change("localhost", &[]), &here(), &[])), 200);
    let forwarding = [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Anything",
        "Forwarded",
        "Via",
        "X-Real-IP",
        "X-Client-IP",
        "X-Cluster-Client-IP",
        "X-Original-URL",
        "True-Client-IP",
        "CF-Connecting-IP",
        "CF-Ray",
        "CDN-Loop",
        "Fastly-Client-IP",
        "Fly-Client-IP",
        "X-Envoy-Attempt-Count",
        "X-Amzn-Trace-Id",
        "l5d-client-id",
        "X-Request-Id",
        "traceparent",
        "Cookie",
        "Upgrade",
        "X-Http-Method-Override",
        "Authorization",
    ];
    for name in forwarding {
        let parts = change("localhost", &[(name, "1")]);
        assert_eq!(status(check_change(&parts, &here(), &[])), 403, "{name}");
        assert_eq!(status(check_change(&parts, &unix(), &[])), 403, "{name}");
    }
    for name in ["Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-CH-UA"] {
        let parts = change("localhost", &[(name, "none")]);
        assert_eq!(status(check_change(&parts, &here(), &[])), 415, "{name}");
    }
}

#[test]
fn a_change_is_json_and_nothing_that_looks_like_it() {
    let types = [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/jsonx", 415),
        ("application/json, text/plain", 415),
        ("application/json; boundary=x", 415),
        ("text/plain; application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ];
    for (written, expected) in types {
        let fields = [("Host", "localhost"), ("Content-Type", written)];
        let parts = request("/revoke", Version::HTTP_11, &fields);
        assert_eq!(status(check_change(&parts, &here(), &[])), expected, "{written:?}");
    }
    let twice = change("localhost", &[("Content-Type", "application/json")]);
    assert_eq!(status(check_change(&twice, &here(), &[])), 415);
    let json = ("Content-Type", "application/json");
    let query = request("/revoke?user=ada", Version::HTTP_11, &[("Host", "localhost"), json]);
    assert_eq!(status(check_change(&query, &here(), &[])), 400);
}

#[test]
fn without_a_token_only_this_machine_changes_anything() {
    let askers = [
        (here(), "127.0.0.1:9090", 200),
        (tcp("::1", "[::1]:9090"), "[::1]:9090", 200),
        (unix(), "localhost", 200),
        (here(), "10.0.0.1", 403),
        (tcp("127.0.0.6", "127.0.0.1:9090"), "127.0.0.1", 403),
        (tcp("127.0.0.1", "10.0.0.1:9090"), "127.0.0.1", 403),
        (tcp("10.0.0.2", "10.0.0.1:9090"), "127.0.0.1", 403),
    ];
    for (asker, host, expected) in askers {
        let checked = check_change(&change(host, &[]), &asker, &[]);
        assert_eq!(status(checked), expected, "{asker} {host}");
    }
}

#[test]
fn with_a_token_everything_but_the_unix_socket_needs_it() {
    let (right, elsewhere) = (format!("Bearer {TOKEN}"), tcp("10.0.0.2", "10.0.0.1:9090"));
    let shown = [
        (right.as_str(), 200),
        ("bearer 0123456789abcdef0123456789abcdef", 200),
        ("Bearer another-token-of-32-characters--", 200),
        ("Bearer ", 401),
        ("Bearer 0123456789abcdef", 401),
        ("Bearer 0123456789abcdef0123456789abcdeF", 401),
        ("Bearer  0123456789abcdef0123456789abcdef", 401),
        ("Basic 0123456789abcdef0123456789abcdef", 401),
        (TOKEN, 401),
        ("", 401),
    ];
    for (field, expected) in shown {
        for asker in [here(), elsewhere, unix()] {
            let parts = change("127.0.0.1", &[("Authorization", field)]);
            assert_eq!(status(check_change(&parts, &asker, &tokens())), expected, "{field}");
        }
    }
    let without = change("127.0.0.1", &[]);
    assert_eq!(status(check_change(&without, &here(), &tokens())), 401);
    assert_eq!(status(check_change(&without, &elsewhere, &tokens())), 401);
    assert_eq!(status(check_change(&without, &unix(), &tokens())), 200);
    let twice = change("127.0.0.1", &[("Authorization", &right), ("Authorization", &right)]);
    assert_eq!(status(check_change(&twice, &here(), &tokens())), 401);
}

#[test]
fn the_log_names_the_address_or_the_user_of_the_socket() {
    assert_eq!(here().to_string(), "127.0.0.1");
    assert_eq!(unix().to_string(), "unix uid 1000");
}

/// The fields of the dashboard's own request, one of them changed or, where `value` is
/// empty, left out.
fn dashboard(changed: &str, value: &'static str) -> Parts {
    let fields = [
        ("Origin", "http://127.0.0.1:9090"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Dest", "empty"),
        ("X-Portcullis-Dashboard", "revoke"),
        ("Sec-CH-UA", "\"Chromium\""),
        ("Referer", "http://127.0.0.1:9090/"),
    ];
    let with = |(name, usual): (&'static str, &'static str)| {
        (name, if name == changed { value } else { usual })
    };
    let fields: Vec<_> =
        fields.map(with).into_iter().filter(|(_, value)| !value.is_empty()).collect();
    change("127.0.0.1:9090", &fields)
}

#[test]
fn the_dashboard_may_ask_and_no_other_page() {
    assert_eq!(status(check_change(&dashboard("", ""), &here(), &[])), 200);
    for (name, value) in [
        ("Origin", ""),
        ("Origin", "null"),
        ("Origin", "http://127.0.0.1:3000"),
        ("Origin", "https://127.0.0.1:9090"),
        ("Origin", "http://localhost:9090"),
        ("Origin", "http://evil.test"),
        ("Sec-Fetch-Site", ""),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "no-cors"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("X-Portcullis-Dashboard", ""),
        ("X-Portcullis-Dashboard", "1"),
    ] {
        let parts = dashboard(name, value);
        assert_eq!(status(check_change(&parts, &here(), &[])), 415, "{name}: {value}");
    }
    let token = [Secret::new("only-for-this-test-0123456789")];
    assert_eq!(
        status(check_change(&dashboard("", ""), &here(), &token)),
        401,
        "it needs the token"
    );
}
