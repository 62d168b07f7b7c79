//! A rule protects the page, not one of its addresses; and what no rule guards passes as it came.

use crate::support::{App, Claims, Gateway, Request, Setup, clock, get, post, seconds};

/// Request lines that registries, Git hosts, object stores, frameworks and old apps get.
const REAL: &str = include_str!("support/request_lines.txt");

const ROUTES: &str = r#"
[[route]]
path = "/admin/**"
session = "required"
allow = { "/role" = ["admin"] }
[[route]]
path = "/account"
session = "required"
sign_in = "/login?next={path}"
set_headers = { "X-Page-Token" = "{token.page}" }
placeholders = { "__PAGE_TOKEN__" = "{token.page}" }
[[route]]
path = "/read/*"
methods = ["GET", "HEAD"]
[[route]]
path = "/read/*"
methods = "POST"
session = "required"
[token.page]
preset = "portive"
key = "PRTV_keyTwo_canaryOfTheSecondKey0123456789"
ttl = "1d"
"#;

fn gateway(app: &App) -> Gateway {
    let prefixes = "locales = [\"de\", \"pt-BR\"]\nbase_path = \"/shop\"\n";
    Setup::new(app).upstream(prefixes).with(ROUTES).start()
}

/// Addresses of `/account` in one framework or another.
const ADDRESSES: [&str; 40] = [
    "/account",
    "/account/",
    "//account",
    "/Account",
    "/%61ccount",
    "/account.json",
    "/account.html",
    "/account.rsc",
    "/account.prefetch.rsc",
    "/account.segments/_tree.segment.rsc",
    "/account.data",
    "/account/_.data",
    "/_next/data/build-1/account.json",
    "/_next/data/build-1/de/account.json",
    "/_next/data/build-1/pt-br/account.json",
    "/shop/_next/data/build-1/de/account.json",
    "/de/account",
    "/shop/account",
    "/shop/DE/account",
    "/index.php/account",
    "/index.php?r=account",
    "/index.php?%72=account",
    "/index.ph%70?r=account",
    "/index.php/x?r=account",
    "/index.php?r[]=account",
    "/?r=account",
    "/?+r=account",
    "/.?r=account",
    "/x/..?r=account",
    "/shop/?r=account",
    "/account/_payload.json",
    "/account/__data.json?x-sveltekit-invalidated=01",
    "/page-data/account/page-data.json",
    "/__manifest?p=%2Faccount&version=1",
    "/__manifest?%70=/account",
    "/_next/image?url=%2Faccount&w=64&q=75",
    "/_next/image?ur%6C=%2Faccount&w=64&q=75",
    "/_next/imag%65?url=%2Faccount&w=64&q=75",
    "/_next/image?url=%2Faccount%3F://&w=64&q=75",
    "/_image?hre%66=/account",
];

#[test]
fn every_address_of_a_guarded_page_needs_the_session_and_gets_the_token() {
    let app = App::start();
    let gateway = gateway(&app);
    for target in ADDRESSES {
        app.forget();
        gateway.ask(&get(target)).assert_refused(401, "not_signed_in");
        assert!(app.seen().is_empty(), "{target} reached the app");
        assert_eq!(gateway.ask(&get(target).user("ada")).status, 200, "{target}");
        let seen = app.only();
        assert_eq!(seen.target(), target);
        assert!(seen.one("x-page-token").is_some(), "{target}: no token");
        assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"), "{target}");
    }
    assert_eq!(gateway.metric("portcullis_mints_total{token=\"page\"}"), 1);
}

#[test]
fn a_page_opened_under_another_address_is_sent_to_sign_in() {
    let app = App::start();
    let gateway = gateway(&app);
    let page = gateway.ask(&get("/de/account?a=b").navigation());
    assert_eq!(page.status, 303);
    assert_eq!(page.header("location"), Some("/login?next=/de/account%3Fa%3Db"));
    let page = gateway.ask(&get("//account").navigation());
    assert_eq!(page.header("location"), Some("/login?next=/account"), "no other site");
}

