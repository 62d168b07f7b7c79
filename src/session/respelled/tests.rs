//! Sessions that the frameworks' own libraries wrote, and their other spellings.

use serde_json::{Value as Json, json};

use super::*;
use crate::base::text::percent_decode;
use crate::session::codec::base64;
use crate::session::codec::spelling::{
    boxed, envelope, padded_token, seal, signed_id, signed_text, timed, token, unknown,
};
use crate::session::tests::vectors::{compile, cookie_header, vectors};

/// Kinds of which nothing is known to be as written: an id alone, or an envelope around a
/// token with another credential beside it.
const UNKNOWN: [&str; 4] = ["introspect", "lookup", "supabase", "trusted-header"];
/// Kinds whose libraries compare texts, and so take no other spelling.
const COMPARED: [&str; 4] = ["cookie-session", "express-session", "koa-session", "signed-cookie"];
/// Kinds whose parts are all base64url.
const TOKENS: [&str; 7] =
    ["auth0", "authjs", "clerk", "firebase", "hono-session", "jwt", "next-auth"];

/// The accepted vectors of all kinds whose notation is known.
fn written() -> impl Iterator<Item = (String, Json, SessionReader, String)> {
    let kinds = crate::session::format::names().filter(|kind| !UNKNOWN.contains(kind));
    let vectors = kinds.flat_map(vectors).filter(|it| it["expect"]["outcome"] == "accept");
    vectors.filter_map(|vector| {
        let header = String::from_utf8(cookie_header(&vector)).ok()?;
        let source = compile(&vector["config"]).unwrap();
        let id = vector["id"].as_str().unwrap().to_owned();
        let has_header = vector["headers"].as_array().is_some_and(|headers| !headers.is_empty());
        // Stretching a secret takes seconds.
        let is_slow =
            source.kind() == "fastify-secure-session" && vector["config"]["keys"].is_null();
        (!has_header && !is_slow).then_some((id, vector, source, header))
    })
}

fn now(vector: &Json) -> u64 {
    vector["now"].as_u64().unwrap()
}

/// Whether the cookies go on to the app although something is over, and are not judged.
fn passes(source: &SessionReader, header: &str, now: u64) -> bool {
    let cookies = Cookies::new(header.as_bytes());
    match source.look(cookies, now) {
        Ok(_) => false,
        Err(why) => !why.reason.tells_whose() && !source.may_be_respelled(cookies, &why, now),
    }
}

#[test]
fn what_a_framework_has_written_is_as_written() {
    let mut seen = std::collections::BTreeMap::<String, (usize, Vec<String>)>::new();
    for (id, _, source, header) in written() {
        let (all, others) = seen.entry(source.kind().to_owned()).or_default();
        *all += 1;
        if !source.is_as_written(Cookies::new(header.as_bytes())) {
            others.push(id);
        }
    }
    // Some are in wrappings of the app's own, or in pieces.
    for (kind, (all, others)) in seen {
        println!("{kind}: {} of {all} not as written: {others:?}", others.len());
        assert!(others.len() * 2 <= all, "{kind}: {others:?}");
    }
}

