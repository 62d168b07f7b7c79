//! No other spelling of a path leads past its guard.
//!
//! The judge is not the gateway's own reading: whatever the app received from a
//! nobody is read in all the ways apps are known to read paths, and none of them
//! may be a guarded place.

use crate::support::paths::{readings, spellings};
use crate::support::{App, Gateway, Setup, get};

const TOKEN: &str = "/api/get-auth-token";

const ROUTES: &str = r#"
[[route]]
path = "/public/**"
session = "off"
[[route]]
path = "/admin/**"
session = "required"
[[route]]
path = "/files/*"
session = "required"
"#;

fn gateway(app: &App) -> Gateway {
    Setup::new(app).with(ROUTES).start()
}

fn is_guarded(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let one_below = |folder: &str| {
        path.strip_prefix(folder).is_some_and(|name| !name.is_empty() && !name.contains('/'))
    };
    path == "/admin" || path.starts_with("/admin/") || one_below("/files/")
}

#[test]
fn what_an_anonymous_user_reaches_is_a_guarded_path_to_no_app() {
    let app = App::start();
    let gateway = gateway(&app);
    let mut cases = 0;
    for path in ["/admin", "/admin/users", TOKEN, "/files/a"] {
        for spelling in spellings(path) {
            app.forget();
            let answer = gateway.ask(&get(&spelling));
            let allowed = [200, 400, 401];
            assert!(allowed.contains(&answer.status), "{spelling}: {answer:?}");
            for seen in app.seen() {
                assert_eq!(seen.path(), spelling.split('?').next().unwrap());
                assert_ne!(seen.path(), TOKEN, "the gateway answers there");
                if let Some(reading) = readings(&seen.path()).iter().find(|path| is_guarded(path)) {
                    panic!("{spelling} was let through, and some app reads {reading}");
                }
            }
            cases += 1;
        }
    }
    assert!(cases > 500, "{cases}");
}

#[test]
fn well_known_ways_past_a_guard_are_closed() {
    let app = App::start();
    let gateway = gateway(&app);
    let cases = [
        // One place, other letters.
        "/Admin",
        "/ADMIN/x",
        "/aDmIn/",
        "/admin/",
        "/admin//",
        "//admin",
        "///admin/x",
        // Dots.
        "/./admin",
        "/public/../admin",
        "/public/x/../../admin",
        "/public/./../admin/x",
        "/../admin",
        "/admin/..",
        "/admin/.",
        "/public/.././admin",
        "/admin/x/..",
        // Escaped dots.
        "/%2e/admin",
        "/public/%2e%2e/admin",
        "/public/%2e./admin",
        "/public/.%2E/admin",
        "/public/%252e%252e/admin",
        "/public/%25%32%65%25%32%65/admin",
        // Escaped separators.
        "/public/..%2fadmin",
        "/public/..%2Fadmin",
        "/public%2f..%2fadmin",
        "/public/..%252fadmin",
        "/%2fadmin",
        "/%2Fadmin/x",
        "/admin%2fx",
        "/admin%2Fx",
        "/admin%252fx",
        "/public/..%5cadmin",
        "/public\\..\\admin",
        "/\\admin",
        "/admin\\x",
        "/admin%5cx",
        "/%5cadmin",
        "/%5Cadmin",
        // Path parameters.
        "/admin;",
        "/admin;a=b",
        "/admin;a=b/x",
        "/;/admin",
        "/;a=b/admin/x",
        "/public/..;/admin",
        "/public/..;a=b/admin",
        "/public;/../admin",
        "/admin%3b",
        "/admin%3ba",
        // Letters that are escaped.
        "/%61dmin",
        "/%41dmin",
        "/a%64min/x",
        "/admi%6e",
        "/%61%64%6d%69%6e",
        "/%2561dmin",
        // What apps cut off.
        "/admin.",
        "/admin./x",
        "/admin%20",
        "/admin%20/x",
        "/admin%09",
        "/admin%00",
        "/admin%00.png",
        "/admin%0a",
        "/admin%0d%0aX:%20y",
        "/admin%3fx",
        "/admin%3Fx",
        "/admin%23x",
        "/admin#x",
        "/admin%2500",
        "/admin%253f",
        // Letters that are others.
        "/%ef%bd%81dmin",
        "/%c0%ae%c0%ae/admin",
        "/public/..%c0%afadmin",
        "/%u0061dmin",
        // Addresses of frameworks.
        "/_next/data/build/admin.json",
        "/index.php/admin/x",
        "/admin.json",
        "/files/a.data",
        // One segment below /files.
        "/files//a",
        "/files/./a",
        "/files/a/",
        "/files/a;b",
        "/Files/a",
        "/files%2fa",
        "/files/a%20",
        "/files/x/../a",
    ];
    for path in cases {
        app.forget();
        let status = gateway.ask(&get(path)).status;
        assert!(matches!(status, 400 | 401), "{path}: {status}");
        assert!(app.seen().is_empty(), "{path} reached the app");
    }
    assert!(cases.len() >= 80, "{}", cases.len());
}

#[test]
fn a_token_path_is_exact_and_its_other_spellings_are_the_apps() {
    let app = App::start();
    let gateway = gateway(&app);
    for path in [
        "/api/get-auth-token/",
        "/api//get-auth-token",
        "//api/get-auth-token",
        "/API/get-auth-token",
        "/api/Get-Auth-Token",
        "/api/get-auth-token;a",
        "/api/./get-auth-token",
        "/x/../api/get-auth-token",
        "/api%2fget-auth-token",
        "/api/get%2dauth-token",
        "/api/get-auth-token.",
        "/api/get-auth-token%20",
        "/api/get-auth-token%3f",
        "/api\\get-auth-token",
    ] {
        app.forget();
        let answer = gateway.ask(&get(path).user("ada"));
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(app.only().target(), path);
    }
    assert_eq!(gateway.metric("portcullis_mints_total{token=\"portive\"}"), 0);
    gateway.ask(&get(TOKEN)).assert_refused(401, "not_signed_in");
}

