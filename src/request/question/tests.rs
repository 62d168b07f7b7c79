//! The request each kind of proxy asks about, and the questions that are refused.

use super::super::ext_authz::{RawHeader, RawHeaders};
use super::*;

const ADMIN: [(&str, &str); 3] = [
    ("x-forwarded-method", "POST"),
    ("x-forwarded-uri", "/admin?x=/public"),
    ("x-forwarded-host", "app.example.com"),
];
const ORIGINALLY: [(&str, &str); 3] = [
    ("x-original-method", "POST"),
    ("x-original-uri", "/admin?x=/public"),
    ("host", "app.example.com"),
];

fn ask(target: &str, fields: &[(&str, &str)]) -> Result<Parts, &'static str> {
    let (mut question, ()) = http::Request::new(()).into_parts();
    question.uri = target.parse().unwrap();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        question.headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let managed = ReservedHeaders::new([&HeaderName::from_static("x-auth-user")]);
    let asker = Asker::at(target).unwrap();
    read(asker, &question, &managed, &[], RequestLimits::default()).map_err(|refusal| match refusal
    {
        Refusal::BadRequest(why) => why,
        _ => "another refusal",
    })
}

fn told(asked: &Parts) -> String {
    let host = asked.headers.get("host").map_or("", |host| host.to_str().unwrap());
    format!("{} {} {}", asked.method, host, asked.uri)
}

#[test]
fn each_proxy_has_its_own_address_and_words() {
    let forward = told(&ask("/auth/forward", &ADMIN).unwrap());
    assert_eq!(forward, "POST app.example.com /admin?x=/public");
    for target in ["/auth/nginx", "/auth/nginx/refused"] {
        assert_eq!(told(&ask(target, &ORIGINALLY).unwrap()), forward);
    }
    let url =
        [("x-original-method", "GET"), ("x-original-url", "https://a.example/b?c"), ("host", "x")];
    assert_eq!(told(&ask("/auth/nginx", &url).unwrap()), "GET a.example /b?c");
    let envoy = ask("/auth/envoy/admin?x=1", &[("host", "app.example.com")]).unwrap();
    assert_eq!(told(&envoy), "GET app.example.com /admin?x=1");
    for target in ["/", "/auth", "/auth/envoy", "/auth/envoyage", "/auth/nginx/", "/auth/forward/x"]
    {
        assert_eq!(Asker::at(target), None, "{target}");
    }
}

#[test]
fn the_path_is_kept_byte_for_byte() {
    for path in [
        "//admin",
        "/public/../admin",
        "/public/..%2fadmin",
        "/%61dmin",
        "/admin;x",
        "/a%5cb",
        "/ADMIN/",
        "/admin?a=b?c",
        "/auth/envoy/admin",
    ] {
        let fields = [("x-original-method", "GET"), ("x-original-uri", path), ("host", "a")];
        let nginx = ask("/auth/nginx", &fields).unwrap();
        assert_eq!(nginx.uri.to_string(), path);
        let envoy = ask(&format!("/auth/envoy{path}"), &[("host", "a")]).unwrap();
        assert_eq!(envoy.uri.to_string(), path);
    }
}

#[test]
fn what_no_target_may_have_is_read_as_in_a_request_that_is_sent_here() {
    for (path, read) in [
        ("/search?filter={\"a\":[1|2]}", "/search?filter={%22a%22:[1|2]}"),
        ("/a?b=<c>^`\\", "/a?b=%3Cc%3E^%60\\"),
        ("/a\"b<c>d`e", "/a%22b%3Cc%3Ed%60e"),
        ("/caf\u{e9}?x=\u{e9}", "/caf\u{e9}?x=\u{e9}"),
    ] {
        let named = NamedRequest {
            method: Method::GET,
            target: path.into(),
            host: None,
            named_by: &ORIGINAL,
        };
        let asked = parts(named, &HeaderMap::new()).unwrap();
        assert_eq!(asked.uri.to_string(), read, "{path}");
    }
}

