//! Near misses, for `portcullis session`: likely causes of a refused cookie.
//!
//! Hints name cookies and kinds, never values.

use super::{bare_value, cookie_parts, missing_header};
use crate::base::secret::Secret;
use crate::base::text::percent_decode;
use crate::document::{near, shown};
use crate::session::cookie_names::{CookieNames, SentCookies};
use crate::session::cookie_pattern::CookiePattern;
use crate::session::format::{Compiled, SessionKind};
use crate::session::rejected::{Reason, Rejected};
use crate::session::sniff;
use crate::session::store::Engine;
use crate::session::value_notation::{Fit, Look, Sample};

/// Enough to name every cookie of an ordinary site.
const MAX_NAMES: usize = 12;
/// The longest names in use hold a project's id.
const MAX_NAME: usize = 100;
/// The rest would be guesses.
const MAX_HINTS: usize = 5;
/// The reasons why a cookie cannot be read at all.
const UNREAD: [Reason; 3] = [Reason::AlgNotAllowed, Reason::BadSignature, Reason::Malformed];

/// A refused request, and the source that refused it.
pub(in crate::session) struct RefusedSession<'r> {
    pub kind: &'static SessionKind,
    pub sent: SentCookies<'r>,
    pub rejected: &'r Rejected,
    /// The app itself is asked who the user is.
    pub asks_app: bool,
    /// The store that the settings name.
    pub store: Option<Engine>,
    /// The cookie itself is refused, not the content of a store.
    pub is_of_cookie: bool,
    /// The kind's own advice.
    pub own: Vec<String>,
}

impl<'r> RefusedSession<'r> {
    pub(in crate::session) fn new(
        kind: &'static SessionKind,
        compiled: &Compiled,
        (sent, rejected): (SentCookies<'r>, &'r Rejected),
        secrets: &[Secret],
    ) -> Self {
        // The cookie is not to blame for content that a store, or the app, has sent.
        let is_of_cookie = match compiled.verifier.open(sent, 0) {
            Ok(_) => false,
            Err(why) => why.reason == rejected.reason && why.detail == rejected.detail,
        };
        Self {
            kind,
            sent,
            rejected,
            asks_app: compiled.app_url.is_some(),
            store: compiled.store.as_ref().map(|store| store.engine),
            is_of_cookie,
            own: compiled.verifier.advice(sent, rejected, secrets),
        }
    }
}

/// Likely causes of the refusal, the likeliest first. None is given that cannot help.
pub(in crate::session) fn hints(refusal: &RefusedSession<'_>) -> Vec<String> {
    let mut hints = if let Some(hint) = of_another_kind(refusal) {
        vec![hint]
    } else if !refusal.own.is_empty() {
        refusal.own.clone()
    } else if refusal.rejected.reason == Reason::Missing {
        missing(refusal)
    } else if refusal.is_of_cookie {
        unreadable(refusal)
    } else {
        unreadable_content(refusal)
    };
    hints.extend(advice(refusal).map(str::to_owned));
    hints.extend(cookie_parts::sent_twice(refusal.sent));
    hints
}

/// The store's content does not verify, or is in another notation.
fn unreadable_content(refusal: &RefusedSession<'_>) -> Vec<String> {
    let RefusedSession { kind, rejected, .. } = refusal;
    match rejected.reason {
        Reason::BadSignature => vec![format!(
            "the id is known, but what the store holds is not signed with this {}{}",
            kind.hints.key, kind.hints.also_check
        )],
        Reason::Malformed if refusal.asks_app => vec![
            "`url` must answer with JSON that is not compressed (no `Content-Encoding`)".to_owned(),
        ],
        Reason::Malformed if rejected.detail.contains("it looks like") => vec![
            "the setting that names the format of stored sessions (`format`, `serializer`, \
             `serialization`, `compressor`) is not the app's"
                .to_owned(),
        ],
        _ => Vec::new(),
    }
}

