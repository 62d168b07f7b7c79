//! An issuer's own words about a refusal, for the operator's log.
//!
//! The log repeats what the vendor said, so that an operator need not guess. What could be
//! a credential is left out: the key itself in any spelling, and every long run of
//! characters that could be a token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::base::secret::Secret;
use crate::base::text::{encode_uri_component, push_percent_encoded};

/// Longest message that is repeated, in characters.
const LONGEST: usize = 300;
/// Runs of this many characters may be tokens.
const RUN: usize = 20;
const HIDDEN: &str = "[hidden]";

/// Empty if the issuer said nothing readable.
pub(super) struct IssuerMessage(String);

impl IssuerMessage {
    pub(super) fn new(body: &[u8], secrets: &[Secret]) -> Self {
        let said = match serde_json::from_slice::<Value>(body) {
            Ok(document) => said(&document, 0),
            Err(_) => plain(body),
        };
        let mut text = said.unwrap_or_default();
        for secret in secrets {
            text = without(text, secret);
        }
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self(without_runs(&text).chars().take(LONGEST).collect())
    }
}

/// Behind a status: `: said "…"`.
impl fmt::Display for IssuerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " and said: {}", self.0)
    }
}

/// Members in which vendors put their message, the most informative first.
const MEMBERS: [&str; 14] = [
    "error_description",
    "message",
    "error_message",
    "errorMessage",
    "errmsg",
    "msg",
    "detail",
    "details",
    "description",
    "error",
    "errors",
    "title",
    "reason",
    "code",
];

/// The message of an error document.
fn said(document: &Value, depth: u8) -> Option<String> {
    const DEEPEST: u8 = 4;
    if depth > DEEPEST {
        return None;
    }
    match document {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if depth > 0 => Some(number.to_string()),
        Value::Array(items) => said(items.first()?, depth + 1),
        Value::Object(members) => {
            MEMBERS.iter().find_map(|name| said(members.get(*name)?, depth + 1))
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => None,
    }
}

/// A body that is a line of text. A page of HTML says nothing.
fn plain(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    (!text.starts_with('<')).then(|| text.to_owned())
}

/// The text without a secret, however it is spelt.
fn without(text: String, secret: &Secret) -> String {
    const SHORTEST: usize = 4;
    let Some(plain) = secret.text().map(str::trim).filter(|plain| plain.len() >= SHORTEST) else {
        return text;
    };
    let mut escaped = String::new();
    push_percent_encoded(&mut escaped, plain, b"");
    let spellings = [
        plain.to_owned(),
        escaped,
        encode_uri_component(plain),
        STANDARD.encode(plain),
        STANDARD.encode(plain).trim_end_matches('=').to_owned(),
    ];
    spellings.iter().fold(text, |text, spelling| text.replace(spelling.as_str(), HIDDEN))
}

/// The text without runs that a token could be.
fn without_runs(text: &str) -> String {
    let in_run = |c: char| c.is_ascii_alphanumeric() || "_-+/=.~%*".contains(c);
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !in_run(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let is_token = run.len() >= RUN && run.bytes().any(|byte| byte.is_ascii_digit());
        found.push_str(if is_token { HIDDEN } else { run });
        let gap = after.find(in_run).unwrap_or(after.len());
        let (between, tail) = after.split_at(gap);
        found.push_str(between);
        rest = tail;
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(body: &Value) -> String {
        IssuerMessage::new(body.to_string().as_bytes(), &[Secret::new("hunter2!")]).to_string()
    }

    #[test]
    fn the_message_is_found_where_vendors_put_it() {
        for body in [
            json!({ "error": { "message": "no such voice", "type": "x" } }),
            json!({ "error": "bad", "error_description": "no such voice" }),
            json!({ "errors": [{ "code": 7, "message": "no such voice" }] }),
            json!({ "title": "Bad request", "detail": "no such voice" }),
            json!({ "message": "no such voice" }),
            json!("no such voice"),
        ] {
            assert_eq!(message(&body), " and said: no such voice", "{body}");
        }
        let plain = IssuerMessage::new(b"no such voice\n", &[]).to_string();
        assert_eq!(plain, " and said: no such voice");
        for body in [json!({}), json!(null), json!({ "message": {} }), json!([])] {
            assert_eq!(message(&body), "", "{body}");
        }
        assert_eq!(IssuerMessage::new(b"<html>502</html>", &[]).to_string(), "");
    }

    #[test]
    fn no_key_and_no_token_gets_through() {
        for text in [
            "wrong key hunter2!",
            "wrong key hunter2%21",
            "wrong key aHVudGVyMiE=",
            "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.c2ln has expired",
            "Incorrect API key provided: sk-proj-0123456789abcdefghij",
        ] {
            let said = message(&json!({ "message": text }));
            assert!(said.contains(HIDDEN), "{said}");
            for leak in ["hunter2", "aHVudGVy", "eyJ", "0123456789"] {
                assert!(!said.contains(leak), "{said}");
            }
        }
    }

    #[test]
    fn a_message_stays_one_line_of_bounded_length() {
        let said = message(&json!({ "message": format!("a\nb\u{1b}[2J{}", " no".repeat(1000)) }));
        assert!(said.chars().count() <= LONGEST + 20 && !said.contains(char::is_control));
    }
}
