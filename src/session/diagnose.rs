//! Near misses, for `portcullis session`: what an operator should look at when a
//! cookie is refused.
//!
//! Hints name cookies and kinds, never values.

use std::collections::BTreeSet;

use super::cookie_names::Jar;
use super::sniff;
use crate::base::text::percent_decode;
use crate::document::{near, shown};
use crate::session::{Cookies, Reason, Rejected};

/// Enough to name every cookie of an ordinary site.
const MAX_NAMES: usize = 12;
/// Of the names that apps give, the longest are those with a project's id in them.
const MAX_NAME: usize = 100;
/// The rest would be guesses.
const MAX_HINTS: usize = 5;

/// What would explain the refusal, the likeliest first.
pub(super) fn hints(
    kind: &str,
    jar: &Jar,
    cookies: Cookies<'_>,
    rejected: &Rejected,
) -> Vec<String> {
    let mut hints = if rejected.reason == Reason::Missing {
        missing(kind, jar, cookies)
    } else {
        unreadable(kind, jar, cookies, rejected)
    };
    hints.extend(advice(kind, rejected.reason).map(str::to_owned));
    hints.extend(sent_twice(jar, cookies));
    hints
}

/// What to look at when a cookie was read and still refused.
fn advice(kind: &str, reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::Expired => Some(
            "the app renews its session when the user next opens a page; the gateway never does",
        ),
        Reason::NotYetValid => Some("compare the clock of this machine with that of the app"),
        Reason::NoUser => Some(
            "signed out; or, if one of the members named above is the user, `user_id` points to \
             the wrong place",
        ),
        Reason::StoreMiss if kind == "introspect" => Some(
            "the app itself does not know this session; `url` must be a page that answers 200 \
             with JSON to whoever is signed in",
        ),
        Reason::StoreMiss => Some(
            "if the user is signed in, the app keeps its sessions elsewhere: compare the prefix, \
             database number or table in [session.store] with the app's",
        ),
        Reason::UnknownKid => Some(
            "the token is another issuer's, or its issuer changed keys since they were set here",
        ),
        Reason::AlgNotAllowed
        | Reason::Ambiguous
        | Reason::BadSignature
        | Reason::Malformed
        | Reason::Missing
        | Reason::MissingExp
        | Reason::Oversized
        | Reason::SignedOut
        | Reason::TokenMismatch
        | Reason::Unavailable
        | Reason::UnknownCrit
        | Reason::UnsupportedSerializer
        | Reason::WrongAudience
        | Reason::WrongIssuer
        | Reason::WrongPurpose
        | Reason::WrongVersion => None,
    }
}

/// The cookie is not there: is it there under another name?
fn missing(kind: &str, jar: &Jar, cookies: Cookies<'_>) -> Vec<String> {
    let sent: Vec<_> =
        cookies.iter().map(|(name, value)| (String::from_utf8_lossy(name), value)).collect();
    if sent.is_empty() {
        return vec!["the request has no cookies at all".to_owned()];
    }
    let mut hints: Vec<_> = sent
        .iter()
        .filter_map(|(name, value)| named_otherwise(kind, jar, name, value))
        .take(MAX_HINTS)
        .collect();
    if hints.is_empty() {
        let names: Vec<_> = sent.iter().take(MAX_NAMES).map(|(name, _)| shown(name)).collect();
        hints.push(format!("cookies that were sent: {}", names.join(", ")));
    }
    hints
}

/// What a cookie that was sent may be, if it may be a session.
fn named_otherwise(kind: &str, jar: &Jar, name: &str, value: &[u8]) -> Option<String> {
    if let Some(hint) = jar.names().iter().find_map(|own| misspelt(own, name)) {
        return Some(hint);
    }
    let shape = sniff::of_value(&percent_decode(value));
    let usual = sniff::kind_of_name(name);
    if let Some(other) = usual.filter(|other| *other != kind) {
        let looks = shape.filter(|shape| shape.kinds.contains(&other));
        let looks = looks.map(|shape| format!("; it looks like {}", shape.looks));
        let looks = looks.unwrap_or_default();
        return Some(format!("cookie {} is what kind = {other:?} reads{looks}", quoted(name)));
    }
    if name.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit()).ends_with("session_data") {
        return Some(format!(
            "cookie {} is what the app caches of a session; which session, only the cookie with \
             its token tells",
            quoted(name)
        ));
    }
    let own = usual.is_some() || shape.as_ref().is_some_and(|shape| shape.kinds.contains(&kind));
    let meant = jar.names().iter().any(|own| near(own, name));
    if meant && (own || shape.is_none()) {
        let write = name_it(name);
        return Some(format!("did you mean cookie `{}`? {write}", name.escape_debug()));
    }
    let (shape, shown) = (shape?, shown(name));
    let looks = shape.looks;
    Some(match shape.kinds.first() {
        _ if own => format!("cookie {shown} looks like {looks}; {}", name_it(name)),
        Some(other) => format!("cookie {shown} looks like {looks}: kind = {other:?}"),
        None => format!("cookie {shown} looks like {looks}"),
    })
}

/// A name as it was sent, unless it is longer than any that apps give.
fn quoted(name: &str) -> String {
    match name.chars().count() {
        0..=MAX_NAME => format!("`{}`", name.escape_debug()),
        length => format!("with a name of {length} characters"),
    }
}

fn name_it(name: &str) -> String {
    format!("write cookie = {name:?}")
}

