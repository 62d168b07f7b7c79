//! A signed token (JWT) as apps put it into a cookie: behind a scheme word, in quotes,
//! inside JSON, with a cookie's own signature behind it.
//!
//! Nothing is verified here. The wrapping that is removed was never part of the token, and
//! only the token's own signature counts.

use std::borrow::Cow;

use serde_json::Value;

use super::{base64, json};
use crate::session::pointer::Pointer;
use crate::session::rejected::Rejected;

/// Most layers around a token: quotes around a scheme word, and both again.
const MAX_LAYERS: usize = 4;

/// The token in a cookie's value: in JSON, if `at` leads to it there.
pub(crate) fn find<'v>(value: &'v [u8], at: Option<&Pointer>) -> Result<Cow<'v, [u8]>, Rejected> {
    let text = std::str::from_utf8(value)
        .map_err(|_| Rejected::malformed("the cookie's value is not text"))?;
    let Some(at) = at else {
        return match bare(text) {
            Cow::Borrowed(token) => no_json(token).map(|token| Cow::Borrowed(token.as_bytes())),
            Cow::Owned(token) => no_json(&token).map(|token| Cow::Owned(token.as_bytes().to_vec())),
        };
    };
    let document = document(text).ok_or_else(|| {
        Rejected::malformed("the cookie does not hold the JSON that `token` points into")
    })?;
    let token = at.find(&document).and_then(Value::as_str).ok_or_else(|| {
        let detail = format!("the cookie's JSON has no string at `{at}`, where `token` points");
        Rejected::malformed(detail)
    })?;
    Ok(Cow::Owned(bare(token).as_bytes().to_vec()))
}

/// A refusal that names the token's place, if the value is JSON with a token inside.
fn no_json(text: &str) -> Result<&str, Rejected> {
    if !["{", "[", "j:{", "s:j:{"].iter().any(|mark| text.starts_with(mark)) {
        return Ok(text);
    }
    let Some(at) = document(text).and_then(|document| place(&document)) else {
        let detail = "the cookie holds JSON without a token in it";
        return Err(Rejected::malformed(detail));
    };
    let detail = format!("the cookie holds JSON with the token inside; write token = {at:?}");
    Err(Rejected::malformed(detail))
}

/// The place in JSON of a text that looks like a signed token: a member of the document,
/// or one level below. A name that says more than access comes last.
pub(crate) fn place(document: &Value) -> Option<String> {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    let members = |value: &Value| -> Vec<(String, Value)> {
        match value {
            Value::Object(members) => {
                members.iter().map(|(name, value)| (escaped(name), value.clone())).collect()
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(at, item)| (at.to_string(), item.clone())).collect()
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => Vec::new(),
        }
    };
    let mut found: Vec<String> = Vec::new();
    for (name, value) in members(document) {
        if is_token(&value) {
            found.push(format!("/{name}"));
        }
        let inner = members(&value).into_iter().filter(|(_, value)| is_token(value));
        found.extend(inner.map(|(inner, _)| format!("/{name}/{inner}")));
    }
    let is_other = |at: &String| at.to_ascii_lowercase().contains("refresh");
    found.iter().find(|at| !is_other(at)).or_else(|| found.first()).cloned()
}

fn is_token(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        let text = bare(text);
        text.starts_with("eyJ") && text.split('.').count() == 3
    })
}

/// JSON as frameworks put it into cookies: plain, after `j:` (Express), or in base64.
fn document(text: &str) -> Option<Value> {
    let text = text.strip_prefix("s:").unwrap_or(text);
    let text = text.strip_prefix("j:").unwrap_or(text);
    // A signature behind it.
    let end = text.rfind(['}', ']', '"']).map_or(text.len(), |at| at + 1);
    let parse = |bytes: &[u8]| json::parse(bytes).ok().filter(|it| it.is_object() || it.is_array());
    parse(text.get(..end)?.as_bytes())
        .or_else(|| parse(&base64::decode(text)?))
        .or_else(|| parse(&base64::url_decode(text)?))
}

/// The token without scheme word, quotes and a cookie's signature.
fn bare(text: &str) -> Cow<'_, str> {
    let mut text = text.trim();
    for _ in 0..MAX_LAYERS {
        let inner = without_quotes(without_scheme(without_mark(text)));
        if inner.len() == text.len() {
            break;
        }
        text = inner;
    }
    Cow::Borrowed(without_signature(text))
}