#[test]
fn malformed_paths_are_refused_everywhere() {
    let app = App::start();
    let gateway = gateway(&app);
    for path in [
        "/x%",
        "/x%2",
        "/x%zz",
        "/x%2x",
        "/x%u002f",
        "/x%%2f",
        "/x%+41",
        "/x%00",
        "/x%00.png",
        "/api/get-auth-token%00",
        "/admin%0a",
        "/admin/a%0d%0ab",
    ] {
        gateway.ask(&get(path).user("ada")).assert_refused(400, "bad_request");
        assert!(app.seen().is_empty(), "{path} reached the app");
    }
}

#[test]
fn characters_in_more_octets_than_they_have_are_read_as_servers_read_them() {
    let app = App::start();
    let gateway = gateway(&app);
    for path in [
        "/%c0%ae%c0%ae/admin",
        "/x/%c0%ae%c0%ae/admin",
        "/%c0%afadmin",
        "/public/%c0%ae%c0%ae%c0%afadmin",
        "/%e0%80%afadmin",
        "/%25c0%25afadmin",
        "/%ef%bd%81dmin",
        "/%e2%93%90dmin",
    ] {
        assert_eq!(gateway.ask(&get(path)).status, 401, "{path}");
        assert!(app.seen().is_empty(), "{path} reached the app");
        assert_eq!(gateway.ask(&get(path).user("ada")).status, 200, "{path}");
        app.forget();
    }
}

#[test]
fn paths_that_no_server_takes_for_a_guarded_one_pass_unchanged() {
    let app = App::start();
    let gateway = gateway(&app);
    let cases = [
        "/",
        "/x",
        "/X/Y.z",
        "/administrator",
        "/admins/x",
        "/xadmin",
        "/x/admin",
        "/public/admin",
        "/api",
        "/api/",
        "/api/get-auth-tokens",
        "/api/get-auth-token-2",
        "/get-auth-token",
        "/api/v1/get-auth-token",
        "/files",
        "/files/a/b",
        "/filesystem/a",
        "/a%20b",
        "/%E2%82%AC",
        "/@scope%2fpackage",
        "/a//b",
        "/a;b=c/d",
        "/x.",
        "/...",
        "/a..b",
        "/.well-known/x",
        "/~u/",
        "/a:b",
        "/(x)",
        "/a+b",
        "/a%2Bb",
        "/public/Admin",
        "/wiki/C%2B%2B",
        "/100%25",
        "/caf%e9",
        "/x%c3%a9",
        "//x",
        "/..",
        "/a/./b",
        "/a/../b",
        "/a/..%2fb",
        "/a%5Cb",
        "/a\\b",
        "/a%09b",
        "/a%0ab",
        "/%c0%e0%e8",
        "/x%c0%af..",
        "/public/%c0%af/admin",
        "/login/",
    ];
    for (count, path) in cases.into_iter().enumerate() {
        app.forget();
        assert_eq!(gateway.ask(&get(path)).status, 200, "{path}");
        assert_eq!(app.only().target(), path);
        let line = gateway.logged(count + 1);
        assert_eq!(line["path"], path, "the gateway read what the app got");
    }
}

#[test]
fn the_query_is_not_part_of_the_path() {
    let app = App::start();
    let gateway = gateway(&app);
    for target in [
        "/admin?/public/x",
        "/admin?x=/../public",
        "/admin/?/public/",
        "/admin?../../public",
        "/admin?#",
        "/api/get-auth-token?/public",
        "/api/get-auth-token?",
        "/admin??",
    ] {
        let status = gateway.ask(&get(target)).status;
        assert!(matches!(status, 400 | 401), "{target}: {status}");
    }
    for target in ["/public?/admin", "/x?/../admin", "/?/admin/", "/x?y=%2fadmin", "/x?a\\admin"] {
        assert_eq!(gateway.ask(&get(target)).status, 200, "{target}");
        assert_eq!(app.last().target(), target);
    }
}

#[test]
fn no_header_changes_the_path() {
    let app = App::start();
    let gateway = gateway(&app);
    for name in [
        "X-Original-URL",
        "X-Original-URI",
        "X-Rewrite-URL",
        "X-Forwarded-Uri",
        "X-Forwarded-Path",
        "X-Forwarded-Prefix",
        "X-Forwarded-Method",
        "X-HTTP-Method-Override",
        "Referer",
        "X-Envoy-Original-Path",
        "X-Original-Path",
        "Content-Location",
        "User-Agent",
    ] {
        for trusted in ["/public/x", "http://app.test/public/x", "kube-probe/1.0"] {
            let answer = gateway.ask(&get("/admin/x").header(name, trusted));
            assert_eq!(answer.status, 401, "{name}: {trusted}");
        }
        assert_eq!(gateway.ask(&get("/public/x").header(name, "/admin")).status, 200, "{name}");
        assert_eq!(app.last().target(), "/public/x");
    }
}

#[test]
fn a_session_opens_every_spelling_of_a_guarded_path_as_it_came() {
    let app = App::start();
    let gateway = gateway(&app);
    for path in
        ["/Admin", "/public/../admin", "/admin%2fx", "//admin", "/admin%20", "/x/..%5cadmin"]
    {
        app.forget();
        assert_eq!(gateway.ask(&get(path)).status, 401, "{path}");
        assert_eq!(gateway.ask(&get(path).user("ada")).status, 200, "{path}");
        assert_eq!(app.only().target(), path);
    }
}