/// How a cookie's name misses one of ours by little that is easily told.
fn misspelt(own: &str, sent: &str) -> Option<String> {
    let plain = |name: &str| {
        ["__Secure-", "__Host-"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .map(str::to_owned)
    };
    let write = name_it(sent);
    let name = sent.escape_debug();
    if sent.eq_ignore_ascii_case(own) {
        return Some(format!("cookie `{name}` differs in upper and lower case only; {write}"));
    }
    if plain(sent).is_some_and(|name| name == own) || plain(own).is_some_and(|name| name == sent) {
        return Some(format!("cookie `{name}` differs in its prefix only; {write}"));
    }
    let part = sent.strip_prefix(own).map(|rest| rest.trim_start_matches(['.', '_']));
    let is_part = part.is_some_and(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()));
    is_part.then(|| format!("cookie `{name}` is a part of it, but the first part (0) is missing"))
}

/// The cookie is there but does not open: is it whole, and is it of this kind?
fn unreadable(kind: &str, jar: &Jar, cookies: Cookies<'_>, rejected: &Rejected) -> Vec<String> {
    let unread = [Reason::AlgNotAllowed, Reason::BadSignature, Reason::Malformed];
    if !unread.contains(&rejected.reason) {
        return Vec::new();
    }
    if let Some(gap) = missing_part(jar, cookies) {
        return vec![gap];
    }
    let Ok(Some(found)) = jar.find_optional(cookies) else { return Vec::new() };
    let Some(shape) = sniff::of_value(&percent_decode(&found.value)) else { return Vec::new() };
    let is_unsigned = kind == "react-router" && shape.looks.starts_with("JSON");
    if !shape.kinds.contains(&kind) && !is_unsigned {
        let kind = shape.kinds.first().map(|kind| format!(": kind = {kind:?}"));
        return vec![format!("the value looks like {}{}", shape.looks, kind.unwrap_or_default())];
    }
    if rejected.reason == Reason::BadSignature {
        return Vec::from_iter(wrong_key(kind, shape.looks, found.name, cookies));
    }
    // Where a kind has several forms, the refusal says what to write for this one.
    let advised = ["leave out", "write "].iter().any(|word| rejected.detail.contains(word));
    if rejected.reason == Reason::AlgNotAllowed || advised {
        return Vec::new();
    }
    let damaged = "the value has the right form but is damaged: cut, or not all of its parts were \
                   sent (browsers drop cookies of more than 4096 bytes)";
    vec![damaged.to_owned()]
}

/// The form is right and the signature wrong.
fn wrong_key(kind: &str, looks: &str, name: &str, cookies: Cookies<'_>) -> Option<String> {
    let companion = format!("{name}.sig");
    let is_sent = || cookies.iter().any(|(name, _)| name == companion.as_bytes());
    match kind {
        "cookie-session" | "koa-session" if !is_sent() => return None,
        "react-router" if looks.starts_with("JSON") => return None,
        _ => {}
    }
    let key = if ["clerk", "firebase"].contains(&kind) { "key" } else { "secret" };
    let also = if looks == "a signed Rails cookie" {
        "; or jar = \"signed\" is missing"
    } else {
        also(kind)
    };
    Some(format!(
        "the value has the right form, so the {key} is probably not the one the app uses{also}"
    ))
}

/// What else than the secret a signature depends on.
fn also(kind: &str) -> &'static str {
    match kind {
        "authjs" => "; the key also depends on the name under which the app sets the cookie",
        "cookie-session" | "koa-session" => "; or `digest` is not that of the app's Keygrip",
        "fastify-secure-session" => "; or `salt` is not the app's",
        "flask" => "; or the app is one of Starlette (FastAPI), whose sessions can look the same",
        "starlette" => "; or the app is one of Flask, whose sessions can look the same",
        "iron-session" => "; or `secrets` names it by another id",
        "laravel" => "; or `cipher` is not the app's",
        "plug" => "; or the salt is not the one in the app's endpoint.ex",
        "rails" => "; or `key_digest` is not the app's (left out, both are tried)",
        _ => "",
    }
}

/// Which part of a cookie in parts was not sent, though a later one was.
fn missing_part(jar: &Jar, cookies: Cookies<'_>) -> Option<String> {
    let separator = jar.separator()?;
    jar.names().iter().filter(|own| !cookies.iter().any(|(name, _)| name == own.as_bytes())).find_map(
        |own| {
            let parts: BTreeSet<usize> = cookies
                .iter()
                .filter_map(|(name, _)| std::str::from_utf8(name).ok())
                .filter_map(|name| name.strip_prefix(own.as_str())?.strip_prefix(separator))
                .filter_map(|number| number.parse().ok())
                .collect();
            let gap = (0..).find(|number| !parts.contains(number))?;
            (parts.last()? > &gap).then(|| {
                format!("cookie `{own}` came in parts, and part {gap} (`{own}{separator}{gap}`) is missing")
            })
        },
    )
}

fn sent_twice(jar: &Jar, cookies: Cookies<'_>) -> Option<String> {
    let twice = jar
        .names()
        .iter()
        .find(|own| cookies.iter().filter(|(name, _)| *name == own.as_bytes()).count() > 1)?;
    Some(format!(
        "cookie `{twice}` was sent more than once, usually set for several paths or domains; \
         `duplicate` decides which one counts"
    ))
}
