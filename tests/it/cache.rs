//! Tokens kept: never past the session, never across a change of the key.

use jsonwebtoken::decode_header;
use serde_json::Value;

use crate::support::{App, Claims, START, Setup, clock, get, seconds};

const PATH: &str = "/api/get-auth-token";
const KEY: &str = "PRTV_keyOne_canaryOfTheKey0123456789abcdef";

/// Whoever signed it: what matters here is the end.
fn expiry(token: &str) -> u64 {
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap().claims;
    claims["exp"].as_u64().unwrap()
}

#[test]
fn a_token_never_outlives_the_session() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("").clock(&clock).start();
    let cookie = Claims::of("ada").with("exp", START + 90).cookie();
    let token = || gateway.ask(&get(PATH).header("Cookie", &cookie));
    assert_eq!(expiry(&token().auth_token()), START + 60);
    clock.advance(seconds(50));
    assert_eq!(expiry(&token().auth_token()), START + 90, "cut to what is left of the session");
    clock.advance(seconds(39));
    let last = token();
    assert!(last.status == 401 || expiry(&last.auth_token()) <= START + 90, "{last:?}");
    clock.advance(seconds(1));
    token().assert_refused(401, "session_expired");
}

#[test]
fn a_shorter_session_of_the_same_user_gets_no_longer_token() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("").clock(&clock).start();
    assert_eq!(expiry(&gateway.token("ada").auth_token()), START + 60);
    let short = Claims::of("ada").with("exp", START + 20).cookie();
    let answer = gateway.ask(&get(PATH).header("Cookie", &short));
    assert!(expiry(&answer.auth_token()) <= START + 20, "{answer:?}");
}

#[test]
fn a_rotated_key_never_serves_an_old_token() {
    let (app, clock) = (App::start(), clock());
    let setup = || Setup::new(&app).token("").clock(&clock);
    let gateway = setup().start();
    let first = gateway.token("ada").auth_token();
    for key in [
        "PRTV_keyOne_canaryOfAnotherSecret0123456789",
        "PRTV_keyTwo_canaryOfTheKey0123456789abcdef",
    ] {
        let text = setup().text().replace(KEY, key);
        gateway.reload(&setup().replaced_by(text));
        let token = gateway.token("ada").auth_token();
        assert_ne!(token, first);
        assert_eq!(decode_header(&token).unwrap().kid.as_deref(), key.split('_').nth(1));
    }
    gateway.reload(&setup());
    assert_eq!(gateway.token("ada").auth_token(), first, "and back again");
}

#[test]
fn another_lifetime_is_another_token() {
    let (app, clock) = (App::start(), clock());
    let setup = || Setup::new(&app).token("").clock(&clock);
    let gateway = setup().start();
    assert_eq!(expiry(&gateway.token("ada").auth_token()), START + 60);
    let text = setup().text().replace("ttl = \"1m\"", "ttl = \"5m\"");
    gateway.reload(&setup().replaced_by(text));
    assert_eq!(expiry(&gateway.token("ada").auth_token()), START + 300);
}

#[test]
fn two_tokens_of_one_user_are_kept_apart() {
    let (app, clock) = (App::start(), clock());
    let second = "[token.second]\npath = \"/api/second\"\npreset = \"portive\"\n\
                  key = \"PRTV_keyTwo_canaryOfTheSecondKey0123456789\"\nttl = \"1m\"\n";
    let gateway = Setup::new(&app).with(second).clock(&clock).start();
    for _ in 0..3 {
        let kid = |path: &str| {
            let token = gateway.ask(&get(path).user("ada")).auth_token();
            decode_header(&token).unwrap().kid.unwrap()
        };
        assert_eq!((kid(PATH), kid("/api/second")), ("keyOne".to_owned(), "keyTwo".to_owned()));
    }
}

#[test]
fn a_cached_token_is_not_served_without_a_session() {
    let (app, clock) = (App::start(), clock());
    let gateway = Setup::new(&app).token("").clock(&clock).start();
    let cookie = Claims::of("ada").with("exp", START + 10).cookie();
    assert_eq!(gateway.ask(&get(PATH).header("Cookie", &cookie)).status, 200);
    assert_eq!(gateway.token("ada").status, 200);
    clock.advance(seconds(10));
    gateway.ask(&get(PATH).header("Cookie", &cookie)).assert_refused(401, "session_expired");
    gateway.ask(&get(PATH)).assert_refused(401, "not_signed_in");
    assert_eq!(gateway.token("ada").status, 200);
}