#[test]
fn readings_under_several_rules_must_meet_them_all() {
    let app = App::start();
    let gateway = gateway(&app);
    let admin = Claims::of("ada").with("role", "admin").cookie();
    let both = "/admin/..%2faccount";
    assert_eq!(gateway.ask(&get(both)).status, 401);
    assert_eq!(gateway.ask(&get(both).user("ada")).status, 403, "the second rule's claims");
    assert_eq!(gateway.ask(&get(both).header("Cookie", &admin)).status, 200);
    let seen = app.only();
    assert_eq!(seen.target(), both);
    assert!(seen.one("x-page-token").is_some());
}

#[test]
fn limits_of_all_readings_count() {
    let (app, clock) = (App::start(), clock());
    let routes = "[[route]]\npath = \"/a/**\"\nlimit = \"4/minute\"\n\
                  [[route]]\npath = \"/b\"\nlimit = \"2/minute\"\n";
    let gateway = Setup::new(&app).with(routes).clock(&clock).start();
    let status = |path: &str| gateway.ask(&get(path)).status;
    assert_eq!([status("/a/..%2fb"), status("/b.json"), status("/b/")], [200, 200, 429]);
    assert_eq!(
        [status("/a/x"), status("/a/x"), status("/a/x"), status("/a/x")],
        [200, 200, 200, 429]
    );
    clock.advance(seconds(60));
    assert_eq!(status("/b"), 200);
}

#[test]
fn a_request_that_one_rule_refuses_takes_nothing_from_the_others() {
    let (app, clock) = (App::start(), clock());
    let routes = "[[route]]\npath = \"/a/**\"\nlimit = [\"4/minute\", \"100/day\"]\n\
                  [[route]]\npath = \"/b\"\nlimit = \"1/hour\"\n";
    let gateway = Setup::new(&app).with(routes).clock(&clock).start();
    let ask = |path: &str| gateway.ask(&get(path));
    assert_eq!(ask("/a/..%2fb").status, 200);
    for _ in 0..20 {
        let refused = ask("/a/..%2fb");
        refused.assert_refused(429, "too_many_requests");
        assert_eq!(refused.header("retry-after"), Some("3600"), "of the rule that refuses");
    }
    let statuses = ["/a/1", "/a/2", "/a/3", "/a/4"].map(|path| ask(path).status);
    assert_eq!(statuses, [200, 200, 200, 429]);
    let refused = ask("/a/..%2fb");
    assert_eq!(refused.header("retry-after"), Some("3600"), "the longest wait of both");
}

#[test]
fn no_method_slips_past_a_guard() {
    let app = App::start();
    let gateway = gateway(&app);
    assert_eq!(gateway.ask(&get("/read/a")).status, 200);
    assert_eq!(gateway.ask(&post("/read/a", b"x")).status, 401, "the second rule");
    assert_eq!(gateway.ask(&post("/read/a", b"x").user("ada")).status, 200);
    for path in ["/read/a", "/read/a/", "/Read/a", "/read/a.json", "/de/read/a"] {
        let answer = gateway.ask(&Request::new("DELETE", path).user("ada"));
        answer.assert_refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"), "{path}");
    }
}

#[test]
fn a_preflight_reaches_the_app_without_a_session_and_its_answer_has_no_body() {
    let app = App::start();
    let gateway = gateway(&app);
    let preflight = |path: &str| {
        Request::new("OPTIONS", path)
            .header("Origin", "https://web.example")
            .header("Access-Control-Request-Method", "PUT")
            .header("Access-Control-Request-Headers", "content-type")
            .header("Authorization", "Bearer x")
            .header("Accept-Language", "de")
    };
    for path in ["/account", "/admin/x", "/x"] {
        app.forget();
        let answer = gateway.ask(&preflight(path).user("ada"));
        assert_eq!(answer.status, 200, "{path}");
        let seen = app.only();
        for carried in ["cookie", "authorization", "x-auth-user", "x-page-token"] {
            assert_eq!(seen.one(carried), None, "{path}: {carried}");
        }
        for said in [
            "origin",
            "host",
            "accept-language",
            "access-control-request-method",
            "access-control-request-headers",
            "x-forwarded-host",
        ] {
            assert!(seen.one(said).is_some(), "{path}: {said}");
        }
        assert_eq!(answer.body.is_empty(), path != "/x", "{path}: some apps answer with the page");
    }
    app.forget();
    assert_eq!(gateway.ask(&preflight("/read/a")).status, 405);
    let incomplete = Request::new("OPTIONS", "/account").header("Origin", "https://web.example");
    assert_eq!(gateway.ask(&incomplete).status, 401, "no preflight");
    assert!(app.seen().is_empty());
}

