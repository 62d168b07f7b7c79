//! A session in a header: Bearer tokens of clients without cookies, and the word of gates in front.

use crate::support::{App, Claims, Gateway, Request, Setup, clock, cookie_of, get, post, token_of};

const PATH: &str = "/api/get-auth-token";
const BEARER: &str = "header = \"authorization\"";
const OTHER: &str = "https://evil.test";

/// A session in a cookie or in `Authorization`.
fn both(app: &App) -> Setup {
    Setup::new(app).session(BEARER)
}

fn only_header(app: &App, lines: &str) -> Setup {
    let text = Setup::new(app).text().replace("cookie = \"session\"\n", &format!("{lines}\n"));
    Setup::new(app).replaced_by(text)
}

fn bearer(request: Request, user: &str) -> Request {
    request.header("Authorization", &format!("Bearer {}", token_of(user)))
}

#[test]
fn a_client_without_cookies_gets_its_token() {
    let app = App::start();
    for gateway in [both(&app).start(), only_header(&app, BEARER).start()] {
        assert_eq!(gateway.ask(&bearer(get(PATH), "ada")).status, 200);
        for value in ["Bearer junk", "Bearer", "Basic YTpi", "Bearer a.b.c"] {
            let answer = gateway.ask(&get(PATH).header("Authorization", value));
            answer.assert_refused(401, "not_signed_in");
        }
        let twice = bearer(bearer(get(PATH), "ada"), "ada");
        gateway.ask(&twice).assert_refused(401, "not_signed_in");
    }
}

#[test]
fn the_challenge_names_what_would_sign_in() {
    let app = App::start();
    let challenge = |gateway: &Gateway| {
        let answer = gateway.ask(&get(PATH));
        assert_eq!(answer.status, 401);
        answer.header("www-authenticate").map(str::to_owned)
    };
    let expected = "Cookie cookie-name=\"session\", Bearer";
    assert_eq!(challenge(&both(&app).start()).as_deref(), Some(expected));
    let gateway = only_header(&app, BEARER).start();
    assert_eq!(challenge(&gateway).as_deref(), Some("Bearer"));
    let scheme = "header = \"authorization\"\nscheme = \"DPoP\"";
    assert_eq!(challenge(&only_header(&app, scheme).start()).as_deref(), Some("DPoP"));
}

#[test]
fn an_expired_token_says_so() {
    let (app, clock) = (App::start(), clock());
    let gateway = both(&app).clock(&clock).start();
    let token = Claims::of("ada").with("exp", crate::support::START - 1).token();
    let request = get(PATH).header("Authorization", &format!("Bearer {token}"));
    gateway.ask(&request).assert_refused(401, "session_expired");
}

#[test]
fn another_sites_request_counts_only_with_a_header_that_no_browser_adds() {
    let app = App::start();
    let gateway = both(&app).start();
    let from = |request: Request| request.header("Origin", OTHER);
    assert_eq!(gateway.ask(&from(bearer(get(PATH), "ada"))).status, 200, "a native client");
    let site = |request: Request| request.header("Sec-Fetch-Site", "cross-site");
    assert_eq!(gateway.ask(&site(bearer(get(PATH), "ada"))).status, 200);
    let cookie = cookie_of("ada");
    let with_cookie = |request: Request| request.header("Cookie", &cookie);
    gateway.ask(&from(with_cookie(get(PATH)))).assert_refused(403, "cross_site");
    // A header that does not verify lends the cookie nothing.
    for value in ["Bearer junk", "Basic YTpi", "Bearer"] {
        let request = from(with_cookie(get(PATH))).header("Authorization", value);
        gateway.ask(&request).assert_refused(403, "cross_site");
    }
    let expired = Claims::of("ada").with("exp", 1_000_000_000).token();
    let request = from(with_cookie(get(PATH)));
    let request = request.header("Authorization", &format!("Bearer {expired}"));
    gateway.ask(&request).assert_refused(403, "cross_site");
    // Both verify, for the same user: the header's own code has sent it.
    assert_eq!(gateway.ask(&from(with_cookie(bearer(get(PATH), "ada")))).status, 200);
    let answer = gateway.ask(&from(bearer(get(PATH), "ada")));
    assert_eq!(answer.header("access-control-allow-origin"), None, "no page may read it");
}