/// Without Express' marks of signed and of JSON values.
fn without_mark(text: &str) -> &str {
    let text = text.strip_prefix("s:").unwrap_or(text);
    // A token never has a colon; JSON keeps its mark for `document`.
    text.strip_prefix("j:").filter(|rest| rest.starts_with('"')).unwrap_or(text)
}

/// Without `Bearer` or another word, and the blanks (`+` in forms) behind it.
fn without_scheme(text: &str) -> &str {
    const LONGEST: usize = 16;
    let Some((word, rest)) = text.split_once([' ', '+']) else { return text };
    let is_word =
        (2..=LONGEST).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic());
    if is_word { rest.trim_start_matches([' ', '+']) } else { text }
}

fn without_quotes(text: &str) -> &str {
    let Some(rest) = text.strip_prefix('"') else { return text };
    match rest.rsplit_once('"') {
        // What follows the quotes can only be a signature.
        Some((inner, _)) => inner,
        None => text,
    }
}

/// Without a fourth part that has the length of a MAC, and is not the token's own again.
fn without_signature(text: &str) -> &str {
    const MAC: std::ops::RangeInclusive<usize> = 20..=64;
    if text.bytes().filter(|&b| b == b'.').count() != 3 {
        return text;
    }
    let Some((token, mac)) = text.rsplit_once('.') else { return text };
    if token.ends_with(mac) {
        return text;
    }
    let mac = base64::decode(mac).or_else(|| base64::url_decode(mac));
    if mac.is_some_and(|mac| MAC.contains(&mac.len())) { token } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str =
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSJ9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn found(value: &str, at: Option<&str>) -> Result<String, String> {
        let at = at.map(|at| Pointer::parse(at).unwrap());
        let found = find(value.as_bytes(), at.as_ref());
        found
            .map(|token| String::from_utf8(token.into_owned()).unwrap())
            .map_err(|why| why.detail.into_owned())
    }

    #[test]
    fn the_wrapping_of_a_token_is_removed() {
        let mac = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
        for around in [
            TOKEN.to_owned(),
            format!("Bearer {TOKEN}"),
            format!("bearer  {TOKEN}"),
            format!("JWT {TOKEN}"),
            format!("Bearer+{TOKEN}"),
            format!("\"{TOKEN}\""),
            format!("\"Bearer {TOKEN}\""),
            format!("Bearer \"{TOKEN}\""),
            format!("j:\"{TOKEN}\""),
            format!("s:{TOKEN}.{mac}"),
            format!("s:{TOKEN}.{mac}="),
            format!("{TOKEN}.{mac}"),
            format!("s:j:\"{TOKEN}\".{mac}"),
        ] {
            assert_eq!(found(&around, None), Ok(TOKEN.to_owned()), "{around}");
        }
    }

    #[test]
    fn a_pointer_leads_to_a_token_in_json() {
        let json = format!(
            "{{\"user\":{{\"id\":\"u2\"}},\"refreshToken\":\"{TOKEN}\",\"accessToken\":\"{TOKEN}\"}}"
        );
        let encoded = base64::encode(&json);
        for value in [json.clone(), format!("j:{json}"), format!("s:j:{json}.AAAA"), encoded] {
            assert_eq!(found(&value, Some("/accessToken")), Ok(TOKEN.to_owned()), "{value}");
            assert!(found(&value, Some("/user")).unwrap_err().contains("no string at `/user`"));
        }
        assert!(found(&json, None).unwrap_err().contains("write token = \"/accessToken\""));
        assert!(found(TOKEN, Some("/a")).unwrap_err().contains("does not hold the JSON"));
        assert!(found("{\"a\":1}", None).unwrap_err().contains("without a token in it"));
    }

    #[test]
    fn text_that_is_not_a_signature_stays() {
        for text in [
            format!("{TOKEN}.x"),
            format!("{TOKEN}.{}", "A".repeat(200)),
            format!("x y {TOKEN}"),
            format!("{TOKEN}.{}", "A".repeat(43)),
        ] {
            assert_eq!(found(&text, None), Ok(text.clone()));
        }
    }
}
