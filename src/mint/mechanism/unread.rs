//! Responses without a token, in words for the operator's log.
//!
//! Their content is not quoted: it may hold the token in another place.

use serde_json::Value;

use super::issuer_message::IssuerMessage;
use crate::base::secret::Secret;

/// Most members that are named, and most characters of a name.
const MOST_NAMES: usize = 8;
const LONGEST_NAME: usize = 32;

/// A body that is not JSON.
pub(super) fn other(body: &[u8]) -> &'static str {
    let start = body.trim_ascii_start();
    match start {
        [] => "an empty body",
        [0x1f, 0x8b, ..] => {
            "compressed data, which was not asked for; write accept-encoding = \"identity\" in `headers`"
        }
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => "UTF-16, expected UTF-8",
        [b'<', ..] => "a page of HTML or XML; look whether `url` is the API's",
        _ if std::str::from_utf8(body).is_err() => "bytes that are not UTF-8",
        [b'{' | b'[', ..] => "JSON with a mistake or cut off",
        _ => "other text; a bare token is read with answer = \"text\"",
    }
}

/// The names in a document, without their values.
pub(super) fn outline(document: &Value) -> String {
    match document {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(members) if members.is_empty() => "an empty table".to_owned(),
        Value::Object(members) => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            let is_name = |name: &&String| {
                (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_plain)
            };
            let names = members.keys().filter(is_name).take(MOST_NAMES);
            let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
            match names.as_slice() {
                [] => "a table".to_owned(),
                names => format!("a table with {}", names.join(", ")),
            }
        }
        Value::String(_) => "a string".to_owned(),
        Value::Bool(_) | Value::Null | Value::Number(_) => "a single value".to_owned(),
    }
}

/// The error that an answer without a token reports despite its status: GraphQL's, or a
/// sentence where vendors put their message.
pub(super) fn reported(document: &Value, secrets: &[Secret]) -> String {
    const MESSAGES: [&str; 8] = [
        "error_description",
        "error_message",
        "errorMessage",
        "errmsg",
        "message",
        "msg",
        "detail",
        "reason",
    ];
    let error = ["errors", "error"].iter().find_map(|name| document.get(*name)).cloned();
    let sentence = || {
        let text = MESSAGES.iter().find_map(|name| document.get(*name)?.as_str())?;
        text.trim().contains(' ').then(|| Value::String(text.to_owned()))
    };
    let error = error.or_else(sentence);
    let said = error.map(|error| IssuerMessage::new(error.to_string().as_bytes(), secrets));
    said.map(|said| said.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_json_are_told_apart() {
        for (body, found) in [
            (&b" \r\n"[..], "an empty body"),
            (&[0x1f, 0x8b, 8, 0], "compressed data"),
            (&[0xff, 0xfe, b'{', 0], "UTF-16"),
            (b"{\"a\": \"\xe9\"}", "bytes that are not UTF-8"),
            (b"\n <html>", "a page"),
            (b"[1,", "JSON with a mistake"),
            (b"token", "other text"),
        ] {
            assert!(other(body).starts_with(found), "{body:?}: {}", other(body));
        }
    }
}
