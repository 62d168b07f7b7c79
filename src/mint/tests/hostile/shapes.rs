//! Tokens and calls taken apart: what each holds, member by member, and whether two of them
//! differ in one value only.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::base::text::{encode_uri_component, push_percent_encoded};
use crate::mint::{Call, Token};

/// A text that stands nowhere else, and another one.
pub(super) const MARKERS: [&str; 2] = ["marker42aaaa", "marker42bbbb"];

pub(super) fn answered(token: &Token) -> Value {
    let cookies: Vec<_> =
        token.set_cookies().iter().map(|line| cookie(line.to_str().unwrap())).collect();
    let body = String::from_utf8(token.body.to_vec()).unwrap();
    json!({ "body": opened(&body), "cookies": cookies })
}

fn cookie(line: &str) -> Value {
    let (pair, attributes) = line.split_once("; ").unwrap();
    let (name, value) = pair.split_once('=').unwrap();
    json!([name, opened(value), attributes])
}

pub(super) fn called(call: &Call) -> Value {
    let headers: Vec<_> = call
        .headers
        .iter()
        .map(|(name, value)| {
            json!([name.as_str(), opened(&String::from_utf8_lossy(value.as_bytes()))])
        })
        .collect();
    let body = std::str::from_utf8(&call.body).unwrap();
    let is_form = call
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    let body = if is_form { pairs(body) } else { opened(body) };
    json!({ "method": call.method.as_str(), "url": address(&call.url), "headers": headers, "body": body })
}

fn address(url: &str) -> Value {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    json!({ "path": place.split('/').collect::<Vec<_>>(), "query": pairs(query) })
}

fn pairs(text: &str) -> Value {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        json!([name, value])
    };
    text.split('&').map(pair).collect()
}

/// An address in an answer: its path may have as many levels as the value has.
fn link(url: &str) -> Value {
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    json!({ "place": place, "query": pairs(query), "fragment": fragment })
}

/// The content of a text: JSON, a token's header and claims, an address, fields, or base64 of such.
fn opened(text: &str) -> Value {
    if let Ok(found) = serde_json::from_str::<Value>(text)
        && (found.is_object() || found.is_array())
    {
        return json!({ "json": inside(found) });
    }
    let parts: Vec<&str> = text.split('.').collect();
    if let [header, claims, _] = parts.as_slice()
        && let (Some(header), Some(claims)) = (decoded(header), decoded(claims))
        && header.starts_with('{')
    {
        return json!({ "jwt": [opened(&header), opened(&claims)] });
    }
    if let Some(found) = signed(text) {
        return found;
    }
    match decoded(text) {
        Some(found) if text.len() >= 24 => json!({ "base64": opened(&found) }),
        _ => text.into(),
    }
}

fn inside(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(inside).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let value = member(&name, value);
                (name, value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::String(text) => opened(&text),
        other => other,
    }
}

/// A member's value; in a `url`, what comes next must not move.
fn member(name: &str, value: Value) -> Value {
    match value {
        Value::String(url) if name.to_lowercase().ends_with("url") => link(&url),
        value => inside(value),
    }
}

/// Text behind base64, in the alphabets in use.
fn decoded(text: &str) -> Option<String> {
    let cloudfront = text.replace('-', "+").replace('_', "=").replace('~', "/");
    let tries = [STANDARD.decode(text), STANDARD.decode(cloudfront), URL_SAFE_NO_PAD.decode(text)];
    let mut texts = tries.into_iter().flatten().filter_map(|bytes| String::from_utf8(bytes).ok());
    let is_text = |text: &String| !text.chars().any(|c| c.is_control() && c != '\n');
    texts.find(is_text)
}

/// A signature and what it stands in front of: Algolia's query, Typesense's document; and
/// the fields of Cloudinary's cookie.
fn signed(text: &str) -> Option<Value> {
    if text.starts_with("st=") {
        return Some(
            json!({ "fields": text.split('~').map(|part| part.split('=').collect::<Vec<_>>()).collect::<Vec<_>>() }),
        );
    }
    if let Some((signature, rest)) = text.split_at_checked(64)
        && signature.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Some(json!({ "signature": signature, "query": pairs(rest) }));
    }
    let start = text.find('{').filter(|start| *start == 48)?;
    let (signature, document) = text.split_at_checked(start)?;
    Some(json!({ "signature": signature, "document": opened(document) }))
}

/// The ways a value is written where it stands.
fn spellings(value: &str) -> Vec<String> {
    let quoted = Value::from(value).to_string();
    let json = quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
    let path: Vec<_> = value.split('/').map(encode_uri_component).collect();
    let mut strict = String::new();
    push_percent_encoded(&mut strict, value, b"-_.~/");
    let mut stricter = String::new();
    push_percent_encoded(&mut stricter, value, b"-_.~");
    let component = encode_uri_component(value);
    let once = [value.to_owned(), json, path.join("/"), strict, stricter, component, lower(value)];
    once.iter().flat_map(|text| [text.clone(), encode_uri_component(text)]).collect()
}

/// As `percent:lower` writes it.
fn lower(value: &str) -> String {
    let mut out = String::new();
    push_percent_encoded(&mut out, value, b"!$()*+,-._");
    let mut left = 0;
    let escape = |c: char| match (c, left) {
        ('%', _) => {
            left = 2;
            c
        }
        (_, 0) => c,
        _ => {
            left -= 1;
            c.to_ascii_lowercase()
        }
    };
    out.chars().map(escape).collect()
}

/// Whether `found` is `benign` with the value in the marker's place, and nothing else.
/// `other` is minted with another marker: what differs in it without holding a marker is
/// computed from the value, such as a signature.
pub(super) fn same(benign: &Value, other: &Value, found: &Value, value: &str) -> bool {
    match (benign, other, found) {
        (Value::Object(benign), Value::Object(other), Value::Object(found)) => {
            benign.len() == found.len()
                && benign.iter().zip(other).zip(found).all(
                    |(((name, one), (_, two)), (key, three))| {
                        text(name, name, key, value) && same(one, two, three, value)
                    },
                )
        }
        (Value::Array(benign), Value::Array(other), Value::Array(found)) => {
            benign.len() == found.len()
                && benign
                    .iter()
                    .zip(other)
                    .zip(found)
                    .all(|((one, two), three)| same(one, two, three, value))
        }
        (Value::String(benign), Value::String(other), Value::String(found)) => {
            text(benign, other, found, value)
        }
        // Alone in its place, a value may look like what it likes.
        (Value::String(benign), Value::String(_), found) => {
            benign == MARKERS[0] && *found == opened(value)
        }
        _ => benign == found,
    }
}

fn text(benign: &str, other: &str, found: &str, value: &str) -> bool {
    let [marker, _] = MARKERS;
    if !benign.contains(marker) {
        return benign == found || benign != other;
    }
    spellings(value).iter().any(|value| benign.replace(marker, value) == found)
}
