//! `[[route]]`: who may pass, where to, with which headers.

use crate::support::{App, Claims, Gateway, Request, Setup, clock, get, post, seconds};

const ROUTES: &str = r#"
[[route]]
path = "/public/**"
session = "off"
[[route]]
path = "/admin/**"
session = "required"
sign_in = "/login?next={path}"
allow = { "/role" = ["admin", "owner"] }
[[route]]
path = "/account"
session = "required"
[[route]]
path = "/read/*"
methods = ["GET", "HEAD"]
"#;

fn role(role: &str) -> String {
    Claims::of("ada").with("role", role).cookie()
}

fn gateway(app: &App) -> Gateway {
    Setup::new(app).with(ROUTES).start()
}

#[test]
fn off_ignores_the_session_optional_uses_it_required_demands_it() {
    let app = App::start();
    let gateway = gateway(&app);
    let user_at = |path: &str, user: Option<&str>| {
        app.forget();
        let request = user.map_or_else(|| get(path), |user| get(path).user(user));
        let status = gateway.ask(&request).status;
        (status, app.seen().first().and_then(|seen| seen.one("x-auth-user")))
    };
    let ada = || Some("ada".to_owned());
    assert_eq!(user_at("/public/x", Some("ada")), (200, None));
    assert_eq!(user_at("/public/x", None), (200, None));
    assert_eq!(user_at("/unmatched", Some("ada")), (200, ada()));
    assert_eq!(user_at("/unmatched", None), (200, None));
    assert_eq!(user_at("/account", Some("ada")), (200, ada()));
    assert_eq!(user_at("/account", None), (401, None));
}

#[test]
fn claims_decide_who_is_allowed() {
    let app = App::start();
    let gateway = gateway(&app);
    let status = |cookie: &str| gateway.ask(&get("/admin/x").header("Cookie", cookie)).status;
    assert_eq!(status(&role("admin")), 200);
    assert_eq!(status(&role("owner")), 200);
    assert_eq!(app.seen().len(), 2);
    for refused in ["Admin", "admin ", "user", "", "admin,owner"] {
        assert_eq!(status(&role(refused)), 403, "{refused}");
    }
    let list = |roles: &[&str]| Claims::of("ada").with("role", roles.to_vec()).cookie();
    assert_eq!(status(&list(&["user", "admin"])), 200);
    assert_eq!(status(&list(&["user"])), 403);
    assert_eq!(status(&list(&[])), 403);
    assert_eq!(status(&Claims::of("ada").cookie()), 403, "no role at all");
    assert_eq!(status(&Claims::of("ada").with("role", true).cookie()), 403);
    let answer = gateway.ask(&get("/admin/x").header("Cookie", &role("user")));
    answer.assert_refused(403, "not_allowed");
    let page = gateway.ask(&get("/admin/x").navigation().header("Cookie", &role("user")));
    assert_eq!(page.status, 403);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert_eq!(page.header("location"), None, "signing in again would not help");
}

#[test]
fn only_pages_being_opened_are_sent_to_sign_in() {
    let app = App::start();
    let gateway = gateway(&app);
    let page = gateway.ask(&get("/admin/a?b=c&d=e").navigation());
    assert_eq!(page.status, 303);
    assert_eq!(page.header("location"), Some("/login?next=/admin/a%3Fb%3Dc%26d%3De"));
    let old_browser = get("/admin/a").header("Accept", "text/html,application/xhtml+xml");
    assert_eq!(gateway.ask(&old_browser).status, 303);
    for request in [
        get("/admin/a"),
        get("/admin/a").header("Accept", "application/json"),
        get("/admin/a").header("Accept", "*/*"),
        get("/admin/a").header("Sec-Fetch-Mode", "cors").header("Accept", "text/html"),
        get("/admin/a").header("Sec-Fetch-Mode", "no-cors").header("Accept", "text/html"),
        post("/admin/a", b"x").navigation(),
        Request::new("PUT", "/admin/a").navigation(),
        Request::new("DELETE", "/admin/a").navigation(),
    ] {
        let answer = gateway.ask(&request);
        answer.assert_refused(401, "not_signed_in");
        assert_eq!(answer.header("location"), None);
    }
    assert_eq!(gateway.ask(&get("/account").navigation()).status, 401, "no sign_in, no redirect");
    assert!(app.seen().is_empty());
}

#[test]
fn the_way_back_is_always_a_path_of_this_site() {
    let app = App::start();
    let gateway = gateway(&app);
    let mut redirects = 0;
    for target in [
        "/admin//evil.test",
        "/admin/?x=//evil.test",
        "/admin/?next=https://evil.test",
        "/admin/@evil.test",
        "/admin/%0d%0aSet-Cookie:%20a=1",
        "/admin/?x=%0d%0aLocation:%20https://evil.test",
        "/admin/x:y",
        "/admin/%2f%2fevil.test",
        "/admin/%5cevil.test",
        "/admin/?\"><script>",
        "/admin/?a=b&next=/other",
        "/admin/\t/evil.test",
        "http://app.test/admin/x",
        "http://evil.test/admin/x",
        "//evil.test/admin/x",
        "/admin/?{path}",
        "//admin/x",
        "///admin/x",
        "/\\admin/x",
        "/\\/admin/x",
    ] {
        let request = get(target).host("app.test").navigation();
        let answer = gateway.ask(&request);
        if answer.status != 303 {
            assert!(matches!(answer.status, 200 | 400), "{target}: {answer:?}");
            assert_eq!(answer.header("location"), None);
            continue;
        }
        redirects += 1;
        let location = answer.header("location").unwrap();
        let next =
            location.strip_prefix("/login?next=/admin").unwrap_or_else(|| panic!("{location}"));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b);
        assert!(next.bytes().all(plain), "{target}: {location}");
        assert_eq!(answer.all("location").len(), 1);
    }
    assert!(redirects >= 8, "{redirects}");
    for host in ["evil.test", "evil.test:80"] {
        let answer = gateway.ask(&get("/admin/x").host(host).navigation());
        assert_eq!(answer.header("location"), Some("/login?next=/admin/x"));
    }
}

