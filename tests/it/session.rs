//! Who is signed in: what a bad cookie gets, and that it gets it in one shape.

use jsonwebtoken::Algorithm;

use crate::support::{App, Claims, START, Setup, clock, cookie_of, get, seconds, token_of};

const PATH: &str = "/api/get-auth-token";

/// Cookies no session stands behind, each for another reason.
fn bad_cookies() -> Vec<(&'static str, Vec<u8>)> {
    let token = token_of("ada");
    let (head, signature) = token.rsplit_once('.').unwrap();
    let other = token_of("bob");
    let texts = [
        ("none", String::new()),
        ("empty", "session=".to_owned()),
        ("no value", "session".to_owned()),
        ("junk", "session=junk".to_owned()),
        ("dots", "session=..".to_owned()),
        ("base64 of nothing", "session=e30.e30.e30".to_owned()),
        ("truncated", format!("session={}", token.get(..token.len() - 5).unwrap())),
        ("without signature", format!("session={head}.")),
        ("another's signature", format!("session={head}.{}", other.rsplit_once('.').unwrap().1)),
        ("foreign name", format!("sessions={token}")),
        ("foreign case", format!("Session={token}")),
        ("wrong secret", format!("session={}", Claims::of("ada").signed(Algorithm::HS256, "x"))),
        ("oversized", format!("session={}", "x".repeat(20_000))),
        ("no user", Claims::of("").cookie()),
        ("not yet valid", Claims::of("ada").with("nbf", START + 3600).cookie()),
        ("four parts", format!("session={token}.{signature}")),
        ("a fourth part that is no MAC", format!("session={token}.e30")),
        ("five parts", format!("session={token}.{signature}.{signature}")),
        ("a scheme word alone", "session=Bearer ".to_owned()),
        ("quoted junk", "session=\"junk\"".to_owned()),
        ("percent junk", "session=%00%ff%zz".to_owned()),
    ];
    let mut all: Vec<_> = texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
    all.push(("not text", b"session=\xff\xfe\x80".to_vec()));
    all.push(("not text in the payload", [b"session=e30.", &b"\xc3\x28"[..], b".e30"].concat()));
    all
}

#[test]
fn every_bad_cookie_gets_the_same_answer() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let mut bodies = std::collections::HashSet::new();
    for (name, cookie) in bad_cookies() {
        let request = get(PATH);
        let request =
            if cookie.is_empty() { request } else { request.header_bytes("Cookie", &cookie) };
        let answer = gateway.ask(&request);
        assert_eq!(answer.status, 401, "{name}");
        answer.assert_refused(401, "not_signed_in");
        assert_eq!(answer.header("www-authenticate"), Some("Cookie cookie-name=\"session\""));
        let mut headers = answer.headers.clone();
        headers.retain(|(field, _)| field != "date" && field != "x-request-id");
        bodies.insert((headers, answer.body));
    }
    assert_eq!(bodies.len(), 1, "headers and body tell nothing apart");
    assert!(app.seen().is_empty());
}

#[test]
fn an_expired_session_is_reported_as_such_only_if_its_signature_holds() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let cookie = Claims::of("ada").with("exp", START + 10).cookie();
    let ask = |cookie: &str| gateway.ask(&get(PATH).header("Cookie", cookie));
    assert_eq!(ask(&cookie).status, 200);
    clock.advance(seconds(9));
    assert_eq!(ask(&cookie).status, 200);
    clock.advance(seconds(1));
    ask(&cookie).assert_refused(401, "session_expired");
    let forged = Claims::of("ada").with("exp", START - 10).signed(Algorithm::HS256, "x");
    ask(&format!("session={forged}")).assert_refused(401, "not_signed_in");
}

