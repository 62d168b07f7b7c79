//! The answer a browser gets, in exactly the form its vendor's client expects.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;

use super::error::MintError;
use super::layered_table::LayeredTable;
use super::template::{self, Names, Scope, Template};
use super::token::Token;
use crate::document::{At, Value};

/// The form of an answer.
#[derive(Clone)]
pub(super) enum Response {
    Cookie {
        name: String,
        path: String,
    },
    Json(Template),
    /// The issuer's own answer.
    Passthrough,
    /// The bare token.
    Text(HeaderValue),
}

/// A token before it is put into its answer.
pub(super) struct RawToken {
    pub value: String,
    /// The issuer's answer, for `passthrough`.
    pub answer: Bytes,
    pub expires_at: u64,
    pub usable_until: u64,
    pub uncut: Option<u64>,
}

/// Browsers drop longer cookies without a word.
const LONGEST_COOKIE: usize = 4096;

impl Response {
    /// Reads `response` and `cookie_path`.
    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let cookie_path: Option<String> = members.get("cookie_path");
        let at = members.need("response", "response = { token = \"{token}\" }")?;
        Self::from_node(&at, cookie_path.as_deref(), names)
    }

    pub(super) fn from_node(
        at: &At<'_>,
        cookie_path: Option<&str>,
        names: &Names<'_>,
    ) -> Option<Self> {
        const EXPECTED: &str = r#"a table, "text:CONTENT-TYPE", "cookie:NAME" or "passthrough""#;
        let text = match &at.node.value {
            Value::Text(text) => text,
            Value::Table(_) => return template::value(at, names).map(Self::Json),
            _ => {
                at.wrong(EXPECTED);
                return None;
            }
        };
        let response = match text.split_once(':') {
            None if text == "passthrough" => Some(Self::Passthrough),
            Some(("cookie", name)) if is_cookie_name(name) => Some(Self::Cookie {
                name: name.to_owned(),
                path: cookie_path.unwrap_or("/").to_owned(),
            }),
            Some(("text", kind)) => HeaderValue::from_str(kind).ok().map(Self::Text),
            Some(_) | None => None,
        };
        if response.is_none() {
            at.wrong(EXPECTED);
        }
        response
    }

    /// The media type of the answer.
    pub(super) fn content_type(&self) -> HeaderValue {
        match self {
            Self::Cookie { .. } | Self::Json(_) | Self::Passthrough => {
                HeaderValue::from_static("application/json")
            }
            Self::Text(kind) => kind.clone(),
        }
    }

    /// Puts the token into its answer.
    pub(super) fn render(&self, raw: RawToken, scope: &Scope<'_>) -> Result<Token, MintError> {
        let json = HeaderValue::from_static("application/json");
        let RawToken { value, answer, expires_at, usable_until, uncut } = raw;
        let mut set_cookie = None;
        let (body, content_type) = match self {
            Self::Cookie { name, path } => {
                set_cookie = Some(Box::new(cookie(name, &value, path, expires_at)?));
                (Bytes::from_static(b"{}"), json)
            }
            Self::Json(template) => {
                let scope = Scope { token: Some(&value), ..*scope };
                // Boxed, so a kept body has no spare capacity.
                let body = template.needed(&scope)?.to_string().into_boxed_str();
                (Bytes::from(body.into_boxed_bytes()), json)
            }
            Self::Passthrough => (answer, json),
            Self::Text(kind) => (Bytes::copy_from_slice(value.as_bytes()), kind.clone()),
        };
        let value = slice_of(&body, value);
        Ok(Token { value, body, content_type, set_cookie, expires_at, usable_until, uncut })
    }
}

fn cookie(name: &str, value: &str, path: &str, expires_at: u64) -> Result<HeaderValue, MintError> {
    let expires = UNIX_EPOCH.checked_add(Duration::from_secs(expires_at)).unwrap_or(UNIX_EPOCH);
    let text = format!(
        "{name}={value}; Path={path}; Expires={}; Secure; HttpOnly; SameSite=Strict",
        httpdate::fmt_http_date(expires)
    );
    if text.len() > LONGEST_COOKIE {
        return Err(MintError::not_allowed("the token is too long for a cookie"));
    }
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| MintError::not_allowed("the token cannot stand in a cookie"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_cookie_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// The token as a slice of the body if it is in there, so that it is kept only once.
fn slice_of(body: &Bytes, value: String) -> Bytes {
    let wanted = value.as_bytes();
    let found = match wanted {
        [] => None,
        _ => body.windows(wanted.len()).position(|window| window == wanted),
    };
    match found {
        Some(start) => body.slice(start..start + wanted.len()),
        None => Bytes::from(value),
    }
}
