//! A client cannot speak for the gateway, however it spells the header.
//!
//! CGI, WSGI, PHP and others read several spellings of a name as one, so every
//! spelling counts, on every kind of route.

use crate::support::{App, Gateway, Setup, get};

const SPOOF: &str = "spoofed-by-the-client";

/// Names the gateway sets or an app might believe.
const NAMES: [&str; 33] = [
    "X-Auth-User",
    "X-Auth-Role",
    "X-Page-Token",
    "X-Only-Elsewhere",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Server",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Client-Cert",
    "X-Forwarded",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "X-Cluster-Client-IP",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-Middleware-Subrequest",
    "X-Envoy-Original-Path",
    "X-SSL-Client-Verify",
    "SSL-Client-Cert",
    "SSL-Client-Subject-DN",
    "X-Portcullis-Assertion",
    "Client-Cert",
    "Proxy",
];

/// The ways a name may be written that some app reads as the same.
fn spellings(name: &str) -> Vec<String> {
    let first = |other: &str| name.replacen('-', other, 1);
    let mut all = vec![
        name.to_owned(),
        name.to_lowercase(),
        name.to_uppercase(),
        name.replace('-', "_"),
        name.replace('-', "_").to_uppercase(),
        name.replace('-', "."),
        name.replace('-', ".").to_lowercase(),
        first("_"),
        first("."),
        name.replace('-', "~"),
        name.replace('-', "!"),
        name.replace('-', "|"),
        name.replace('-', "+"),
    ];
    all.sort();
    all.dedup();
    all
}

const ROUTES: &str = r#"
[[route]]
path = "/off/**"
session = "off"
[[route]]
path = "/optional/**"
set_headers = { "X-Page-Token" = "{token.portive}" }
[[route]]
path = "/required/**"
session = "required"
[[route]]
path = "/elsewhere/**"
set_headers = { "X-Only-Elsewhere" = "yes" }
"#;

fn gateway(app: &App) -> Gateway {
    Setup::new(app).token("").with(ROUTES).start()
}

#[test]
fn no_spelling_of_a_header_passes_on_any_route() {
    let app = App::start();
    let gateway = gateway(&app);
    let mut conn = gateway.connect();
    let mut cases = 0;
    for name in NAMES {
        for spelling in spellings(name) {
            for (path, user) in [
                ("/unmatched", None),
                ("/unmatched", Some("ada")),
                ("/off/x", Some("ada")),
                ("/optional/x", None),
                ("/optional/x", Some("ada")),
                ("/required/x", Some("ada")),
            ] {
                app.forget();
                let request = user.map_or_else(|| get(path), |user| get(path).user(user));
                let answer = conn.ask(&request.header(&spelling, SPOOF).header("X-Kept", "1"));
                assert_eq!(answer.status, 200, "{spelling} on {path}");
                let seen = app.only();
                assert_eq!(seen.one("x-kept").as_deref(), Some("1"));
                let head = String::from_utf8_lossy(&seen.head).into_owned();
                assert!(!head.contains(SPOOF), "{spelling} on {path}: {head}");
                cases += 1;
            }
        }
    }
    assert!(cases > 1000, "{cases}");
}

#[test]
fn copies_of_a_header_do_not_hide_behind_each_other() {
    let app = App::start();
    let gateway = gateway(&app);
    let request = get("/optional/x")
        .user("ada")
        .header("X-Auth-User", SPOOF)
        .header("x-auth-user", SPOOF)
        .header("X_Auth_User", SPOOF)
        .header("X.Auth.User", SPOOF)
        .header("X-AUTH-USER", &format!("{SPOOF}, {SPOOF}"))
        .header("X-Page-Token", SPOOF);
    gateway.ask(&request);
    let seen = app.only();
    assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"));
    assert!(!String::from_utf8_lossy(&seen.head).contains(SPOOF));
    assert!(seen.one("x-page-token").unwrap().starts_with("eyJ"));
}

#[test]
fn a_claim_the_session_lacks_leaves_no_header_behind() {
    let app = App::start();
    let gateway = gateway(&app);
    // The session has no role.
    gateway.ask(&get("/x").user("ada").header("X-Auth-Role", "admin"));
    let seen = app.only();
    assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"));
    assert_eq!(seen.one("x-auth-role"), None);
}

#[test]
fn claims_that_cannot_stand_in_a_header_are_left_out() {
    let app = App::start();
    let gateway = gateway(&app);
    for role in ["a\r\nX-Auth-User: root", "a\nb", "\u{0}", "", "a\u{7f}b"] {
        app.forget();
        let cookie = crate::support::Claims::of("ada").with("role", role).cookie();
        gateway.ask(&get("/x").header("Cookie", &cookie).header("X-Auth-Role", SPOOF));
        let seen = app.only();
        assert_eq!(seen.one("x-auth-role"), None, "{role:?}");
        assert_eq!(seen.one("x-auth-user").as_deref(), Some("ada"), "{role:?}");
    }
    // Text that looks like a template is only text.
    for role in ["{session.user_id}", "{{env.PATH}}", "${HOME}", "{token.portive}"] {
        app.forget();
        let cookie = crate::support::Claims::of("ada").with("role", role).cookie();
        gateway.ask(&get("/x").header("Cookie", &cookie));
        assert_eq!(app.only().one("x-auth-role").as_deref(), Some(role));
    }
}

#[test]
fn a_bad_session_names_no_user_whatever_the_client_claims() {
    let app = App::start();
    let gateway = gateway(&app);
    for cookie in ["session=", "session=x", "session=a.b.c", "session", "other=1"] {
        app.forget();
        let request = get("/optional/x").header("Cookie", cookie).header("X-Auth-User", "root");
        assert_eq!(gateway.ask(&request).status, 200);
        let seen = app.only();
        assert_eq!((seen.one("x-auth-user"), seen.one("x-page-token")), (None, None), "{cookie}");
        // An empty one is not what the verdict rests on.
        let passes = cookie != "session=";
        assert_eq!(seen.one("cookie").as_deref(), passes.then_some(cookie));
    }
}
