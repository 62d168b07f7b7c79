//! An issuer's response: where it holds the token and its expiry, and the messages when it
//! does not.
//!
//! Responses with a token are never quoted in a message, only the member that is wrong.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::issuer_message::IssuerMessage;
use super::unread::{other, outline, reported};
use crate::base::calendar::read_rfc3339;
use crate::base::secret::Secret;
use crate::base::units;
use crate::document::{At, FromNode};
use crate::mint::error::MintError;
use crate::session::Pointer;

/// How the response is read, and where it holds the token and its expiry.
pub(super) struct TokenPlaces {
    form: AnswerForm,
    token: Option<Pointer>,
    expires_at: Option<Pointer>,
    expires_in: Option<Pointer>,
}

/// The format of a response's body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AnswerForm {
    Json,
    /// The bare token.
    Text,
}

/// The token a remote issuer made.
pub(in crate::mint) struct IssuedToken {
    pub token: String,
    pub expires_at: Option<u64>,
    /// The whole response, for `{answer.…}`; null if it is text.
    pub document: Value,
}

impl TokenPlaces {
    pub(super) const KEYS: [&str; 2] = ["answer", "take"];

    pub(super) fn from_nodes(answer: Option<&At<'_>>, take: Option<&At<'_>>) -> Option<Self> {
        let form = match answer {
            Some(at) => at.read()?,
            None => AnswerForm::Json,
        };
        let mut places = Self { form, token: None, expires_at: None, expires_in: None };
        let Some(at) = take else { return Some(places) };
        if form == AnswerForm::Text {
            at.problem("`take` reads JSON; with answer = \"text\" the whole response is the token");
            return None;
        }
        let mut table = at.table()?;
        places.token = table.get("token");
        places.expires_at = table.get("expires_at");
        places.expires_in = table.get("expires_in");
        table.finish();
        Some(places)
    }

    pub(super) fn has_end(&self) -> bool {
        self.expires_at.is_some() || self.expires_in.is_some()
    }

    pub(super) fn is_text(&self) -> bool {
        self.form == AnswerForm::Text
    }

    /// The `Accept` of the request.
    pub(super) fn accept(&self) -> &'static str {
        match self.form {
            AnswerForm::Json => "application/json",
            AnswerForm::Text => "*/*",
        }
    }

    /// Reads a response. A refusal repeats the issuer's own words, without `secrets`.
    pub(super) fn read(
        &self,
        (status, body): (StatusCode, &Bytes),
        secrets: &[Secret],
        now: u64,
    ) -> Result<IssuedToken, MintError> {
        if !status.is_success() {
            let says = IssuerMessage::new(body, secrets);
            if status == StatusCode::TOO_MANY_REQUESTS {
                let cause = format!("the issuer's rate limit is reached: it answered 429{says}");
                return Err(MintError::Unavailable(cause.into()));
            }
            if status.is_redirection() {
                let status = status.as_u16();
                return failed(format!(
                    "the issuer answered {status}, a redirect, which is not followed; write the \
                     address that it leads to as `url`"
                ));
            }
            return failed(format!("the issuer answered {}{says}", status.as_u16()));
        }
        let answer = match self.form {
            AnswerForm::Json => self.json(body, secrets, now)?,
            AnswerForm::Text => text(body)?,
        };
        if answer.expires_at.is_some_and(|end| end <= now) {
            return failed("the issuer's token has already expired".into());
        }
        Ok(answer)
    }

    fn json(&self, body: &Bytes, secrets: &[Secret], now: u64) -> Result<IssuedToken, MintError> {
        // RFC 8259 section 8.1: a byte order mark may be ignored.
        let json = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let Ok(document) = serde_json::from_slice::<Value>(json) else {
            return failed(format!("the issuer's answer is not JSON: found {}", other(body)));
        };
        let token = match &self.token {
            None => String::from_utf8_lossy(body).into_owned(),
            Some(pointer) => match pointer.find(&document) {
                Some(Value::String(token)) if !token.is_empty() => token.clone(),
                found => {
                    return failed(format!(
                        "`take.token` expects a string at `{pointer}` of the issuer's answer \
                         ({}), found {}{}",
                        outline(&document),
                        kind(found),
                        reported(&document, secrets)
                    ));
                }
            },
        };
        let at = |name, forms, pointer: &Option<Pointer>, read: fn(&Value, u64) -> Option<u64>| {
            let Some(pointer) = pointer else { return Ok(None) };
            match pointer.find(&document) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => read(value, now).map(Some).ok_or_else(|| {
                    let cause = format!(
                        "`take.{name}` expects a time at `{pointer}` of the issuer's answer \
                         ({forms}), found {}",
                        kind(Some(value))
                    );
                    MintError::IssuerFailed(cause.into())
                }),
            }
        };
        let expires_in = at("expires_in", IN_SECONDS, &self.expires_in, relative)?;
        let expires_at = at("expires_at", AT_A_TIME, &self.expires_at, absolute)?.or(expires_in);
        Ok(IssuedToken { token, expires_at, document })
    }
}

