//! The symptoms of the troubleshooting page, brought about: what a client gets, what the log
//! says, and that the cure named there is one.

use crate::support::{App, Claims, Gateway, Request, Response, Setup, get};

const PATH: &str = "/api/get-auth-token";

/// The answer, and the log's reason for it.
fn asked(gateway: &Gateway, request: &Request) -> (Response, String) {
    let answer = gateway.ask(request);
    let reason = gateway.line_of(&answer)["reason"].as_str().unwrap().to_owned();
    (answer, reason)
}

#[test]
fn everybody_gets_401_and_the_log_says_why() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let other_secret = Claims::of("ada")
        .signed(jsonwebtoken::Algorithm::HS256, "another-secret-of-the-app-0123456789");
    let no_user = Claims::of("ada").with("sub", serde_json::Value::Null).cookie();
    let expired = Claims::of("ada").with("exp", 1_000_000_000).cookie();
    for (cookie, reason) in [
        (format!("session={other_secret}"), "bad_signature"),
        ("__Secure-session=x".to_owned(), "missing"),
        ("session=s%3Aid.signature".to_owned(), "malformed"),
        (no_user, "no_user"),
        (expired, "expired"),
    ] {
        let (answer, said) = asked(&gateway, &get(PATH).header("Cookie", &cookie));
        assert_eq!((answer.status, said.as_str()), (401, reason), "{answer:?}");
    }
}

#[test]
fn all_share_one_limit_behind_a_cdn_until_it_is_named() {
    let route = "[[route]]\npath = \"/search\"\nsession = \"off\"\nlimit = \"1/minute\"\n";
    let search = |client: &str| get("/search").header("X-Forwarded-For", client);
    let app = App::start();
    let gateway = Setup::new(&app).with(route).start();
    assert_eq!(gateway.ask(&search("203.0.113.1")).status, 200);
    assert_eq!(gateway.ask(&search("203.0.113.2")).status, 429, "one address for all");
    let named = Setup::new(&app).with(route).server("trusted_proxies = [\"127.0.0.1\"]").start();
    assert_eq!(named.ask(&search("203.0.113.1")).status, 200);
    assert_eq!(named.ask(&search("203.0.113.2")).status, 200);
    assert_eq!(named.ask(&search("203.0.113.1")).status, 429);
    // Signed-in users never depended on it.
    let gateway = Setup::new(&app).token("limit = \"1/minute\"").start();
    assert_eq!((gateway.token("ada").status, gateway.token("ben").status), (200, 200));
}

#[test]
fn it_works_in_curl_and_not_in_the_browser() {
    let app = App::start();
    let gateway = Setup::new(&app).server("hosts = [\"app.test\", \"gateway.internal\"]").start();
    let curl = get(PATH).user("ada");
    assert_eq!(gateway.ask(&curl).status, 200);
    let browser = |page: &str| curl.clone().header("Origin", page);
    gateway.ask(&browser("https://other.example")).assert_refused(403, "cross_site");
    // A proxy in front has changed the host.
    let changed = browser("https://app.test").host("gateway.internal");
    gateway.ask(&changed).assert_refused(403, "cross_site");
    let answer = gateway.ask(&curl.clone().host("unknown.example"));
    answer.assert_refused(421, "misdirected");
    let answer = gateway.ask(&Request::new("PUT", PATH).user("ada"));
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")));
    drop(gateway);
    let admits = Setup::new(&app).token("origins = [\"https://other.example\"]").start();
    assert_eq!(admits.ask(&browser("https://other.example")).status, 200);
    let public = Setup::new(&app).server("public_origin = \"https://app.test\"").start();
    let changed = browser("https://app.test").host("gateway.internal");
    assert_eq!(public.ask(&changed).status, 200);
}