#[test]
fn a_header_that_a_gate_sets_does_not_prove_who_made_the_request() {
    let app = App::start();
    let gates = ["header = \"x-gate-token\"", "header = \"authorization\"\nset_by = \"gate\""];
    for (lines, name) in gates.into_iter().zip(["X-Gate-Token", "Authorization"]) {
        let gateway = only_header(&app, lines).start();
        let value = if name == "Authorization" { "Bearer " } else { "" };
        let value = format!("{value}{}", token_of("ada"));
        let request = || get(PATH).header(name, &value);
        assert_eq!(gateway.ask(&request()).status, 200, "{lines}");
        let answer = gateway.ask(&request().header("Origin", OTHER));
        answer.assert_refused(403, "cross_site");
    }
    let set_by_client = "header = \"x-app-token\"\nset_by = \"client\"";
    let gateway = only_header(&app, set_by_client).start();
    let request = get(PATH).header("X-App-Token", &token_of("ada")).header("Origin", OTHER);
    assert_eq!(gateway.ask(&request).status, 200);
}

#[test]
fn an_allowed_origin_may_send_the_header() {
    let app = App::start();
    let gateway = both(&app).token("origins = [\"https://spa.example.com\"]").start();
    let preflight = Request::new("OPTIONS", PATH)
        .header("Origin", "https://spa.example.com")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "authorization");
    let answer = gateway.ask(&preflight);
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://spa.example.com"));
    let request = bearer(get(PATH), "ada").header("Origin", "https://spa.example.com");
    let answer = gateway.ask(&request);
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, Some("https://spa.example.com"))
    );
    let refused = gateway.ask(&get(PATH).header("Origin", "https://spa.example.com"));
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://spa.example.com"));
}

/// The parts of a request that the app got: `Authorization`, `Cookie`, and the user.
#[track_caller]
fn seen(
    gateway: &Gateway,
    app: &App,
    request: &Request,
) -> (Vec<String>, Vec<String>, Option<String>) {
    app.forget();
    gateway.ask(request);
    let seen = app.only();
    (seen.all("authorization"), seen.all("cookie"), seen.one("x-auth-user"))
}

#[test]
fn the_app_sees_one_session_whichever_way_it_came() {
    let app = App::start();
    let off = "[[route]]\npath = \"/off/**\"\nsession = \"off\"\n";
    let gateway = both(&app).with(off).start();
    let none = Vec::<String>::new();
    let (ada, eve) = (cookie_of("ada"), format!("Bearer {}", token_of("eve")));
    let own = format!("Bearer {}", token_of("ada"));
    let with = |path, value: &str| get(path).header("Cookie", &ada).header("Authorization", value);
    let known = (vec![own.clone()], vec![ada.clone()], Some("ada".to_owned()));
    assert_eq!(seen(&gateway, &app, &with("/page", &own)), known);
    for path in ["/page", "/off/page"] {
        let (authorization, cookie, user) = seen(&gateway, &app, &with(path, &eve));
        assert_eq!((authorization, cookie, user), (none.clone(), none.clone(), None), "{path}");
        let twice = with(path, &own).header("Authorization", &eve);
        assert_eq!(seen(&gateway, &app, &twice).0, none, "{path}: two of them");
        let basic = with(path, "Basic YTpi");
        assert_eq!(seen(&gateway, &app, &basic).0, ["Basic YTpi"], "{path}: the app's own affair");
    }
    gateway.ask(&with(PATH, &eve)).assert_refused(401, "not_signed_in");
}

#[test]
fn a_revoked_or_signed_out_token_is_kept_from_the_app() {
    let app = App::start();
    let lines = format!("{BEARER}\nlogout_paths = [\"POST /logout\"]");
    let gateway = Setup::new(&app).session(&lines).start();
    let ask = |user| gateway.ask(&bearer(get(PATH), user)).status;
    assert_eq!((ask("ada"), ask("bob")), (200, 200));
    gateway.ask(&bearer(post("/logout", b""), "ada"));
    assert_eq!((ask("ada"), ask("bob")), (401, 200));
    // The same token in a cookie is the same session.
    assert_eq!(gateway.ask(&get(PATH).header("Cookie", &cookie_of("ada"))).status, 401);
    let none = Vec::<String>::new();
    assert_eq!(
        seen(&gateway, &app, &bearer(get("/page"), "ada")),
        (none.clone(), none.clone(), None)
    );
    let body = "{\"user\":\"bob\"}";
    let rest =
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    gateway.admin("POST /revoke HTTP/1.1", &rest);
    assert_eq!(ask("bob"), 401);
    assert_eq!(seen(&gateway, &app, &bearer(get("/page"), "bob")), (none.clone(), none, None));
    assert_eq!(ask("eve"), 200);
}