#[test]
fn prefetches_pass_and_mint_nothing() {
    let app = App::start();
    let gateway = gateway(&app);
    for (name, value) in [
        ("x-middleware-prefetch", "1"),
        ("next-router-prefetch", "1"),
        ("purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
    ] {
        app.forget();
        let asked = get("/_next/data/build-1/account.json").user("ada");
        let asked = asked.header(name, value).header("x-middleware-subrequest", "middleware");
        assert_eq!(gateway.ask(&asked).status, 200, "{name}");
        let seen = app.only();
        assert_eq!(seen.one(name).as_deref(), Some(value));
        assert_eq!((seen.one("x-page-token"), seen.one("x-middleware-subrequest")), (None, None));
    }
    assert_eq!(gateway.metric("portcullis_mints_total{token=\"page\"}"), 0);
    gateway
        .ask(&get("/account").header("purpose", "prefetch"))
        .assert_refused(401, "not_signed_in");
}

#[test]
fn a_rule_that_names_an_address_speaks_for_it() {
    let app = App::start();
    let routes = "[[route]]\npath = \"/favicon.ico\"\nsession = \"off\"\n\
                  [[route]]\npath = \"/_next/**\"\nsession = \"off\"\n\
                  [[route]]\npath = \"/login\"\nsession = \"off\"\n\
                  [[route]]\npath = \"/**\"\nsession = \"required\"\n";
    let gateway = Setup::new(&app).with(routes).start();
    for open in ["/favicon.ico", "/_next/static/a-0b.js", "/login", "/_next/data/b/login.json"] {
        assert_eq!(gateway.ask(&get(open)).status, 200, "{open}");
    }
    for guarded in ["/", "/x", "/favicon.png", "/_next/data/b/x.json", "/_next/data/b/index.json"] {
        assert_eq!(gateway.ask(&get(guarded)).status, 401, "{guarded}");
    }
}

#[test]
fn a_page_in_the_query_keeps_its_rule_where_another_rule_names_the_address() {
    let app = App::start();
    let routes = "[[route]]\npath = \"/account/**\"\nsession = \"required\"\n\
                  [[route]]\npath = \"/\"\nlimit = \"600/minute\"\n\
                  [[route]]\npath = \"/_next/image\"\nsession = \"off\"\n";
    let gateway = Setup::new(&app).with(routes).start();
    let picture = "/_next/image?url=%2Faccount%2Fa.png&w=64&q=75";
    for guarded in ["/?r=account", picture] {
        assert_eq!(gateway.ask(&get(guarded)).status, 401, "{guarded}");
        assert_eq!(gateway.ask(&get(guarded).user("ada")).status, 200, "{guarded}");
    }
    for open in ["/", "/?q=account", "/?r=x", "/_next/image?url=%2Flogo.png&w=64&q=75"] {
        assert_eq!(gateway.ask(&get(open)).status, 200, "{open}");
    }
}

#[test]
fn no_method_in_other_letters_slips_past_a_guard() {
    let app = App::start();
    let routes = "[[route]]\npath = \"/api/**\"\nmethods = [\"POST\", \"DELETE\"]\n\
                  session = \"required\"\n[[route]]\npath = \"/api/**\"\n";
    let gateway = Setup::new(&app).with(routes).start();
    for method in ["post", "Post", "pOST", "delete"] {
        let asked = Request::new(method, "/api/items").header("Content-Length", "0");
        gateway.ask(&asked).assert_refused(405, "method_not_allowed");
    }
    assert!(app.seen().is_empty());
    assert_eq!(gateway.ask(&Request::new("patch", "/api/items")).status, 200, "no rule is for it");
}

#[test]
fn request_lines_of_real_apps_pass_unchanged() {
    let app = App::start();
    let gateway = gateway(&app);
    let mut lines = 0;
    for line in REAL.lines().filter(|line| !line.starts_with('#')) {
        app.forget();
        let (method, target) = line.split_once(' ').unwrap();
        let answer = gateway.ask(&Request::new(method, target));
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        assert_eq!((app.only().method(), app.only().target()), (method.into(), target.into()));
        lines += 1;
    }
    assert!(lines >= 200, "{lines}");
}
