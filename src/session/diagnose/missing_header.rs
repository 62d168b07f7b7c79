//! Advice on a header that does not hold the token where the settings look for it.

use http::header;

use crate::session::cookie_names::SentCookies;
use crate::session::header::HeaderPlace;

/// A word before a token, longer than any scheme.
const MAX_SCHEME: usize = 32;

/// The next step, if the request has a token in a header.
pub(super) fn hint(place: &HeaderPlace, sent: SentCookies<'_>) -> Option<String> {
    let headers = sent.cookies.headers();
    if let Some(value) = headers.one(place.name()).ok()? {
        return other_scheme(place, value);
    }
    let authorization = headers.one(&header::AUTHORIZATION).ok()??;
    let (scheme, _) = split(authorization)?;
    Some(format!(
        "header `authorization` holds a token behind {scheme:?}; write header = \
         \"authorization\"{}",
        written(scheme)
    ))
}

/// The header was sent, and its token stands behind another word.
pub(super) fn other_scheme(place: &HeaderPlace, value: &[u8]) -> Option<String> {
    let name = place.name();
    match (split(value), place.scheme()) {
        (Some((scheme, _)), Some(own)) if scheme.eq_ignore_ascii_case(own) => None,
        (Some((scheme, _)), Some(_)) => Some(format!(
            "header `{name}` holds a token behind {scheme:?}; write scheme = {scheme:?}"
        )),
        (Some((scheme, _)), None) => {
            Some(format!("the header holds a token behind {scheme:?}; write scheme = {scheme:?}"))
        }
        (None, Some(own)) if is_token(value) => Some(format!(
            "header `{name}` holds a token without a word before it; the client must send \"{own} \" \
             and the token, or use a header of its own, which needs no `scheme`"
        )),
        (None, _) => None,
    }
}

fn written(scheme: &str) -> String {
    let is_usual = scheme.eq_ignore_ascii_case("bearer");
    if is_usual { String::new() } else { format!(" and scheme = {scheme:?}") }
}

/// A word and the signed token behind it.
fn split(value: &[u8]) -> Option<(&str, &str)> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once([' ', '\t'])?;
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let is_scheme = (1..=MAX_SCHEME).contains(&scheme.len()) && scheme.bytes().all(is_word);
    (is_scheme && is_token(token.trim().as_bytes())).then_some((scheme, token))
}

fn is_token(value: &[u8]) -> bool {
    value.starts_with(b"eyJ") && value.iter().filter(|&&b| b == b'.').count() == 2
}
