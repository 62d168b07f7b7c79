//! Sessions that are over although their cookie still verifies.

use crate::support::{
    App, Claims, Gateway, Request, START, Setup, clock, cookie_of, get, post, seconds,
};

const PATH: &str = "/api/get-auth-token";

fn status(gateway: &Gateway, cookie: &str) -> u16 {
    gateway.ask(&get(PATH).header("Cookie", cookie)).status
}

fn revoke(gateway: &Gateway, method: &str, body: &str, headers: &str) -> String {
    let rest = format!("{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    gateway.admin(&format!("{method} /revoke HTTP/1.1"), &rest)
}

const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn a_session_is_over_once_the_app_has_answered_its_sign_out() {
    let app = App::start();
    let paths = "logout_paths = [\"/logout\", \"POST /api/auth/signout\"]";
    let gateway = Setup::new(&app).session(paths).start();
    let (ada, bob, eve) = (cookie_of("ada"), cookie_of("bob"), cookie_of("eve"));
    for cookie in [&ada, &bob, &eve] {
        assert_eq!(status(&gateway, cookie), 200);
    }
    gateway.ask(&get("/logout").header("Cookie", &ada));
    assert_eq!(status(&gateway, &ada), 401);
    gateway.ask(&get("/api/auth/signout").header("Cookie", &bob));
    assert_eq!(status(&gateway, &bob), 200, "a page that asks whether to sign out");
    gateway.ask(&post("/api/auth/signout", b"").header("Cookie", &bob));
    assert_eq!(status(&gateway, &bob), 401);
    assert_eq!(status(&gateway, &eve), 200);
    app.forget();
    gateway.ask(&get("/page").header("Cookie", &ada));
    assert_eq!(app.only().one("x-auth-user"), None, "nor is she known to the app");
}

#[test]
fn a_sign_out_path_is_known_under_all_of_its_addresses() {
    let app = App::start();
    let gateway = Setup::new(&app)
        .session("logout_paths = [\"/logout\", \"POST /account/sign-out\"]")
        .upstream("locales = [\"de\", \"pt-BR\"]\nbase_path = \"/shop\"")
        .start();
    let mut number = 0;
    let mut ends = |request: Request| {
        number += 1;
        let cookie = Claims::of("ada").with("jti", number.to_string()).cookie();
        assert_eq!(status(&gateway, &cookie), 200);
        gateway.ask(&request.header("Cookie", &cookie));
        status(&gateway, &cookie) == 401
    };
    for path in [
        "/logout",
        "/logout/",
        "/Logout",
        "//logout",
        "/x/../logout",
        "/l%6fgout",
        "/logout.json",
        "/de/logout",
        "/pt-br/logout",
        "/shop/logout",
        "/shop/de/logout/",
        "/shop/_next/data/B/de/logout.json",
        "/logout.data",
        "/index.php/logout",
        "/index.php?r=logout",
    ] {
        assert!(ends(get(path)), "{path}");
    }
    for path in ["/fr/logout", "/logout-all", "/shop2/logout", "/a/logout", "/de/account/sign-out"]
    {
        assert!(!ends(get(path)), "{path}");
    }
    assert!(ends(post("/de/account/sign-out", b"")));
    assert!(ends(post("/shop/account/sign-out/", b"")));
    assert!(ends(Request::new("post", "/account/sign-out")), "to some apps it is POST");
}

#[test]
fn a_sign_out_the_app_refused_ends_nothing() {
    let app = App::start();
    let gateway = Setup::new(&app).session("logout_paths = \"/do/early-401\"").start();
    let ada = cookie_of("ada");
    assert_eq!(gateway.ask(&post("/do/early-401", b"").header("Cookie", &ada)).status, 401);
    assert_eq!(status(&gateway, &ada), 200);
}

#[test]
fn a_sign_out_counts_on_a_route_that_does_not_look_at_sessions() {
    let app = App::start();
    let gateway = Setup::new(&app)
        .session("logout_paths = \"/logout\"")
        .with("[[route]]\npath = \"/**\"\nsession = \"off\"")
        .start();
    let ada = cookie_of("ada");
    assert_eq!(status(&gateway, &ada), 200);
    app.forget();
    gateway.ask(&get("/logout").header("Cookie", &ada));
    assert_eq!(app.only().one("x-auth-user"), None, "off is off");
    assert_eq!(status(&gateway, &ada), 401);
}

#[test]
fn a_sign_out_outlives_a_reload() {
    let app = App::start();
    let setup = || Setup::new(&app).session("logout_paths = \"/logout\"");
    let gateway = setup().start();
    let ada = cookie_of("ada");
    gateway.ask(&get("/logout").header("Cookie", &ada));
    gateway.reload(&setup().token("limit = \"9/minute\""));
    assert_eq!(status(&gateway, &ada), 401);
}

#[test]
fn the_operator_ends_a_users_sessions_from_now_on() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let issued = |at: u64| Claims::of("ada").with("iat", at).cookie();
    assert_eq!(status(&gateway, &issued(START)), 200);
    let answer = revoke(&gateway, "POST", r#"{"user":"ada"}"#, JSON);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("true"), "{answer}");
    assert_eq!(status(&gateway, &issued(START)), 401);
    clock.advance(seconds(5));
    assert_eq!(status(&gateway, &issued(START + 5)), 200, "she has signed in again");
    assert_eq!(status(&gateway, &cookie_of("ada")), 401, "who knows when that was issued");
    assert_eq!(status(&gateway, &cookie_of("bob")), 200);
    revoke(&gateway, "DELETE", r#"{"user":"ada"}"#, JSON);
    assert_eq!(status(&gateway, &cookie_of("ada")), 200);
}

#[test]
fn the_operator_ends_one_session() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let (stolen, own) = (Claims::of("ada").with("jti", "1"), Claims::of("ada").with("jti", "2"));
    let body = serde_json::json!({ "cookie": stolen.cookie() }).to_string();
    let answer = revoke(&gateway, "POST", &body, JSON);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(status(&gateway, &stolen.cookie()), 401);
    assert_eq!(status(&gateway, &own.cookie()), 200);
    let again = revoke(&gateway, "POST", &body, JSON);
    assert!(again.starts_with("HTTP/1.1 404 "), "{again}");
}

#[test]
fn a_page_in_the_operators_browser_cannot_revoke() {
    let app = App::start();
    let gateway = Setup::new(&app).start();
    let body = r#"{"user":"ada"}"#;
    for headers in [
        "Content-Type: text/plain\r\n",
        "",
        "Content-Type: application/json\r\nOrigin: http://a\r\n",
    ] {
        let answer = revoke(&gateway, "POST", body, headers);
        assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    }
    for wrong in ["", "{}", "[]", r#"{"user":1}"#, r#"{"user":"a","cookie":"b"}"#, "nonsense"] {
        let answer = revoke(&gateway, "POST", wrong, JSON);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{wrong}: {answer}");
    }
    assert_eq!(status(&gateway, &cookie_of("ada")), 200);
}