#[test]
fn methods_a_route_does_not_name_are_refused() {
    let app = App::start();
    let gateway = gateway(&app);
    assert_eq!(gateway.ask(&get("/read/a")).status, 200);
    assert_eq!(gateway.ask(&Request::new("HEAD", "/read/a")).status, 200);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "PROPFIND"] {
        let answer = gateway.ask(&Request::new(method, "/read/a").header("Content-Length", "0"));
        answer.assert_refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
    }
    let overridden = post("/read/a", b"").header("X-HTTP-Method-Override", "GET");
    assert_eq!(gateway.ask(&overridden).status, 405);
    assert_eq!(gateway.ask(&post("/read/a/b", b"")).status, 200, "one segment only");
}

#[test]
fn routes_limit_users_and_addresses_apart() {
    let (app, clock) = (App::start(), clock());
    let route = "[[route]]\npath = \"/api/**\"\nlimit = \"2/minute\"\n";
    let gateway = Setup::new(&app).with(route).clock(&clock).start();
    let ask = |request: Request| gateway.ask(&request).status;
    let anonymous = || ask(get("/api/a"));
    let ada = || ask(get("/api/b").user("ada"));
    assert_eq!([anonymous(), anonymous(), anonymous()], [200, 200, 429]);
    assert_eq!([ada(), ada(), ada()], [200, 200, 429]);
    assert_eq!(ask(get("/api/c").user("bob")), 200);
    assert_eq!(ask(get("/other")), 200);
    let refused = gateway.ask(&get("/api/a"));
    refused.assert_refused(429, "too_many_requests");
    assert_eq!(refused.header("retry-after"), Some("30"));
    clock.advance(seconds(30));
    assert_eq!([anonymous(), anonymous()], [200, 429]);
}

#[test]
fn routes_choose_the_upstream() {
    let (first, second) = (App::start(), App::start());
    let setup = Setup::new(&first);
    let tables = format!(
        "[upstream.main]\nservers = [\"{}\"]\n[upstream.other]\nservers = [\"{}\"]\n",
        first.url(),
        second.url()
    );
    let route = "[[route]]\npath = \"/other/**\"\nupstream = \"other\"\n";
    let text =
        setup.text().replace(&format!("[upstream]\nservers = [\"{}\"]\n", first.url()), &tables);
    let gateway = setup.replaced_by(format!("{text}\n{route}")).start();
    assert_eq!(gateway.ask(&get("/other/x")).status, 200);
    assert_eq!((first.seen().len(), second.seen().len()), (0, 1));
    assert_eq!(gateway.ask(&get("/x")).status, 200);
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
    assert_eq!(gateway.ask(&get("/%6fther/x")).status, 400, "it could be either");
}

#[test]
fn a_page_gets_its_token_in_a_header() {
    let (app, clock) = (App::start(), clock());
    let route = "[[route]]\npath = \"/editor/**\"\n\
                 set_headers = { \"X-Page-Token\" = \"{token.page}\", \"X-From\" = \"gate {session.user_id}\" }\n\
                 [token.page]\npreset = \"portive\"\nkey = \"PRTV_keyTwo_canaryOfTheSecondKey0123456789\"\nttl = \"1d\"\n";
    let gateway = Setup::new(&app).with(route).clock(&clock).start();
    let page = |request: Request| {
        app.forget();
        assert_eq!(gateway.ask(&request).status, 200);
        app.only()
    };
    let seen = page(get("/editor/1").user("ada"));
    let token = seen.one("x-page-token").unwrap();
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.as_deref(), Some("keyTwo"));
    assert_eq!(seen.one("x-from").as_deref(), Some("gate ada"));
    clock.advance(seconds(3600));
    assert_eq!(
        page(get("/editor/2").user("ada")).one("x-page-token"),
        Some(token.clone()),
        "cached"
    );
    assert_ne!(page(get("/editor/2").user("bob")).one("x-page-token"), Some(token.clone()));
    for request in [get("/editor/1"), get("/editor/1").header("Cookie", "session=junk")] {
        let seen = page(request.header("X-Page-Token", &token).header("X-From", "x"));
        assert_eq!((seen.one("x-page-token"), seen.one("x-from")), (None, None));
    }
    let elsewhere = page(get("/elsewhere").user("ada").header("X-Page-Token", "x"));
    assert_eq!(elsewhere.one("x-page-token"), None);
    assert_eq!(gateway.metric("portcullis_mints_total{token=\"page\"}"), 2);
}

#[test]
fn the_first_route_that_matches_wins() {
    let app = App::start();
    let routes = "[[route]]\npath = \"/a/open\"\nsession = \"off\"\n\
                  [[route]]\npath = \"/a/**\"\nsession = \"required\"\n\
                  [[route]]\npath = \"/a/late\"\nsession = \"off\"\n";
    let gateway = Setup::new(&app).with(routes).start();
    let status = |path: &str| gateway.ask(&get(path)).status;
    assert_eq!(status("/a/open"), 200);
    assert_eq!(status("/a/open/"), 401);
    assert_eq!(status("/a/late"), 401);
    assert_eq!(status("/a"), 401);
    assert_eq!(status("/ab"), 200);
    assert_eq!(status("/?/a/open"), 200);
    assert_eq!(status("/a/x?/a/open"), 401, "the query is no path");
}