#[test]
fn two_ways_at_once_are_refused() {
    let Refusal::BadRequest(both) = BOTH else { panic!() };
    for (target, fields, more) in [
        ("/auth/forward", ADMIN, ("x-original-uri", "/public")),
        ("/auth/forward", ADMIN, ("x-original-url", "/public")),
        ("/auth/forward", ADMIN, ("x-original-method", "GET")),
        ("/auth/nginx", ORIGINALLY, ("x-forwarded-uri", "/public")),
        ("/auth/nginx", ORIGINALLY, ("x-forwarded-method", "GET")),
        ("/auth/nginx", ORIGINALLY, ("x-forwarded-host", "other.example")),
        ("/auth/nginx", ORIGINALLY, ("x-original-url", "http://app.example.com/public")),
        ("/auth/nginx", ORIGINALLY, ("x-original-host", "other.example")),
        (
            "/auth/envoy/admin",
            [("host", "a"), ("accept", "*/*"), ("x-a", "b")],
            ("x-forwarded-uri", "/"),
        ),
        (
            "/auth/envoy/admin",
            [("host", "a"), ("accept", "*/*"), ("x-a", "b")],
            ("x-original-uri", "/"),
        ),
    ] {
        let fields: Vec<_> = fields.into_iter().chain([more]).collect();
        assert_eq!(ask(target, &fields).unwrap_err(), both, "{target} {more:?}");
    }
    let same = ORIGINALLY.into_iter().chain([("x-original-host", "APP.example.com")]);
    assert!(ask("/auth/nginx", &same.collect::<Vec<_>>()).is_ok());
}

#[test]
fn repeated_missing_or_malformed_parts_are_refused() {
    for (target, fields) in [("/auth/forward", ADMIN), ("/auth/nginx", ORIGINALLY)] {
        for field in fields {
            let twice: Vec<_> = fields.into_iter().chain([field]).collect();
            assert!(ask(target, &twice).is_err(), "{field:?} twice");
        }
        for field in &fields[..2] {
            let without: Vec<_> = fields.into_iter().filter(|other| other != field).collect();
            assert!(ask(target, &without).is_err(), "no {field:?}");
        }
    }
    for (name, value) in [
        ("x-original-method", "GE T"),
        ("x-original-method", ""),
        ("x-original-method", "TRACE"),
        ("x-original-uri", "admin"),
        ("x-original-uri", ""),
        ("x-original-uri", "*"),
        ("x-original-uri", "http://a/admin"),
        ("x-original-uri", "/admin#x"),
        ("x-original-uri", "/admin?a#x"),
        ("x-original-uri", "/ad min"),
        ("x-original-uri", "/admin%00"),
        ("x-original-uri", "/admin%zz"),
        ("host", "a, b"),
        ("host", "a/b"),
        ("host", "user@a"),
    ] {
        let mut fields = ORIGINALLY;
        fields.iter_mut().filter(|(known, _)| *known == name).for_each(|field| field.1 = value);
        assert!(ask("/auth/nginx", &fields).is_err(), "{name}: {value}");
    }
    for more in [
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-for", "192.0.2.1, junk"),
        ("x-forwarded-for", ""),
    ] {
        let fields: Vec<_> = ADMIN.into_iter().chain([more]).collect();
        assert!(ask("/auth/forward", &fields).is_err(), "{more:?}");
    }
    let fields: Vec<_> = ADMIN
        .into_iter()
        .chain([("x-forwarded-proto", "wss"), ("x-forwarded-for", "junk, ::1")])
        .collect();
    assert!(ask("/auth/forward", &fields).is_ok());
}

/// The question over gRPC, with each field by itself or with those of one name joined.
fn check(
    fields: &[(&str, &str)],
    path: &str,
    is_raw: bool,
) -> Result<(Parts, Vec<HeaderName>), Refusal> {
    let mut http = HttpRequest {
        method: "GET".into(),
        path: path.into(),
        host: "app.example.com".into(),
        ..HttpRequest::default()
    };
    let owned = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    if is_raw {
        let headers = owned.map(|(key, value)| RawHeader { key, value, raw_value: Vec::new() });
        http.header_map = Some(RawHeaders { headers: headers.collect() });
    } else {
        http.headers = owned.collect();
    }
    let managed = ReservedHeaders::new([&HeaderName::from_static("x-auth-user")]);
    read_check(&http, &managed, &[], RequestLimits::default())
}

