//! Promises of every source, whatever its kind.

use serde_json::json;

use super::*;

fn first(kind: &str) -> (SessionReader, Vec<u8>) {
    let vector = &vectors(kind)[0];
    (compile(&vector["config"]).ok().unwrap(), cookie_header(vector))
}

#[test]
fn a_refusal_never_contains_a_piece_of_a_cookie() {
    for kind in kinds() {
        for vector in vectors(kind) {
            let header = cookie_header(&vector);
            let source = compile(&vector["config"]).ok().unwrap();
            let now = vector["now"].as_u64().unwrap();
            let cookies = Cookies::new(&header);
            let Err(rejected) = verdict(&source, &vector, cookies, now) else { continue };
            let said = format!("{} {:?}", rejected.detail, source.hints(cookies, &rejected));
            for (_, value) in cookies.iter().filter(|(_, value)| value.len() >= 12) {
                for piece in value.windows(12) {
                    let piece = String::from_utf8_lossy(piece);
                    assert!(!said.contains(&*piece), "{}: {said}", vector["id"]);
                }
            }
        }
    }
}

/// A fixed sequence of numbers: which bytes are changed must not depend on luck.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn no_changed_byte_makes_another_user() {
    let mut state = 7;
    for kind in kinds() {
        for vector in vectors(kind).iter().filter(|vector| vector["expect"]["outcome"] == "accept")
        {
            // Two users in one header: renaming one cookie rightly leaves the other.
            if vector["id"].as_str().unwrap().ends_with("~two-users") {
                continue;
            }
            let source = compile(&vector["config"]).ok().unwrap();
            let now = vector["now"].as_u64().unwrap();
            for _ in 0..60 {
                let mut header = cookie_header(vector);
                if header.is_empty() {
                    break;
                }
                let at = next(&mut state) % header.len();
                header[at] = u8::try_from(next(&mut state) % 256).unwrap();
                if let Ok(identity) = verdict(&source, vector, Cookies::new(&header), now) {
                    assert_eq!(vector["expect"]["user_id"], identity.user_id(), "{}", vector["id"]);
                }
            }
        }
    }
}

#[test]
fn no_changed_byte_in_the_store_stops_the_reader() {
    let mut state = 11;
    for kind in kinds() {
        for vector in vectors(kind).iter().filter(|vector| vector["store"].is_array()) {
            let source = compile(&vector["config"]).ok().unwrap();
            let header = cookie_header(vector);
            let Ok(Check::Ask(question)) = source.look(Cookies::new(&header), 0) else { continue };
            for _ in 0..60 {
                let Some(answer) = answer(&vector["store"], &question.query) else { break };
                let change = |bytes: &mut Vec<u8>, state: &mut u64| {
                    let at = next(state) % bytes.len();
                    bytes[at] = u8::try_from(next(state) % 256).unwrap();
                    bytes.truncate(bytes.len() - next(state) % 2);
                };
                let answer = match answer {
                    StoreAnswer::File { mut content, modified } => {
                        change(&mut content, &mut state);
                        StoreAnswer::File { content, modified }
                    }
                    StoreAnswer::Redis { mut value, seconds_left } => {
                        change(&mut value, &mut state);
                        StoreAnswer::Redis { value, seconds_left }
                    }
                    StoreAnswer::RedisHash { mut fields, seconds_left } => {
                        fields.0.iter_mut().for_each(|(_, value)| change(value, &mut state));
                        StoreAnswer::RedisHash { fields, seconds_left }
                    }
                    other @ (StoreAnswer::App { .. }
                    | StoreAnswer::Key { .. }
                    | StoreAnswer::Row(_)
                    | StoreAnswer::TooLarge
                    | StoreAnswer::WrongType) => other,
                };
                // Any outcome will do, as long as there is one.
                drop(source.answered(&question, Some(answer), 0));
            }
        }
    }
}