#[test]
fn the_log_says_why_and_the_client_is_not_told() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    let reasons = [
        ("session=junk".to_owned(), "malformed"),
        (format!("session={}", Claims::of("ada").signed(Algorithm::HS256, "x")), "bad_signature"),
        (format!("session={}", Claims::of("a").signed(Algorithm::HS512, "x")), "alg_not_allowed"),
        (Claims::of("ada").with("exp", START - 1).cookie(), "expired"),
        (Claims::of("ada").with("nbf", START + 60).cookie(), "not_yet_valid"),
        ("other=1".to_owned(), "missing"),
    ];
    for (count, (cookie, reason)) in reasons.into_iter().enumerate() {
        let answer = gateway.ask(&get(PATH).header("Cookie", &cookie));
        assert_eq!(gateway.logged(count + 1)["reason"], reason);
        assert!(!answer.text().contains(reason) || reason == "expired", "{}", answer.text());
    }
}

#[test]
fn optional_routes_are_forwarded_without_identity() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).clock(&clock).start();
    for (name, cookie) in bad_cookies() {
        app.forget();
        let answer = gateway.ask(&get("/page").header_bytes("Cookie", &cookie));
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(app.only().one("x-auth-user"), None, "{name}");
    }
    app.forget();
    gateway.ask(&get("/page").user("ada"));
    assert_eq!(app.only().one("x-auth-user").as_deref(), Some("ada"));
}

#[test]
fn a_remembered_session_ends_when_it_ends() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("").clock(&clock).start();
    let cookie = Claims::of("ada").with("exp", START + 100).cookie();
    let user = || {
        app.forget();
        gateway.ask(&get("/x").header("Cookie", &cookie));
        app.only().one("x-auth-user")
    };
    assert_eq!(user().as_deref(), Some("ada"));
    clock.advance(seconds(99));
    assert_eq!(user().as_deref(), Some("ada"), "from memory");
    clock.advance(seconds(1));
    assert_eq!(user(), None);
}

#[test]
fn sources_are_tried_in_order_and_must_not_contradict_each_other() {
    let app = App::start();
    let second = "[[session]]\nkind = \"jwt\"\ncookie = \"old\"\nsecret = \"canary-of-the-old-session-0123456789\"\n";
    let text = Setup::new(&app).text().replace("[session]", "[[session]]");
    let gateway = Setup::new(&app).replaced_by(format!("{text}\n{second}")).start();
    let old =
        Claims::of("old-ada").signed(Algorithm::HS256, "canary-of-the-old-session-0123456789");
    let visit = |cookie: &str| {
        app.forget();
        let answer = gateway.ask(&get("/x").header("Cookie", cookie));
        (app.only().one("x-auth-user"), gateway.line_of(&answer))
    };
    let user = |cookie: &str| visit(cookie).0;
    let (name, line) = visit(&format!("old={old}"));
    assert_eq!(name.as_deref(), Some("old-ada"));
    assert_eq!(line["source"], "jwt.2");
    // Two users in one request: the app might mean the other one.
    let both = format!("old={old}; {}", cookie_of("ada"));
    let (name, line) = visit(&both);
    assert_eq!((name, &line["reason"]), (None, &"ambiguous".into()));
    assert_eq!(gateway.ask(&get(PATH).header("Cookie", &both)).status, 401);
    let (name, line) = visit(&format!("old={old}; {}", cookie_of("old-ada")));
    assert_eq!(name.as_deref(), Some("old-ada"));
    assert_eq!(line["source"], "jwt.1");
    assert_eq!(user(&format!("session=junk; old={old}")).as_deref(), Some("old-ada"));
    // A token signed for one source says nothing under the name of the other.
    assert_eq!(user(&format!("session={old}")), None);
    assert_eq!(user(&format!("old={}", token_of("ada"))), None);
}

#[test]
fn any_secret_of_a_rotation_verifies() {
    let app = App::start();
    let text = Setup::new(&app).text();
    let secret = format!("secret = \"{}\"", crate::support::SESSION_SECRET);
    let rotated = format!(
        "secrets = [\"canary-of-the-new-session-0123456789\", \"{}\"]",
        crate::support::SESSION_SECRET
    );
    let gateway = Setup::new(&app).replaced_by(text.replace(&secret, &rotated)).start();
    assert_eq!(gateway.token("ada").status, 200);
    let new = Claims::of("bob").signed(Algorithm::HS256, "canary-of-the-new-session-0123456789");
    let answer = gateway.ask(&get(PATH).header("Cookie", &format!("session={new}")));
    assert_eq!(answer.status, 200);
}