/// Advice for a cookie that was read and still refused.
fn advice(refusal: &RefusedSession<'_>) -> Option<&'static str> {
    match refusal.rejected.reason {
        Reason::Expired => Some(
            "the app renews its session when the user next opens a page; the gateway never does",
        ),
        Reason::NotYetValid => Some("compare the clock of this machine with that of the app"),
        Reason::NoUser if refusal.rejected.detail.contains("; it has ") => Some(
            "signed out; or, if one of the members named above is the user, `user_id` points to \
             the wrong place",
        ),
        Reason::NoUser if refusal.rejected.detail.contains("it is empty") => {
            Some("signed out, or not signed in yet")
        }
        Reason::StoreMiss if refusal.asks_app => Some(
            "the app itself does not know this session; `url` must be a page that answers 200 \
             with JSON to a user who is signed in",
        ),
        Reason::StoreMiss => Some(match refusal.store? {
            Engine::File => {
                "if the user is signed in, the app keeps its sessions elsewhere: compare `path` in \
                 [session.store], and `prefix` where the kind has one, with the app's folder and \
                 the names of its files"
            }
            Engine::Redis | Engine::Sql => {
                "if the user is signed in, the app keeps its sessions elsewhere: compare the \
                 prefix, database number or table in [session.store] with the app's"
            }
        }),
        Reason::UnknownKid => Some(
            "the token is another issuer's, or its issuer changed keys since they were set here",
        ),
        Reason::AlgNotAllowed
        | Reason::Ambiguous
        | Reason::BadSignature
        | Reason::Malformed
        | Reason::Missing
        | Reason::MissingExp
        | Reason::NoUser
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

/// The cookie is that of a kind which alone writes such a value.
fn of_another_kind(refusal: &RefusedSession<'_>) -> Option<String> {
    let RefusedSession { kind, sent, rejected, .. } = *refusal;
    let is_unread = refusal.is_of_cookie && UNREAD.contains(&rejected.reason);
    // What is left of a value says nothing of the whole.
    if !is_unread || cookie_parts::missing_part(sent).is_some() {
        return None;
    }
    let found = sent.find_optional().ok()??;
    let value = percent_decode(&found.value);
    let shape = sniff::of_value(&value)?;
    let is_anothers = shape.is_sure && !shape.is_of(kind);
    is_anothers.then(|| format!("the value looks like {}{}", shape.looks, shape.advice()))
}

/// The cookie is missing: was it sent under another name?
fn missing(refusal: &RefusedSession<'_>) -> Vec<String> {
    let RefusedSession { kind, sent: SentCookies { jar, cookies }, .. } = *refusal;
    // A cookie that is read already is not the missing one.
    let sent: Vec<_> = cookies
        .iter()
        .filter(|(name, _)| !is_known(jar, name))
        .map(|(name, value)| (String::from_utf8_lossy(name), value))
        .collect();
    if let Some(place) = jar.header() {
        let hint = missing_header::hint(place, refusal.sent);
        if hint.is_some() || sent.is_empty() {
            return hint.into_iter().collect();
        }
    }
    if sent.is_empty() && cookies.iter().next().is_none() {
        return vec!["the request has no cookies at all".to_owned()];
    }
    let is_there = |own: &String| cookies.iter().any(|(name, _)| name == own.as_bytes());
    if jar.names().iter().any(is_there) {
        // The refusal names the missing part.
        return Vec::new();
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

/// A hint about a cookie that was sent, if it may be a session.
fn named_otherwise(
    kind: &SessionKind,
    jar: &CookieNames,
    name: &str,
    value: &[u8],
) -> Option<String> {
    // Laravel's cookie driver names a cookie after each session's id.
    let is_id = name.len() == 40 && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if is_id {
        return None;
    }
    if let Some(hint) = jar.names().iter().find_map(|own| misspelt(own, name)) {
        return Some(hint);
    }
    let value = percent_decode(value);
    let shape = sniff::of_value(&value);
    let usual = sniff::kind_of_name(name);
    // Whose cookie it is, the settings, the name and the value may tell.
    let of_value = shape.iter().flat_map(|shape| &shape.kinds).copied();
    let mut may_be_of = std::iter::once(kind).chain(usual).chain(of_value);
    if may_be_of.any(|kind| sniff::is_beside_session(name, kind)) {
        return None;
    }
    if let Some(other) = usual.filter(|other| other.name != kind.name) {
        let looks = shape.filter(|shape| shape.is_of(other));
        let looks = looks.map(|shape| format!("; it looks like {}", shape.looks));
        let looks = looks.unwrap_or_default();
        let (name, other) = (quoted(name), other.name);
        return Some(format!("cookie {name} is what kind = {other:?} reads{looks}"));
    }
    if is_cache(name) {
        return Some(format!(
            "cookie {} is the app's cache of a session; only the cookie with its token says which \
             session",
            quoted(name)
        ));
    }
    let own = usual.is_some() || shape.as_ref().is_some_and(|shape| shape.is_of(kind));
    let meant = jar.names().iter().any(|own| near(own, name));
    if meant && (own || shape.is_none()) {
        let write = name_it(name);
        return Some(format!("did you mean cookie `{}`? {write}", name.escape_debug()));
    }
    let shape = shape?;
    let looks = shape.looks;
    Some(if own {
        // What to write cannot be kept back.
        let pattern = CookiePattern::of_amplify(name);
        let shown = quoted(pattern.as_deref().unwrap_or(name));
        format!("cookie {shown} looks like {looks}; {}", name_it(name))
    } else {
        format!("cookie {} looks like {looks}{}", shown(name), shape.advice())
    })
}

/// A name as sent, unless it is longer than any app's.
fn quoted(name: &str) -> String {
    match name.chars().count() {
        0..=MAX_NAME => format!("`{}`", name.escape_debug()),
        length => format!("with a name of {length} characters"),
    }
}

fn name_it(name: &str) -> String {
    match CookiePattern::of_amplify(name) {
        Some(pattern) => format!("write cookie = {pattern:?}, which is that of every user"),
        None => format!("write cookie = {name:?}"),
    }
}

/// A cookie with almost one of our names.
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
        return Some(format!("cookie `{name}` differs only in upper and lower case; {write}"));
    }
    if plain(sent).is_some_and(|name| name == own) || plain(own).is_some_and(|name| name == sent) {
        return Some(format!("cookie `{name}` differs only in its prefix; {write}"));
    }
    cookie_parts::part_of(own, sent)
}

/// The cookie was sent but does not open: is it whole, and of this kind?
fn unreadable(refusal: &RefusedSession<'_>) -> Vec<String> {
    let RefusedSession { kind, sent, rejected, .. } = *refusal;
    if !UNREAD.contains(&rejected.reason) {
        return Vec::new();
    }
    if let Some(gap) = cookie_parts::missing_part(sent) {
        return vec![gap];
    }
    let Ok(Some(found)) = sent.find_optional() else { return Vec::new() };
    let header = sent.jar.header();
    if let Some(hint) = header.and_then(|it| missing_header::other_scheme(it, &found.value)) {
        return vec![hint];
    }
    let value = percent_decode(&found.value);
    let Some(shape) = sniff::of_value(&value) else {
        let is_settled = refusal.store.is_some() || refusal.asks_app || is_advised(rejected);
        let about = (!is_settled).then(|| bare_value::hint(kind, found.name, &value)).flatten();
        // The session may be one of them, and this a cookie of another use.
        return under_other_names(refusal).into_iter().chain(about).collect();
    };
    let own = Sample::new(&value).and_then(|sample| (kind.hints.look)(&sample));
    if own.is_some_and(|own| own.fit == Fit::Unsigned) {
        let signature = format!("{}.sig", found.name);
        let is_signed = sent.cookies.iter().any(|(name, _)| name == signature.as_bytes());
        let looks = || format!("the value looks like {}{}", shape.looks, shape.advice());
        return Vec::from_iter(is_signed.then(looks));
    }
    // A token of any issuer looks a little like one of every vendor.
    let is_meant = |own: &Look| own.fit != Fit::Remote || rejected.reason != Reason::AlgNotAllowed;
    let Some(own) = own.filter(|own| shape.is_of(kind) && is_meant(own)) else {
        return vec![format!("the value looks like {}{}", shape.looks, shape.advice())];
    };
    if rejected.reason == Reason::BadSignature {
        // A refusal that names what is missing needs no other cause.
        let is_explained = rejected.detail.ends_with("is missing");
        let also = own.also_check.unwrap_or(kind.hints.also_check);
        let is_public = rejected.detail.contains("public key");
        let key = if is_public { "public key" } else { kind.hints.key };
        return Vec::from_iter((!is_explained).then(|| wrong_key(key, also)));
    }
    // Where a kind has several forms, the refusal says what to write for this one.
    if rejected.reason == Reason::AlgNotAllowed || is_advised(rejected) {
        return Vec::new();
    }
    // What was authentic is whole, and what cannot be decoded was no session of the app's.
    let detail = &rejected.detail;
    let is_content = ["the session", "payload"].iter().any(|word| detail.contains(word))
        // A member, which was read.
        || detail.starts_with('`');
    if is_content {
        return Vec::new();
    }
    let damaged = "the value has the right form but is damaged: cut, or not all of its parts were \
                   sent (browsers drop cookies of more than 4096 bytes)";
    vec![damaged.to_owned()]
}

/// Other cookies that were sent and look like sessions.
fn under_other_names(refusal: &RefusedSession<'_>) -> Vec<String> {
    let RefusedSession { kind, sent: SentCookies { jar, cookies }, .. } = *refusal;
    let others = cookies.iter().filter(|(name, _)| !jar.reads_cookie(name));
    let hint = |(name, value): (&[u8], &[u8])| {
        named_otherwise(kind, jar, &String::from_utf8_lossy(name), value)
    };
    others.filter_map(hint).take(MAX_HINTS).collect()
}

/// Whether the source reads a cookie of this name whole, or beside the session's own.
fn is_known(jar: &CookieNames, name: &[u8]) -> bool {
    let is_whole = jar.names().iter().any(|own| own.as_bytes() == name);
    let is_beside = jar.reads_cookie(name) && !jar.is_own(name);
    is_whole || (is_beside && !is_cache(&String::from_utf8_lossy(name)))
}

/// Whether better-auth caches a session in a cookie of this name.
fn is_cache(name: &str) -> bool {
    name.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit()).ends_with("session_data")
}

/// Whether the refusal itself says what to write.
fn is_advised(rejected: &Rejected) -> bool {
    ["leave out", "write "].iter().any(|word| rejected.detail.contains(word))
}

/// The form is right and the signature wrong.
fn wrong_key(key: &str, also_check: &str) -> String {
    format!(
        "the value has the right form, so the {key} is probably not the one the app uses{also_check}"
    )
}