#[test]
fn the_digest_changes_with_every_cookie_the_source_looks_at_and_no_other() {
    let (source, header) = first("next-auth");
    let digest = |header: &[u8]| source.digest(Cookies::new(header));
    let with = |more: &str| [&header, "; ".as_bytes(), more.as_bytes()].concat();
    let plain = digest(&header);
    assert!(plain.is_some());
    assert_eq!(digest(&with("theme=light")), plain);
    assert_eq!(digest(&with("next-auth.session-tokenx=1")), plain);
    for more in
        ["next-auth.session-token=", "next-auth.session-token.0=x", "next-auth.session-token=a"]
    {
        assert_ne!(digest(&with(more)), plain, "{more}");
    }
    assert_eq!(digest(b"theme=light"), None);
}

#[test]
fn the_digest_changes_with_settings_and_secrets() {
    let digest = |config: Json| {
        let source = compile(&config).ok().unwrap();
        source.digest(Cookies::new(b"session=x")).unwrap()
    };
    let base = json!({ "kind": "flask", "secret": "one" });
    assert_eq!(digest(base.clone()), digest(base.clone()));
    assert_ne!(digest(base.clone()), digest(json!({ "kind": "flask", "secret": "two" })));
    assert_ne!(digest(base), digest(json!({ "kind": "flask", "secret": "one", "max_age": 60 })));
}

#[test]
fn companions_of_a_cookie_are_part_of_the_digest() {
    for (kind, companion) in [
        ("cookie-session", "session.sig=x"),
        ("clerk", "__client_uat=0"),
        ("better-auth", "better-auth.session_data=x"),
        ("laravel", "ABCDEFGHIJKLMNOPQRSTABCDEFGHIJKLMNOPQRST=x"),
        ("auth0", "appSession.0=x"),
    ] {
        let (source, header) = first(kind);
        let more = [&header, "; ".as_bytes(), companion.as_bytes()].concat();
        let digest = |header: &[u8]| source.digest(Cookies::new(header));
        assert_ne!(digest(&more), digest(&header), "{kind}");
    }
}

#[test]
fn the_secure_name_wins_and_a_bad_one_is_not_made_good_by_the_plain_one() {
    let (source, header) = first("next-auth");
    let both = [b"__Secure-next-auth.session-token=forged; ".as_slice(), &header].concat();
    let refused = source.check(Cookies::new(&both), 1_800_000_000).unwrap_err();
    assert_eq!(refused.reason, Reason::Malformed);
}

#[test]
fn fetched_keys_are_used_once_supplied_and_survive_a_bad_document() {
    let vectors = vectors("jwt");
    let vector = vectors.iter().find(|vector| vector["id"] == "jwt/rs256-jwks").unwrap();
    let mut config = vector["config"].clone();
    let document = config.as_object_mut().unwrap().remove("jwks").unwrap().to_string();
    config["jwks_url"] = json!("https://issuer.test/jwks.json");
    let source = compile(&config).ok().unwrap();
    let header = cookie_header(vector);
    let check = || source.check(Cookies::new(&header), 1_800_000_000);
    let digest = || source.digest(Cookies::new(&header));

    assert_eq!(check().unwrap_err().reason, Reason::Unavailable);
    let (keys, before) = (source.remote_keys().unwrap(), digest());
    assert_eq!(keys.url(), "https://issuer.test/jwks.json");
    assert!(keys.supply(b"<html>").is_err() && !keys.is_supplied());
    keys.supply(document.as_bytes()).unwrap();
    assert_eq!(check().unwrap().user_id(), "u_8006");
    assert_ne!(digest(), before, "what was remembered under other keys does not count");
    assert!(keys.supply(b"{\"keys\":[]}").is_err());
    assert!(check().is_ok());
}

#[test]
fn an_identity_ends_with_its_session() {
    let identity = Identity::assumed("u".to_owned(), json!({}), Some(100));
    assert!(identity.is_valid_at(99) && !identity.is_valid_at(100));
    assert!(Identity::assumed("u".to_owned(), json!({}), None).is_valid_at(u64::MAX));
}