#[test]
fn a_limit_counts_the_user_however_the_session_comes() {
    let (app, clock) = (App::start(), clock());
    let gateway = both(&app).token("limit = \"2/minute\"").clock(&clock).start();
    assert_eq!(gateway.ask(&bearer(get(PATH), "ada")).status, 200);
    assert_eq!(gateway.ask(&get(PATH).header("Cookie", &cookie_of("ada"))).status, 200);
    assert_eq!(gateway.ask(&bearer(get(PATH), "ada")).status, 429);
    assert_eq!(gateway.ask(&bearer(get(PATH), "bob")).status, 200);
}

const GATE: &str = "kind = \"trusted-header\"\nheader = \"x-forwarded-user\"\n\
    claims = { role = \"x-forwarded-groups\" }\n";

fn gated(app: &App, trusted: &str) -> Setup {
    let text = Setup::new(app).server(&format!("trusted_proxies = [{trusted}]")).text();
    let (before, rest) = text.split_once("kind = \"jwt\"").unwrap();
    let (_, after) = rest.split_once("[token.portive]").unwrap();
    Setup::new(app).replaced_by(format!("{before}{GATE}[token.portive]{after}"))
}

#[test]
fn a_gates_header_counts_from_trusted_proxies_only() {
    let app = App::start();
    let ask = |gateway: &Gateway, fields: &[(&str, &str)]| {
        app.forget();
        let request = fields.iter().fold(get("/page"), |it, (name, value)| it.header(name, value));
        gateway.ask(&request);
        let seen = app.only();
        (seen.all("x-forwarded-user"), seen.one("x-auth-user"), seen.one("x-auth-role"))
    };
    let user = ("X-Forwarded-User", "ada");
    let (trusted, strange) =
        (gated(&app, "\"127.0.0.0/8\"").start(), gated(&app, "\"192.0.2.1\"").start());
    let ada = || Some("ada".to_owned());
    let staff = Some("staff".to_owned());
    let known = ask(&trusted, &[user, ("X-Forwarded-Groups", "staff")]);
    assert_eq!(known, (vec!["ada".to_owned()], ada(), staff));
    let nobody = (Vec::<String>::new(), None, None);
    assert_eq!(ask(&strange, &[user]), nobody, "anyone could say so");
    for fields in [
        vec![user, ("X-Forwarded-User", "eve")],
        vec![user, user],
        vec![user, ("X-Forwarded-User", "")],
        vec![("X-Forwarded-User", "")],
        vec![("X-Forwarded-User", "ada,eve")],
        vec![("X_Forwarded_User", "ada")],
        vec![("X.Forwarded.User", "ada")],
    ] {
        let (_, told, _) = ask(&trusted, &fields);
        assert_eq!(told, None, "{fields:?}");
        assert!(app.only().all("x_forwarded_user").is_empty());
        assert!(app.only().all("x.forwarded.user").is_empty());
    }
    assert_eq!(trusted.ask(&get(PATH).header(user.0, user.1)).status, 200);
    let elsewhere = get(PATH).header(user.0, user.1).header("Origin", OTHER);
    trusted.ask(&elsewhere).assert_refused(403, "cross_site");
    assert_eq!(strange.ask(&get(PATH).header(user.0, user.1)).status, 401);
    assert_eq!(
        strange.ask(&get(PATH)).header("www-authenticate"),
        Some("Header header-name=\"x-forwarded-user\"")
    );
}

#[test]
fn a_revoked_user_of_a_gate_is_kept_from_the_app() {
    let app = App::start();
    let gateway = gated(&app, "\"127.0.0.0/8\"").start();
    let request = || get("/page").header("X-Forwarded-User", "ada");
    let body = "{\"user\":\"ada\"}";
    let rest =
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    gateway.admin("POST /revoke HTTP/1.1", &rest);
    app.forget();
    gateway.ask(&request());
    assert_eq!((app.only().all("x-forwarded-user"), app.only().one("x-auth-user")), (vec![], None));
    assert_eq!(gateway.ask(&get(PATH).header("X-Forwarded-User", "ada")).status, 401);
}
