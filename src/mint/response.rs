//! The answer a browser gets: the shape its vendor's client expects, and
//! nothing else.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;

use super::template::{self, Names, Scope, Template};
use crate::document::{At, Value};
use crate::mint::{MintError, Token};

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

/// What a mechanism made.
pub(super) struct Made {
    pub value: String,
    /// The issuer's answer, for `passthrough`.
    pub answer: Bytes,
    pub expires_at: u64,
    pub usable_until: u64,
}

/// Browsers drop longer cookies without a word.
const LONGEST_COOKIE: usize = 4096;

impl Response {
    pub(super) fn read(at: &At<'_>, cookie_path: Option<&str>, names: &Names<'_>) -> Option<Self> {
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

    /// The media type of the answer, where it does not depend on the token.
    pub(super) fn content_type(&self) -> HeaderValue {
        match self {
            Self::Cookie { .. } | Self::Json(_) | Self::Passthrough => {
                HeaderValue::from_static("application/json")
            }
            Self::Text(kind) => kind.clone(),
        }
    }

    /// Puts the token into its answer.
    pub(super) fn token(&self, made: Made, scope: &Scope<'_>) -> Result<Token, MintError> {
        let json = HeaderValue::from_static("application/json");
        let Made { value, answer, expires_at, usable_until } = made;
        let mut set_cookie = None;
        let (body, content_type) = match self {
            Self::Cookie { name, path } => {
                set_cookie = Some(Box::new(cookie(name, &value, path, expires_at)?));
                (Bytes::from_static(b"{}"), json)
            }
            Self::Json(template) => {
                let scope = Scope { token: Some(&value), ..*scope };
                // Boxed, so that what is kept has no room to grow.
                let body = template.needed(&scope)?.to_string().into_boxed_str();
                (Bytes::from(body.into_boxed_bytes()), json)
            }
            Self::Passthrough => (answer, json),
            Self::Text(kind) => (Bytes::copy_from_slice(value.as_bytes()), kind.clone()),
        };
        let value = slice_of(&body, value);
        Ok(Token { value, body, content_type, set_cookie, expires_at, usable_until })
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

/// The token as a part of the body where it stands there, to keep it only once.
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
