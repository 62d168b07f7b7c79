//! The answer a browser gets, in exactly the form its vendor's client expects.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::HeaderValue;

use super::error::MintError;
use super::layered_table::LayeredTable;
use super::template::{self, Names, Scope, Template, Text};
use super::token::{Token, TokenParts};
use crate::document::{At, Key, Value, shown};

/// The answer: its body, and the cookies it sets.
#[derive(Clone)]
pub(super) struct Response {
    form: Form,
    cookies: Vec<(String, Text)>,
    path: String,
    domain: Option<String>,
}

/// The form of an answer.
#[derive(Clone)]
enum Form {
    Cookie(String),
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

/// Members that say where cookies are valid.
pub(super) const COOKIE_KEYS: [&str; 3] = ["cookie_domain", "cookie_path", "cookies"];

impl Response {
    /// Reads `response` and what belongs to it.
    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        Self::read(&mut |key| members.take(key), names)
    }

    /// As `from_members`; without `response`, and with cookies, the body is `{}`.
    pub(super) fn read<'a>(
        take: &mut dyn FnMut(&'static str) -> Option<At<'a>>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let path = take("cookie_path").and_then(|at| at.read()).unwrap_or_else(|| "/".to_owned());
        let domain = match take("cookie_domain") {
            Some(at) => domain(&at, names)?,
            None => None,
        };
        let cookies = match take("cookies") {
            Some(at) => cookies(&at, names)?,
            None => Vec::new(),
        };
        let form = match take("response") {
            Some(at) => Form::from_node(&at, names)?,
            None if cookies.is_empty() => {
                names
                    .token
                    .problem("`response` is missing; write response = { token = \"{token}\" }");
                return None;
            }
            None => Form::Json(Template::Fixed(serde_json::json!({}))),
        };
        Some(Self { form, cookies, path, domain })
    }

    /// The bare token.
    pub(super) fn text() -> Self {
        let form = Form::Text(HeaderValue::from_static("text/plain"));
        Self { form, cookies: Vec::new(), path: "/".to_owned(), domain: None }
    }

    /// The media type of the answer.
    pub(super) fn content_type(&self) -> HeaderValue {
        match &self.form {
            Form::Cookie(_) | Form::Json(_) | Form::Passthrough => {
                HeaderValue::from_static("application/json")
            }
            Form::Text(kind) => kind.clone(),
        }
    }

    /// Puts the token into its answer.
    pub(super) fn render(&self, raw: RawToken, scope: &Scope<'_>) -> Result<Token, MintError> {
        let json = HeaderValue::from_static("application/json");
        let RawToken { value, answer, expires_at, usable_until, uncut } = raw;
        let scope = Scope { token: Some(&value), ..*scope };
        let mut set_cookies = Vec::with_capacity(self.cookies.len());
        for (name, text) in &self.cookies {
            set_cookies.push(self.cookie(name, &text.needed(&scope)?, expires_at)?);
        }
        let (body, content_type) = match &self.form {
            Form::Cookie(name) => {
                set_cookies.push(self.cookie(name, &value, expires_at)?);
                (b"{}".as_slice().into(), json)
            }
            Form::Json(template) => {
                // Boxed, so a kept body has no spare capacity.
                let body = template.needed(&scope)?.to_string().into_boxed_str();
                (body.into_boxed_bytes(), json)
            }
            Form::Passthrough => (answer.as_ref().into(), json),
            Form::Text(kind) => (value.as_bytes().into(), kind.clone()),
        };
        let value = value.into_bytes().into_boxed_slice();
        let set_cookies = set_cookies.into_boxed_slice();
        let parts =
            TokenParts { value, body, content_type, set_cookies, expires_at, usable_until, uncut };
        Ok(parts.into())
    }

    fn cookie(&self, name: &str, value: &str, expires_at: u64) -> Result<HeaderValue, MintError> {
        let expires = UNIX_EPOCH.checked_add(Duration::from_secs(expires_at)).unwrap_or(UNIX_EPOCH);
        let domain = self.domain.as_ref().map_or_else(String::new, |it| format!("; Domain={it}"));
        let text = format!(
            "{name}={value}; Path={}{domain}; Expires={}; Secure; HttpOnly; SameSite=Strict",
            self.path,
            httpdate::fmt_http_date(expires)
        );
        if text.len() > LONGEST_COOKIE {
            return Err(MintError::not_allowed("the token is too long for a cookie"));
        }
        if value.contains(';') {
            return Err(MintError::not_allowed(
                "the token has characters that a cookie cannot carry",
            ));
        }
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            MintError::not_allowed("the token has characters that a cookie cannot carry")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Form {
    fn from_node(at: &At<'_>, names: &Names<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a table, "text:CONTENT-TYPE", "cookie:NAME" or "passthrough""#;
        let text = match &at.node.value {
            Value::Text(text) => text,
            Value::Table(_) => return template::value(at, names).map(Self::Json),
            _ => {
                at.wrong(EXPECTED);
                return None;
            }
        };
        let form = match text.split_once(':') {
            None if text == "passthrough" => Some(Self::Passthrough),
            Some(("cookie", name)) if is_cookie_name(name) => Some(Self::Cookie(name.to_owned())),
            Some(("text", kind)) => HeaderValue::from_str(kind).ok().map(Self::Text),
            Some(_) | None => None,
        };
        if form.is_none() {
            at.wrong(EXPECTED);
        }
        form
    }
}

/// `cookies = { NAME = "{sig}" }`: each a separate cookie.
fn cookies(at: &At<'_>, names: &Names<'_>) -> Option<Vec<(String, Text)>> {
    let one = |(key, at): (&Key, At<'_>)| {
        if !is_cookie_name(&key.name) {
            at.problem(format!("{} cannot be a cookie's name", shown(&key.name)));
            return None;
        }
        Some((key.name.clone(), template::text(&at, names)?))
    };
    let read: Vec<_> = at.members().into_iter().map(one).collect();
    read.into_iter().collect()
}

/// The `Domain` of the cookies: a fixed name. An absent parameter means none.
fn domain(at: &At<'_>, names: &Names<'_>) -> Option<Option<String>> {
    let is_name = |text: &str| {
        text.contains('.')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
    };
    match template::value(at, names)? {
        Template::Absent => Some(None),
        Template::Fixed(serde_json::Value::String(text)) if is_name(&text) => Some(Some(text)),
        _ => {
            at.wrong("a domain such as \"example.com\"");
            None
        }
    }
}

fn is_cookie_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}
