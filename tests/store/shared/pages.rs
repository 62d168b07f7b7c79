//! The limits of all tokens in one page: one question to the store, and each token answers
//! for itself.

use super::replicas::{PATIENT, replicas, shared};
use super::rules::calls;
use crate::servers::redis;
use crate::support::{App, get};

fn tables(url: &str) -> String {
    let mut tables = shared(url, PATIENT);
    for (name, limit) in
        [("first", "9/day"), ("second", "[\"2/day\", \"50/30d\"]"), ("third", "9/day")]
    {
        tables += &format!(
            "[token.{name}]\npreset = \"portive\"\nkey = \"PRTV_keyPage_canaryOfTheKey0123456789abcdef\"\n\
             ttl = \"1d\"\nlimit = {}\n",
            if limit.starts_with('[') { limit.to_owned() } else { format!("\"{limit}\"") }
        );
    }
    tables
        + "[[route]]\npath = \"/page\"\nsession = \"optional\"\nset_headers = { X-First = \"{token.first}\", \
           X-Second = \"{token.second}\", X-Third = \"{token.third}\", X-Again = \"{token.first}\" }\n"
}

#[test]
fn all_tokens_of_a_page_are_one_question() {
    let (app, server) = (App::start(), redis(""));
    let gateway = &replicas(1, &app, "", &tables(&server.url("redis")))[0];
    // Nothing else reads a key.
    let before = calls(&server, "get");
    for page in 1..=2 {
        assert_eq!(gateway.ask(&get("/page").user("ada")).status, 200);
        let seen = app.last();
        for name in ["x-first", "x-second", "x-third", "x-again"] {
            assert!(seen.one(name).is_some_and(|token| token.len() > 20), "{name} of page {page}");
        }
        assert_eq!(calls(&server, "get") - before, page);
    }
}

#[test]
fn a_token_over_its_limit_is_left_out_and_the_others_stand_in_the_page() {
    let (app, server) = (App::start(), redis(""));
    let gateways = replicas(2, &app, "", &tables(&server.url("redis")));
    let tokens = |gateway: usize| {
        assert_eq!(gateways[gateway].ask(&get("/page").user("ada")).status, 200);
        let seen = app.last();
        ["x-first", "x-second", "x-third"]
            .map(|name| seen.one(name).is_some_and(|it| !it.is_empty()))
    };
    for page in 0..9 {
        assert_eq!(tokens(page % 2), [true, page < 2, true], "page {page}");
    }
    let before = calls(&server, "get");
    assert_eq!(tokens(0), [false; 3], "each limit, and once for a token that stands there twice");
    assert!(calls(&server, "get") <= before + 1);
    let before = calls(&server, "get");
    assert_eq!(tokens(0), [false; 3]);
    assert_eq!(calls(&server, "get"), before, "what is refused is known here");
}

#[test]
fn without_the_store_each_token_of_a_page_has_this_replicas_part() {
    let (app, mut server) = (App::start(), redis(""));
    let gateway = &replicas(1, &app, "", &tables(&server.url("redis")))[0];
    server.kill();
    for page in 0..3 {
        assert_eq!(gateway.ask(&get("/page").user("ada")).status, 200);
        let seen = app.last();
        let found = ["x-first", "x-second", "x-third"]
            .map(|name| seen.one(name).is_some_and(|token| !token.is_empty()));
        assert_eq!(found, [true, page < 2, true], "page {page}");
    }
}
