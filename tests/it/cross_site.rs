//! Whom a browser may ask for: other sites get no token, allowed origins do.

use crate::support::{App, Request, Setup, get};

const PATH: &str = "/api/get-auth-token";

#[test]
fn only_the_own_origin_is_answered() {
    let app = App::start();
    let gateway = Setup::new(&app).token("").start();
    let cases: [(&str, &[u8], u16); 24] = [
        ("same", b"http://app.test", 200),
        ("behind a TLS terminator", b"https://app.test", 200),
        ("case", b"http://APP.Test", 200),
        ("default port", b"http://app.test:80", 200),
        ("default port of https", b"https://app.test:443", 200),
        ("another port", b"http://app.test:8080", 403),
        ("a port of the other scheme", b"https://app.test:80", 403),
        ("another site", b"https://evil.test", 403),
        ("null", b"null", 403),
        ("empty", b"", 403),
        ("a suffix", b"http://app.test.evil.test", 403),
        ("a prefix", b"http://evilapp.test", 403),
        ("a subdomain", b"http://sub.app.test", 403),
        ("a parent", b"http://test", 403),
        ("user information", b"http://app.test@evil.test", 403),
        ("own name as user", b"http://evil.test#app.test", 403),
        ("no scheme", b"app.test", 403),
        ("another scheme", b"ftp://app.test", 403),
        ("an extension", b"chrome-extension://app.test", 403),
        ("with a path", b"http://app.test/", 403),
        ("a list", b"http://app.test http://evil.test", 403),
        ("a comma list", b"http://app.test, http://evil.test", 403),
        ("trailing dot", b"http://app.test.", 403),
        ("not text", b"http://app.test\xff", 403),
    ];
    for (name, origin, status) in cases {
        for method in ["GET", "POST", "HEAD"] {
            let request = Request::new(method, PATH)
                .user("ada")
                .header("Content-Length", "0")
                .header_bytes("Origin", origin);
            let answer = gateway.ask(&request);
            assert_eq!(answer.status, status, "{name} {method}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{name}");
        }
    }
    assert!(app.seen().is_empty());
}

#[test]
fn a_second_origin_does_not_hide_behind_the_first() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let request = get(PATH)
        .user("ada")
        .header("Origin", "http://app.test")
        .header("Origin", "http://evil.test");
    gateway.ask(&request).assert_refused(403, "cross_site");
    let allowing = Setup::new(&app).token("origins = [\"https://admin.example.com\"]").start();
    for method in ["GET", "OPTIONS"] {
        let request = Request::new(method, PATH)
            .user("ada")
            .header("Access-Control-Request-Method", "GET")
            .header("Origin", "https://admin.example.com")
            .header("Origin", "https://evil.test");
        let answer = allowing.ask(&request);
        answer.assert_refused(403, "cross_site");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{method}");
    }
    let request = get(PATH)
        .user("ada")
        .header("Sec-Fetch-Site", "same-origin")
        .header("Sec-Fetch-Site", "cross-site");
    gateway.ask(&request).assert_refused(403, "cross_site");
}

#[test]
fn the_port_of_the_host_counts() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let ask = |host: &str, origin: &str| {
        gateway.ask(&get(PATH).host(host).user("ada").header("Origin", origin)).status
    };
    assert_eq!(ask("app.test:8080", "http://app.test:8080"), 200);
    assert_eq!(ask("app.test:8080", "http://app.test"), 403);
    assert_eq!(ask("app.test:443", "https://app.test"), 200);
    assert_eq!(ask("[::1]:8080", "http://[::1]:8080"), 200);
    assert_eq!(ask("[::1]:8080", "http://[::1]"), 403);
}

#[test]
fn fetch_metadata_of_another_site_is_refused() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    for (site, status) in [
        ("same-origin", 200),
        ("none", 200),
        ("same-site", 403),
        ("cross-site", 403),
        ("SAME-ORIGIN", 403),
        ("", 403),
        ("same-origin, cross-site", 403),
    ] {
        let answer = gateway.ask(&get(PATH).user("ada").header("Sec-Fetch-Site", site));
        assert_eq!(answer.status, status, "{site}");
    }
    let both = get(PATH)
        .user("ada")
        .header("Origin", "http://app.test")
        .header("Sec-Fetch-Site", "cross-site");
    gateway.ask(&both).assert_refused(403, "cross_site");
}

