//! The settings of an S3 signature: where the bucket is, and what may be sent there.

use crate::base::text::{is_token, push_percent_encoded};
use crate::base::units;
use crate::base::url::Url;
use crate::document::At;
use crate::mint::error::MintError;
use crate::mint::layered_table::LayeredTable;
use crate::mint::template::{self, Names, Scope, Template, Text};

/// Where the bucket is, and what a user may do there.
pub(super) struct Settings {
    pub method: Method,
    pub bucket: String,
    pub region: String,
    /// Another server than AWS's.
    endpoint: Option<Url>,
    path_style: bool,
    /// The key, for `GET` and `PUT`.
    pub object: Option<Text>,
    /// The prefix of keys, for `POST`.
    pub prefix: Option<Text>,
    content_type: Option<Template>,
    size: Option<Template>,
    /// In bytes.
    pub max_size: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
}

impl Settings {
    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let method = fixed(members, "method", names).and_then(|(at, text)| method(&at, &text));
        let bucket = fixed(members, "bucket", names);
        let region = fixed(members, "region", names);
        let endpoint = endpoint(members, names);
        let path_style = members.take("path_style").map(|at| template::value(&at, names));
        let mut text = |key| match members.take(key) {
            Some(at) => template::text(&at, names).map(Some),
            None => Some(None),
        };
        let (object, prefix) = (text("object"), text("prefix"));
        let mut value = |key| match members.take(key) {
            Some(at) => template::value(&at, names).map(Some),
            None => Some(None),
        };
        let (content_type, size) = (value("content_type"), value("size"));
        let max_size = members.take("max_size").and_then(|at| bytes(&at, names));
        let (method, endpoint) = (method?, endpoint?);
        let is_path = path_style.and_then(|template| template?.fixed()?.as_bool());
        let settings = Self {
            method,
            bucket: name(bucket?)?,
            region: name(region?)?,
            path_style: is_path.unwrap_or_else(|| endpoint.is_some()),
            endpoint,
            object: object?,
            prefix: prefix?,
            content_type: content_type?,
            size: size?,
            max_size: max_size?,
        };
        settings.check(names).then_some(settings)
    }

    fn check(&self, names: &Names<'_>) -> bool {
        let (missing, example) = match self.method {
            Method::Post if self.prefix.is_none() => ("prefix", "users/{session.user_id}/"),
            Method::Get | Method::Put if self.object.is_none() => ("object", "{request.object}"),
            Method::Put if self.size.is_none() => ("size", "{request.size}"),
            Method::Get | Method::Post | Method::Put => return true,
        };
        names.token.problem(format!("`{missing}` is missing; write {missing} = \"{example}\""));
        false
    }

    /// Host and path of a key.
    pub(super) fn place(&self, key: &str) -> (String, String) {
        let server = match &self.endpoint {
            Some(endpoint) => endpoint.authority().to_owned(),
            None => format!("s3.{}.amazonaws.com", self.region),
        };
        let key: Vec<_> = key.split('/').map(escaped).collect();
        let key = key.join("/");
        if self.path_style {
            let slash = if key.is_empty() { "" } else { "/" };
            return (server, format!("/{}{slash}{key}", self.bucket));
        }
        (format!("{}.{server}", self.bucket), format!("/{key}"))
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.endpoint.as_ref().is_none_or(Url::is_tls) { "https" } else { "http" }
    }

    /// The content type, if there is a rule for it.
    pub(super) fn content_type(&self, scope: &Scope<'_>) -> Result<Option<String>, MintError> {
        let Some(template) = &self.content_type else { return Ok(None) };
        let Some(value) = template.value(scope)? else { return Ok(None) };
        // Browsers take the last of several types in one field.
        let is_kind = |text: &&str| {
            text.split_once('/').is_some_and(|(kind, form)| is_token(kind) && is_token(form))
        };
        let kind = value.as_str().filter(is_kind).map(str::to_owned);
        kind.map(Some).ok_or_else(|| MintError::bad_request("`content_type` is not a media type"))
    }

    /// The exact size of an upload, which may not exceed the limit.
    pub(super) fn size(&self, scope: &Scope<'_>) -> Result<u64, MintError> {
        let value = match &self.size {
            Some(template) => template.value(scope)?,
            None => None,
        };
        let value = value.ok_or_else(|| {
            MintError::bad_request("`size` is missing; an upload without it would have no limit")
        })?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse());
        let size = value.as_u64().or_else(|| digits(value.as_str()?)?.ok());
        let size = size.ok_or_else(|| MintError::bad_request("`size` is not a number of bytes"))?;
        if size > self.max_size {
            return Err(MintError::not_allowed("`size` is more than `max_size`"));
        }
        Ok(size)
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986 section 2.3).
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_percent_encoded(&mut out, text, b"-_.~");
    out
}

/// A member that is the same in every token, written out or as a parameter.
fn fixed<'p>(
    members: &mut LayeredTable<'_, '_, 'p>,
    key: &'static str,
    names: &Names<'_>,
) -> Option<(At<'p>, String)> {
    let at = members.need(key, "a text")?;
    let template = template::value(&at, names)?;
    let Some(text) = template.fixed().and_then(serde_json::Value::as_str) else {
        at.problem(format!("`{key}` must be the same for every user"));
        return None;
    };
    let text = text.to_owned();
    Some((at, text))
}

/// A bucket or region: a part of a host name.
fn name((at, text): (At<'_>, String)) -> Option<String> {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    let good = !text.is_empty() && text.bytes().all(is_part) && !text.contains("..");
    if !good {
        at.problem("expected lower-case letters, digits, `-`, `_` and `.`");
    }
    good.then_some(text)
}

fn method(at: &At<'_>, text: &str) -> Option<Method> {
    match text {
        "GET" => Some(Method::Get),
        "POST" => Some(Method::Post),
        "PUT" => Some(Method::Put),
        _ => {
            at.problem("expected \"POST\", \"PUT\" or \"GET\"");
            None
        }
    }
}

/// `Some(None)` if AWS is meant.
fn endpoint(members: &mut LayeredTable<'_, '_, '_>, names: &Names<'_>) -> Option<Option<Url>> {
    let Some(at) = members.take("endpoint") else { return Some(None) };
    match template::value(&at, names)? {
        Template::Absent => Some(None),
        Template::Fixed(serde_json::Value::String(text)) => match Url::parse(&text) {
            Some(url) if url.target() == "/" => Some(Some(url)),
            Some(_) | None => {
                at.problem("expected a URL without a path, such as \"https://s3.example.com\"");
                None
            }
        },
        _ => {
            at.problem("`endpoint` must be the same for every user");
            None
        }
    }
}

/// A size such as `"10MiB"`, or a number of bytes.
fn bytes(at: &At<'_>, names: &Names<'_>) -> Option<u64> {
    let template = template::value(at, names)?;
    let size = match template.fixed() {
        Some(serde_json::Value::Number(number)) => number.as_u64(),
        Some(serde_json::Value::String(text)) => {
            units::size(text).ok().and_then(|size| u64::try_from(size).ok())
        }
        Some(_) | None => None,
    };
    if size.is_none() {
        at.problem("expected a size such as \"10MiB\", the same for every user");
    }
    size
}