fn failed<T>(cause: String) -> Result<T, MintError> {
    Err(MintError::IssuerFailed(cause.into()))
}

/// A response that is the token itself: one word. A page, a message or a document is not a
/// token.
fn text(body: &Bytes) -> Result<IssuedToken, MintError> {
    let token = std::str::from_utf8(body).map(str::trim).unwrap_or_default();
    let of_token = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>[]\\`{}".contains(&byte);
    let is_json = matches!(token, "null" | "true" | "false");
    if token.is_empty() || is_json || !token.bytes().all(of_token) {
        return failed(
            "`answer = \"text\"` expects the issuer to answer with the bare token, found something \
             else"
                .into(),
        );
    }
    Ok(IssuedToken { token: token.to_owned(), expires_at: None, document: Value::Null })
}

/// Names what was found, never its content.
fn kind(found: Option<&Value>) -> &'static str {
    match found {
        None => "nothing",
        Some(Value::Array(_)) => "a list",
        Some(Value::Bool(_)) => "a truth value",
        Some(Value::Null) => "null",
        Some(Value::Number(_)) => "a number",
        Some(Value::Object(_)) => "a table",
        Some(Value::String(text)) if text.is_empty() => "an empty text",
        Some(Value::String(_)) => "a string",
    }
}

/// The forms of a time, for messages.
const IN_SECONDS: &str = "seconds, or a text with a unit such as \"1h\"";
const AT_A_TIME: &str = "Unix seconds or milliseconds, or RFC 3339 with its zone";

/// The first second of the year 10000.
const LATEST: u64 = 253_402_300_800;

/// A point in time: Unix seconds, Unix milliseconds (a number beyond the year 10000), or
/// RFC 3339. Numbers may be written as text.
fn absolute(value: &Value, _: u64) -> Option<u64> {
    let number = match value {
        Value::String(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => return read_rfc3339(text),
        },
        other => whole(other)?,
    };
    Some(if number < LATEST { number } else { number / 1000 }).filter(|&unix| unix < LATEST)
}

/// A span of time from now: seconds, as a number or a text, or with a unit (`"3600s"`).
fn relative(value: &Value, now: u64) -> Option<u64> {
    let seconds = match value {
        Value::String(text) => match text.parse() {
            Ok(seconds) => seconds,
            Err(_) => units::duration(text).ok()?.as_secs(),
        },
        other => whole(other)?,
    };
    (seconds < LATEST).then(|| now.saturating_add(seconds))
}

/// A number without its fraction.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| (0.0..9e15).contains(number))?;
        format!("{:.0}", number.floor()).parse().ok()
    })
}

impl FromNode for AnswerForm {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&[("json", Self::Json), ("text", Self::Text)])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_end_is_read_in_every_form_vendors_write_it() {
        for (value, unix) in [
            (json!(1_767_229_200), Some(1_767_229_200)),
            (json!("1767229200"), Some(1_767_229_200)),
            (json!(1_767_229_200_000_u64), Some(1_767_229_200)),
            (json!(1_767_229_200.75), Some(1_767_229_200)),
            (json!("2026-01-01T01:00:00Z"), Some(1_767_229_200)),
            (json!("2026-01-01T02:00:00.123456+01:00"), Some(1_767_229_200)),
            (json!("soon"), None),
            (json!(-1), None),
            (json!({}), None),
            (json!(u64::MAX), None),
        ] {
            assert_eq!(absolute(&value, 0), unix, "{value}");
        }
    }

    #[test]
    fn a_life_is_read_in_every_form_vendors_write_it() {
        for (value, unix) in [
            (json!(60), Some(160)),
            (json!(60.9), Some(160)),
            (json!("60"), Some(160)),
            (json!("60s"), Some(160)),
            (json!("1h"), Some(3700)),
            (json!("2026-01-01T01:00:00Z"), None),
            (json!(true), None),
        ] {
            assert_eq!(relative(&value, 100), unix, "{value}");
        }
    }
}
