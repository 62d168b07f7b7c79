//! The listener for plain HTTP: everybody is sent to the same page over HTTPS,
//! and nobody anywhere else.

use crate::support::tls::Authority;
use crate::support::{App, Conn, Gateway, Request, Response, Setup, Stopwatch, get, post, seconds};

fn gateway(app: &App, lines: &str) -> Gateway {
    let authority = Authority::new();
    let tls = authority.issue(&["app.test", "*.shop.test"]).item();
    let lines = format!("redirect = \"127.0.0.1:0\"\ntls = [{tls}]\n{lines}");
    Setup::new(app).server(&lines).start()
}

fn conn(gateway: &Gateway) -> Conn {
    Conn::open(gateway.redirect.as_ref().unwrap())
}

#[track_caller]
fn location(answer: &Response) -> String {
    assert_eq!(answer.status, 308, "{answer:?}");
    answer.header("location").unwrap().to_owned()
}

#[test]
fn the_same_host_and_path_over_https() {
    let app = App::start();
    let gateway = gateway(&app, "redirect_port = 443");
    let ask = |request: &Request| conn(&gateway).ask(request);
    assert_eq!(location(&ask(&get("/"))), "https://app.test/");
    assert_eq!(location(&ask(&get("/a/b?c=d&e=%20"))), "https://app.test/a/b?c=d&e=%20");
    assert_eq!(location(&ask(&post("/x", b"body"))), "https://app.test/x");
    let head = Request::new("HEAD", "/x");
    assert_eq!(location(&ask(&head)), "https://app.test/x");
    for (host, expected) in [
        ("APP.test", "app.test"),
        ("app.test:80", "app.test"),
        ("app.test.", "app.test"),
        ("eu.shop.test", "eu.shop.test"),
    ] {
        assert_eq!(
            location(&ask(&get("/x").host(host))),
            format!("https://{expected}/x"),
            "{host}"
        );
    }
    let absolute = get("http://app.test/x?y").without("Host").header("Host", "app.test");
    assert_eq!(location(&ask(&absolute)), "https://app.test/x?y");
    // The challenge of a certificate authority follows, too.
    let challenge = "/.well-known/acme-challenge/token";
    assert_eq!(location(&ask(&get(challenge))), format!("https://app.test{challenge}"));
    assert!(app.seen().is_empty());
    gateway.counts("portcullis_requests_total{route=\"redirect\",status=\"308\"}", 10);
}

#[test]
fn the_port_is_that_of_the_listener_unless_written() {
    let app = App::start();
    let gateway = gateway(&app, "");
    let port = gateway.address.rsplit(':').next().unwrap();
    assert_eq!(location(&conn(&gateway).ask(&get("/x"))), format!("https://app.test:{port}/x"));
}

#[test]
fn no_client_is_sent_anywhere_else() {
    let app = App::start();
    let gateway = gateway(&app, "");
    for request in [
        get("/x").host("evil.test"),
        get("/x").host("app.test.evil.test"),
        get("/x").host("evil.test/app.test"),
        get("/x").host("evil.test#app.test"),
        get("/x").host("app.test@evil.test"),
        get("/x").host("evil.test:80@app.test"),
        get("/x").host("app.test:80:evil.test"),
        get("/x").host("a.b.shop.test"),
        get("/x").host(".shop.test"),
        get("/x").host("*.shop.test"),
        get("/x").host("127.0.0.1"),
        get("/x").host("[::1]"),
        get("/x").host(""),
        get("/x").without("Host"),
        get("/x").header("Host", "evil.test"),
        get("/x").host("evil.test").header("X-Forwarded-Host", "app.test"),
        get("http://evil.test/x"),
        get("//evil.test/x"),
        get("/\\evil.test"),
        get("/x y"),
        get("/x/../y"),
        get("/%0d%0aSet-Cookie:%20a=b"),
        get("@evil.test/"),
        Request::new("CONNECT", "evil.test:443"),
        Request::new("OPTIONS", "*"),
        Request::new("TRACE", "/x"),
    ] {
        let mut conn = conn(&gateway);
        let what = String::from_utf8_lossy(&request.bytes()).into_owned();
        conn.write(&request.bytes());
        let answer = String::from_utf8_lossy(&conn.rest()).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{what}: {answer}");
        assert!(!answer.to_ascii_lowercase().contains("location"), "{what}: {answer}");
    }
    assert!(app.seen().is_empty());
}

#[test]
fn a_redirect_costs_no_more_than_its_time() {
    let app = App::start();
    let gateway = gateway(&app, "header_timeout = \"1s\"");
    let began = Stopwatch::start();
    let mut slow = conn(&gateway);
    slow.write(b"GET /x HTTP/1.1\r\nHost: ap");
    assert!(slow.rest().is_empty());
    assert!(began.elapsed() < seconds(4));
    let mut conn = conn(&gateway);
    let answer = conn.ask(&get("/x").user("ada"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(conn.is_closed());
}
