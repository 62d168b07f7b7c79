//! Near misses, for `portcullis session`: what an operator should look at when a
//! cookie is refused.
//!
//! Hints name cookies and kinds, never values.

use super::cookie::percent_decode;
use super::jar::Jar;
use super::shape;
use super::{Cookies, Reason, Rejected};
use crate::document::{near, shown};

/// Enough to name every cookie of an ordinary site.
const MAX_NAMES: usize = 12;

/// What would explain the refusal, the likeliest first.
pub(super) fn hints(
    kind: &str,
    jar: &Jar,
    cookies: Cookies<'_>,
    rejected: &Rejected,
) -> Vec<String> {
    let mut hints = match rejected.reason {
        Reason::Missing => missing(kind, jar, cookies),
        Reason::AlgNotAllowed | Reason::BadSignature | Reason::Malformed => {
            unreadable(kind, jar, cookies)
        }
        Reason::Expired => vec![
            "the app renews its session when the user next opens a page; the gateway never does"
                .to_owned(),
        ],
        Reason::NoUser => vec![
            "signed out; or, if one of the members named above is the user, `user_id` \
             points to the wrong place"
                .to_owned(),
        ],
        Reason::Ambiguous
        | Reason::MissingExp
        | Reason::NotYetValid
        | Reason::Oversized
        | Reason::SignedOut
        | Reason::StoreMiss
        | Reason::TokenMismatch
        | Reason::Unavailable
        | Reason::UnknownCrit
        | Reason::UnknownKid
        | Reason::UnsupportedSerializer
        | Reason::WrongAudience
        | Reason::WrongIssuer
        | Reason::WrongPurpose
        | Reason::WrongVersion => Vec::new(),
    };
    hints.extend(sent_twice(jar, cookies));
    hints
}

/// The cookie is not there: is it there under another name?
fn missing(kind: &str, jar: &Jar, cookies: Cookies<'_>) -> Vec<String> {
    let sent: Vec<_> =
        cookies.iter().map(|(name, value)| (String::from_utf8_lossy(name), value)).collect();
    if sent.is_empty() {
        return vec!["the request has no cookies at all".to_owned()];
    }
    let mut hints = Vec::new();
    for (name, value) in &sent {
        let own = jar.names().iter().find_map(|own| misspelt(own, name));
        if let Some(hint) = own {
            hints.push(hint);
        } else if let Some(other) = shape::kind_of_name(name).filter(|other| *other != kind) {
            hints.push(format!("cookie `{name}` is what kind = {other:?} reads"));
        } else if let Some(shape) = shape::of_value(&percent_decode(value)) {
            let looks = shape.looks;
            hints.push(format!("cookie {} looks like {looks}", shown(name)));
        }
    }
    if hints.is_empty() {
        let names: Vec<_> = sent.iter().take(MAX_NAMES).map(|(name, _)| shown(name)).collect();
        hints.push(format!("cookies that were sent: {}", names.join(", ")));
    }
    hints
}

/// How a cookie's name misses one of ours.
fn misspelt(own: &str, sent: &str) -> Option<String> {
    let plain = |name: &str| {
        ["__Secure-", "__Host-"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .map(str::to_owned)
    };
    let write = format!("write cookie = {sent:?}");
    let name = sent.escape_debug();
    if sent.eq_ignore_ascii_case(own) {
        return Some(format!("cookie `{name}` differs in upper and lower case only; {write}"));
    }
    if plain(sent).is_some_and(|name| name == own) || plain(own).is_some_and(|name| name == sent) {
        return Some(format!("cookie `{name}` differs in its prefix only; {write}"));
    }
    let part = sent.strip_prefix(own).map(|rest| rest.trim_start_matches(['.', '_']));
    if part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())) {
        return Some(format!("cookie `{name}` is a part of it, but the first part (0) is missing"));
    }
    near(own, sent).then(|| format!("did you mean cookie `{name}`? {write}"))
}

/// The cookie is there but does not open: does it look like another kind's?
fn unreadable(kind: &str, jar: &Jar, cookies: Cookies<'_>) -> Vec<String> {
    let Ok(Some(found)) = jar.find_optional(cookies) else { return Vec::new() };
    match shape::of_value(&found.value) {
        Some(shape) if shape.kind == kind => vec![
            "the value has the right form, so the secret is probably not the one the app uses"
                .to_owned(),
        ],
        Some(shape) => {
            vec![format!("the value looks like {}: kind = {:?}", shape.looks, shape.kind)]
        }
        None => Vec::new(),
    }
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