#[test]
fn over_grpc_they_are_taken_out() {
    let fields =
        [(":path", "/other"), ("x_auth_user", "admin"), ("x-rewrite-url", "/"), ("a", "b")];
    for is_raw in [false, true] {
        let (asked, mut foreign) = check(&fields, "/admin?x=1", is_raw).unwrap();
        foreign.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        assert_eq!(foreign, ["x-rewrite-url", "x_auth_user"]);
        assert_eq!(told(&asked), "GET app.example.com /admin?x=1");
        let names: Vec<_> = asked.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        for (fields, path) in [
            (&[("x-original-uri", "/")][..], "/admin"),
            (&[("x-forwarded-uri", "/")], "/admin"),
            (&[("x-forwarded-proto", "gopher")], "/admin"),
            (&[("a b", "c")], "/admin"),
            (&[], "admin"),
            (&[], "/admin#x"),
            (&[], ""),
        ] {
            assert!(check(fields, path, is_raw).is_err(), "{fields:?} {path}");
        }
    }
}

#[test]
fn over_grpc_cookies_that_come_in_several_fields_are_one() {
    let (asked, _) = check(&[("cookie", "a=1"), ("cookie", "b=2")], "/", true).unwrap();
    assert!(asked.headers.get_all("cookie").iter().eq(["a=1; b=2"]), "{:?}", asked.headers);
    let twice = [("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")];
    assert!(check(&twice, "/", true).is_err());
}

#[test]
fn more_fields_than_any_request_has_are_refused() {
    let names: Vec<_> = (0..40_000).map(|number| format!("n{number}")).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    for is_raw in [false, true] {
        assert!(check(&fields, "/", is_raw).is_err());
    }
}

#[test]
fn headers_that_the_front_would_pass_on_to_an_app_that_believes_them_are_refused() {
    let Refusal::BadRequest(foreign) = FOREIGN else { panic!() };
    for name in [
        "x_auth_user",
        "x.auth.user",
        "x-auth_user",
        "x_forwarded_for",
        "content_length",
        "x-middleware-subrequest",
        "x-http-method-override",
        "x-rewrite-url",
        "x-host",
        "x-uri",
        "x-original-path",
        "x-next-url",
        "x-server-name",
        "remote-user",
        "x-authenticated-user",
        "x-forwarded-user",
        "x-webauth-user",
    ] {
        let fields: Vec<_> = ADMIN.into_iter().chain([(name, "x")]).collect();
        assert_eq!(ask("/auth/forward", &fields).unwrap_err(), foreign, "{name}");
    }
    for name in ["x-auth-user", "accept", "x-requested-with", "x-real-ip", "x-middleware-prefetch"]
    {
        let fields: Vec<_> = ADMIN.into_iter().chain([(name, "x")]).collect();
        assert!(ask("/auth/forward", &fields).is_ok(), "{name}");
    }
}

#[test]
fn forwarded_may_name_no_other_host() {
    let Refusal::BadRequest(foreign) = FOREIGN else { panic!() };
    for (forwarded, is_foreign) in [
        ("for=192.0.2.1", false),
        ("for=192.0.2.1;host=app.example.com;proto=https", false),
        ("host=\"APP.example.com:443\"", false),
        ("host=evil.example", true),
        ("for=192.0.2.1;Host=\"evil.example\"", true),
        ("host=app.example.com, host=evil.example", true),
        ("for=192.0.2.1, for=\"x\" ; host = evil.example", true),
        ("host=", true),
        ("host", true),
    ] {
        let fields: Vec<_> = ADMIN.into_iter().chain([("forwarded", forwarded)]).collect();
        let asked = ask("/auth/forward", &fields);
        assert_eq!(asked.err(), is_foreign.then_some(foreign), "{forwarded}");
        let (_, removed) = check(&[("forwarded", forwarded)], "/", true).unwrap();
        assert_eq!(removed.contains(&header::FORWARDED), is_foreign, "{forwarded}");
    }
}