#[test]
fn a_session_in_a_store_is_asked_for_and_an_enormous_one_is_not_read() {
    let (source, header) = first("express-session");
    let refused = source.check(Cookies::new(&header), 0).unwrap_err();
    assert_eq!(refused.reason, Reason::Unavailable);
    let Ok(Check::Ask(question)) = source.look(Cookies::new(&header), 0) else { panic!() };
    assert!(matches!(&question.query, Query::Redis { key } if key.starts_with("sess:")));
    let value = vec![b'['; 2 * 1024 * 1024];
    let answer = StoreAnswer::Redis { value, seconds_left: None };
    let Err(refused) = source.answered(&question, Some(answer), 0) else { panic!() };
    assert_eq!(refused.reason, Reason::Oversized);
}

#[test]
fn no_changed_byte_in_a_header_makes_another_user_and_no_refusal_repeats_it() {
    let mut state = 13;
    for kind in kinds().chain(["bearer"]) {
        let signed = |vector: &&Json| !headers_of(vector).is_empty() && kind != "trusted-header";
        for vector in vectors(kind).iter().filter(signed) {
            let source = compile(&vector["config"]).ok().unwrap();
            let now = vector["now"].as_u64().unwrap();
            for _ in 0..60 {
                let mut headers = headers_of(vector);
                let value = headers.values_mut().next().unwrap();
                let mut bytes = value.as_bytes().to_vec();
                let at = next(&mut state) % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(next(&mut state) % 256).unwrap();
                }
                let Ok(changed) = HeaderValue::from_bytes(&bytes) else { continue };
                *value = changed;
                let cookies = Cookies::new(b"").with_headers(SentHeaders::new(&headers, true));
                match verdict(&source, vector, cookies, now) {
                    Ok(found) => {
                        let id = &vector["id"];
                        assert_eq!(vector["expect"]["user_id"], found.user_id(), "{id}");
                    }
                    Err(rejected) => {
                        let said =
                            format!("{} {:?}", rejected.detail, source.hints(cookies, &rejected));
                        let told = bytes.windows(16).filter_map(|it| std::str::from_utf8(it).ok());
                        assert!(told.into_iter().all(|piece| !said.contains(piece)), "{said}");
                    }
                }
            }
        }
    }
}

#[test]
fn cookies_of_one_renewed_session_are_one_only_where_it_has_an_id() {
    let same = |kind: &str, session: Json| {
        let source = first(kind).0;
        let handle = |end| {
            let identity = Identity::assumed("u1".to_owned(), session.clone(), Some(end));
            source.handle(Cookies::new(b""), &identity, 0)
        };
        handle(1_800_000_000) == handle(1_800_003_600)
    };
    assert!(same("auth0", json!({ "internal": { "sid": "s1" } })));
    assert!(same("supabase", json!({ "session_id": "s1" })));
    assert!(same("clerk", json!({ "sid": "s1" })));
    for kind in ["next-auth", "authjs", "iron-session", "h3-session", "cookie-session"] {
        assert!(!same(kind, json!({ "sid": "s1", "session_id": "s1" })), "{kind}");
    }
}

#[test]
fn cookies_that_hold_the_id_of_their_session_tell_it_once_opened() {
    for kind in ["h3-session", "laravel", "rails", "yar"] {
        let mut told = 0;
        for vector in vectors(kind) {
            let source = compile(&vector["config"]).ok().unwrap();
            let header = cookie_header(&vector);
            let (cookies, now) = (Cookies::new(&header), vector["now"].as_u64().unwrap());
            let Ok(Check::Known(identity)) = source.look(cookies, now) else { continue };
            let Some(handle) = source.id_handle(&identity) else { continue };
            assert!(handle.len() > "id ".len() && handle.starts_with(b"id "));
            told += 1;
        }
        assert!(told > 0, "{kind}");
    }
}