#[test]
fn no_other_spelling_of_a_session_is_taken_for_one_of_another_key() {
    let (mut count, mut failures) = (0, Vec::new());
    for (id, vector, source, header) in written() {
        let now = now(&vector);
        // An id without a signature is the store's affair.
        if source.store().is_some() || COMPARED.contains(&source.kind()) {
            continue;
        }
        let pairs: Vec<&str> = header.split("; ").collect();
        for (at, pair) in pairs.iter().enumerate() {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let jar = &source.compiled.jar;
            let is_chunk =
                jar.is_own(name.as_bytes()) && !jar.names().iter().any(|own| own == name);
            if is_chunk || !source.reads_cookie(name.as_bytes()) {
                continue;
            }
            for respelled in respelled(source.kind(), value) {
                let mut sent = pairs.clone();
                let pair = format!("{name}={respelled}");
                *sent.get_mut(at).unwrap() = &pair;
                let sent = sent.join("; ");
                if passes(&source, &sent, now) {
                    failures.push(format!("{id}: {name}: {respelled:?} for {value:?}"));
                }
                count += 1;
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 1_000, "{count}");
}

#[test]
fn a_session_of_another_secret_is_no_other_spelling() {
    let mut kinds = std::collections::BTreeSet::new();
    for (id, vector, source, header) in written() {
        if !source.is_as_written(Cookies::new(header.as_bytes())) {
            continue;
        }
        let mut config = vector["config"].clone();
        let members = config.as_object_mut().unwrap();
        if members.remove("secret").is_none() && members.remove("secrets").is_none() {
            continue;
        }
        let other = match source.kind() {
            "laravel" => "base64:b3RoZXIgc2VjcmV0IG9mIDMyIGJ5dGVzLCBzdXJlbHk=",
            _ => "another secret of more than 64 bytes, which no vector was ever signed with",
        };
        members.insert("secret".to_owned(), json!(other));
        let Ok(other) = compile(&config) else { continue };
        let cookies = Cookies::new(header.as_bytes());
        let Err(why) = other.look(cookies, now(&vector)) else { continue };
        assert!(!other.may_be_respelled(cookies, &why, now(&vector)), "{id}: {why:?}");
        kinds.insert(source.kind());
    }
    assert!(kinds.len() >= 14, "{kinds:?}");
}

#[test]
fn an_envelope_is_as_written_in_one_order_only() {
    let (iv, sealed) = ("AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAA/Aw==");
    let mac = "0".repeat(64);
    let escaped = sealed.replace('/', "\\/");
    let written = |text: String| envelope(base64::encode(text).as_bytes());
    for (text, expected) in [
        (format!(r#"{{"iv":"{iv}","value":"{sealed}","mac":"{mac}"}}"#), true),
        (format!(r#"{{"iv":"{iv}","value":"{escaped}","mac":"{mac}","tag":""}}"#), true),
        (format!(r#"{{"iv":"{iv}","value":"{sealed}","mac":"{mac}","x":1}}"#), false),
        (format!(r#"{{"iv":"{iv}", "value":"{sealed}","mac":"{mac}"}}"#), false),
        (format!(r#"{{"value":"{sealed}","iv":"{iv}","mac":"{mac}"}}"#), false),
        (format!(r#"{{"iv":"{iv}","iv":"{iv}","value":"{sealed}","mac":"{mac}"}}"#), false),
        (format!(r#"{{"iv":"{iv}","value":"\u0041{sealed}","mac":"{mac}"}}"#), false),
        (format!(r#"{{"iv":"{iv}","value":"{sealed}","mac":"{}"}}"#, "A".repeat(64)), false),
        (format!(r#"{{"iv":"{iv}","value":"{sealed}","mac":"","tag":"AAAA"}}"#), false),
    ] {
        assert_eq!(written(text.clone()), expected, "{text}");
    }
}

#[test]
fn a_value_without_the_parts_of_a_notation_is_another_ones() {
    for text in ["sk_live_1234", "2f1c-uuid", "abc+/==", "deleted"] {
        for has_form in [token, timed, signed_id, signed_text, boxed, seal] {
            assert!(has_form(text.as_bytes()), "{text}");
        }
    }
    for text in ["a.b.c.d", "e%2Eb%2Ec", "\\145yJ", "a b", "\"a\""] {
        for has_form in [token, timed, signed_text, unknown] {
            assert!(!has_form(text.as_bytes()), "{text}");
        }
    }
    assert!(!token(b"eyJhbGciOiJub25lIn0=.e30.AA"));
    assert!(padded_token(b"eyJhbGciOiJub25lIn0=.e30=.AAAA"));
    // A library that takes a short tag reads the same session.
    let sealed = |tag: &str| format!("eyJhIjoxfQ..AAAAAAAAAAAAAAAA.AAAA.{tag}");
    assert!(token(sealed("AAAAAAAAAAAAAAAAAAAAAA").as_bytes()));
    assert!(!token(sealed("AAAAAAAAAAAAAAAA").as_bytes()));
}

/// Other spellings that some library decodes to the same.
fn respelled(kind: &str, raw: &str) -> Vec<String> {
    let is_escaped = raw.contains('%');
    let text = String::from_utf8(percent_decode(raw.as_bytes()).into_owned()).unwrap();
    let text = if is_escaped { text } else { raw.to_owned() };
    let found = respellings(&text, kind);
    let found = found.into_iter().filter(|other| *other != text);
    found.map(|other| if is_escaped { escaped(&other) } else { other }).collect()
}

fn escaped(text: &str) -> String {
    let escape = |b: u8| match b {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
            char::from(b).to_string()
        }
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn respellings(text: &str, kind: &str) -> Vec<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let is_letter =
        |b: &u8| b.is_ascii_alphanumeric() || b"+/_".contains(b) || (*b == b'-' && kind != "rails");
    let ends_here = |at: usize| bytes.get(at).is_none_or(|b| !is_letter(b));
    let ends = (1..=bytes.len()).filter(|&at| is_letter(&bytes[at - 1]) && ends_here(at));
    let mut ends: Vec<usize> = ends.collect();
    if !TOKENS.contains(&kind) {
        ends = ends.into_iter().rev().take(1).collect();
    }
    let part = |range| text.get::<std::ops::Range<usize>>(range).unwrap();
    let with =
        |at: usize, until: usize, new: &str| [part(0..at), new, part(until..text.len())].concat();
    for end in ends {
        let length = bytes[..end].iter().rev().take_while(|b| is_letter(b)).count();
        for junk in ["=", "==", "*", "!", " ", "\n", "\t", "%", "%3D", "%0A", "\\", ",", "\u{e9}"] {
            found.push(with(end, end, junk));
        }
        if length > 4 {
            for junk in ["*", "!", " ", "\n", "%", "\\", "@"] {
                found.push(with(end - 3, end - 3, junk));
            }
        }
        let last = LETTERS.iter().position(|&b| b == bytes[end - 1]);
        let spare: &[usize] = match length % 4 {
            0 => {
                found.push(with(end, end, "A"));
                &[]
            }
            2 => &[1, 2, 4, 8],
            3 => &[1, 2],
            _ => &[],
        };
        for bit in spare {
            if let Some(other) = last.and_then(|at| LETTERS.get(at ^ bit)) {
                found.push(with(end - 1, end, &char::from(*other).to_string()));
            }
        }
    }
    let last = text.rfind(['.', ':', '*', ';']).map_or(0, |at| at + 1);
    let (start, part) = text.split_at(last);
    found.push(format!("{start}{}", part.replace('-', "+").replace('_', "/")));
    if kind != "rails" {
        found.push(format!("{start}{}", part.replace('+', "-").replace('/', "_")));
    }
    let (first, rest) = text.split_at(1);
    let code = bytes[0];
    found.extend([
        format!("\"\\{code:03o}{rest}\""),
        format!("\"\\{first}{rest}\""),
        format!("%{code:02x}{rest}"),
        format!("%25{code:02x}{rest}"),
    ]);
    let hex = bytes.iter().rev().take_while(|b| b.is_ascii_hexdigit()).count();
    if hex >= 40 {
        let (start, mac) = text.split_at(text.len() - hex);
        found.push(format!("{start}{}", mac.to_ascii_uppercase()));
    }
    found
}
