//! The symptoms of the troubleshooting page, brought about: what a client gets, what the log
//! says, and that the cure named there is one.

use serde_json::Value;

use crate::support::{App, Claims, Gateway, Process, Request, Response, Setup, get};

const PATH: &str = "/api/get-auth-token";

/// The answer, and the log's reason for it.
fn asked(gateway: &Gateway, request: &Request) -> (Response, String) {
    let answer = gateway.ask(request);
    let reason = gateway.line_of(&answer)["reason"].as_str().unwrap().to_owned();
    (answer, reason)
}

/// A request that is refused for a reason: `None` for a word that is no reason.
fn refused_for(reason: &str, gateway: &Gateway) -> Option<Request> {
    let with = |cookie: String| get(PATH).header("Cookie", &cookie);
    Some(match reason {
        "bad_request" => get("/page%00"),
        "bad_signature" => {
            let secret = "another-secret-of-the-app-0123456789";
            let token = Claims::of("ada").signed(jsonwebtoken::Algorithm::HS256, secret);
            with(format!("session={token}"))
        }
        "cross_site" => get(PATH).user("ada").header("Origin", "https://other.example"),
        "expired" => with(Claims::of("ada").with("exp", 1_000_000_000).cookie()),
        "malformed" => with("session=s%3Aid.signature".to_owned()),
        "missing" => with("__Secure-session=x".to_owned()),
        "no_user" => with(Claims::of("ada").with("sub", Value::Null).cookie()),
        "signed_out" => {
            let body = r#"{"user":"eve"}"#;
            let head = "Content-Type: application/json\r\nContent-Length: 14\r\n\r\n";
            let answer = gateway.admin("POST /revoke HTTP/1.1", &format!("{head}{body}"));
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            get(PATH).user("eve")
        }
        _ => return None,
    })
}

#[test]
fn every_user_gets_401_and_the_log_says_why() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for reason in ["bad_signature", "missing", "malformed", "no_user", "expired", "signed_out"] {
        let request = refused_for(reason, &gateway).unwrap();
        let (answer, said) = asked(&gateway, &request);
        assert_eq!((answer.status, said.as_str()), (401, reason), "{answer:?}");
    }
}

/// Single words in backticks that look as reasons do.
fn words(page: &str) -> impl Iterator<Item = &str> {
    let quoted = page.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

#[test]
fn every_reason_that_the_page_names_is_said_by_the_gateway() {
    let page = include_str!("../../deploy/guides/howto/troubleshooting.md");
    let (_, schema, _) = Process::finish(&["schema"], &[]);
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let line = gateway.line_of(&gateway.token("ada"));
    let is_other = |word: &str| {
        let is_setting = schema.contains(&format!("\"{word}\": "));
        is_setting || line.get(word).is_some() || ["check", "https"].contains(&word)
    };
    let mut reasons = 0;
    for word in words(page) {
        let Some(request) = refused_for(word, &gateway) else {
            assert!(is_other(word), "`{word}` is no reason, no setting and no field of the log");
            continue;
        };
        assert_eq!(asked(&gateway, &request).1, word);
        reasons += 1;
    }
    assert!(reasons >= 9, "{reasons}");
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