#[test]
fn another_site_learns_nothing_about_the_session() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let ask = |request: Request| gateway.ask(&request.header("Origin", "https://evil.test"));
    let (with, without) = (ask(get(PATH).user("ada")), ask(get(PATH)));
    with.assert_refused(403, "cross_site");
    assert_eq!(with.body, without.body);
}

#[test]
fn an_allowed_origin_may_read_answers_and_refusals() {
    let app = App::start();
    let gateway = Setup::new(&app)
        .token("limit = \"1/hour\"\norigins = [\"https://admin.example.com\", \"http://localhost:3000\"]")
        .start();
    let ask = |origin: &str, user: Option<&str>| {
        let request = get(PATH).header("Origin", origin).header("Sec-Fetch-Site", "cross-site");
        gateway.ask(&user.map_or_else(|| request.clone(), |user| request.clone().user(user)))
    };
    let expected = [(Some("ada"), 200), (Some("ada"), 429), (None, 401)];
    for (user, status) in expected {
        let answer = ask("https://admin.example.com", user);
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://admin.example.com"));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.all("access-control-allow-origin").len(), 1);
        assert!(answer.header("vary").unwrap().contains("Origin"));
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("Retry-After"), "{exposed}");
    }
    assert_eq!(ask("http://localhost:3000", Some("bob")).status, 200);
    for origin in [
        "http://admin.example.com",
        "https://admin.example.com:8443",
        "https://admin.example.com.evil.test",
        "https://xadmin.example.com",
        "http://localhost:3001",
        "http://localhost",
        "https://ADMIN.example.com",
        "HTTPS://admin.example.com",
        "https://admin.example.com/",
        "https://admin.example.com, https://admin.example.com",
        "null",
        "*",
    ] {
        let answer = ask(origin, Some("bob"));
        answer.assert_refused(403, "cross_site");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
}

#[test]
fn preflights_are_answered_here_for_allowed_origins_only() {
    let app = App::start();
    let gateway = Setup::new(&app).token("origins = [\"https://admin.example.com\"]").start();
    let preflight = |origin: &str| {
        gateway.ask(
            &Request::new("OPTIONS", PATH)
                .header("Origin", origin)
                .header("Access-Control-Request-Method", "POST")
                .header("Access-Control-Request-Headers", "content-type"),
        )
    };
    let answer = preflight("https://admin.example.com");
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://admin.example.com"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("content-type"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert!(answer.header("vary").unwrap().contains("Origin"));
    assert_eq!(answer.header("content-length"), None, "RFC 9110 section 8.6");
    for origin in ["https://evil.test", "null", "", "https://admin.example.com.evil.test", "*"] {
        let answer = preflight(origin);
        answer.assert_refused(403, "cross_site");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    assert!(app.seen().is_empty());
}

#[test]
fn a_page_that_came_in_the_clear_is_not_part_of_an_https_site() {
    let app = App::start();
    let gateway = Setup::new(&app).server("trusted_proxies = [\"127.0.0.1\"]").start();
    let ask = |proto: &str, origin: &str| {
        let request = get(PATH).user("ada").header("X-Forwarded-Proto", proto);
        gateway.ask(&request.header("Origin", origin)).status
    };
    assert_eq!(ask("https", "https://app.test"), 200);
    assert_eq!(ask("https", "http://app.test"), 403);
    assert_eq!(ask("https", "http://app.test:443"), 403);
    assert_eq!(ask("http", "http://app.test"), 200);
}

#[test]
fn only_a_trusted_proxy_says_which_host_was_asked() {
    let app = App::start();
    let ask = |setup: Setup| {
        let request = get(PATH)
            .host("internal:8080")
            .user("ada")
            .header("X-Forwarded-Host", "app.test")
            .header("Origin", "https://app.test");
        setup.start().ask(&request).status
    };
    let proxies = "trusted_proxies = [\"127.0.0.1\"]";
    let believed = format!("{proxies}\ntrust_forwarded_host = true");
    assert_eq!(ask(Setup::new(&app).server(&believed)), 200);
    assert_eq!(ask(Setup::new(&app).server(proxies)), 403, "many proxies pass on the client's");
    assert_eq!(ask(Setup::new(&app)), 403);
}
