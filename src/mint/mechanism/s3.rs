//! Addresses and forms for one file in an S3 bucket, signed with Signature Version 4:
//! AWS, R2, B2, MinIO and other stores that speak it.
//!
//! `POST` signs a policy: a prefix of keys, a range of sizes, a content type. `PUT` signs
//! one key, its exact size and its type; `GET` one key. The same as the vendor's libraries
//! `@aws-sdk/s3-presigned-post` and `@aws-sdk/s3-request-presigner` write.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::s3_settings::{Method, Settings, escaped};
use crate::base::secret::Secret;
use crate::base::text::hex;
use crate::mint::error::MintError;
use crate::mint::layered_table::LayeredTable;
use crate::mint::response::Response;
use crate::mint::template::{DateForm, Names, Scope, Text};

pub(in crate::mint) struct S3 {
    settings: Settings,
    access_key_id: String,
    secret: Secret,
    /// Marks the key as temporary. It is sent in plain sight, as S3 requires.
    session_token: Option<String>,
    pub(in crate::mint) response: Response,
}

/// The answer to the browser: an address, and the fields or headers to send there.
pub(in crate::mint) struct SignedRequest {
    pub url: String,
    pub fields: Value,
}

/// The times of one signature.
struct Stamp {
    /// `20260101T000000Z`
    time: String,
    /// `20260101/REGION/s3/aws4_request`
    scope: String,
    day: String,
}

impl S3 {
    pub(in crate::mint) const KEYS: [&str; 11] = [
        "bucket",
        "content_type",
        "endpoint",
        "max_size",
        "method",
        "object",
        "path_style",
        "prefix",
        "region",
        "response",
        "size",
    ];

    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let settings = Settings::from_members(members, names);
        if !names.has_ttl {
            names
                .token
                .problem("`ttl` is missing; write how long an address is valid, such as \"5m\"");
        }
        let made = Names { made: &["input", "token"], ..*names };
        let response = Response::from_members(members, &made);
        let access_key_id = names.public_member("access_key_id")?;
        let (_, secret) = names.keys.signing()?;
        let (access_key_id, secret) = (access_key_id.to_owned(), secret.clone());
        let session_token = session_token(names)?;
        let (settings, response) = (settings?, response?);
        Some(Self { settings, access_key_id, secret, session_token, response })
    }

    /// Signs what one user may do.
    pub(in crate::mint) fn signed(&self, scope: &Scope<'_>) -> Result<SignedRequest, MintError> {
        match self.settings.method {
            Method::Get | Method::Put => self.address(scope),
            Method::Post => self.form(scope),
        }
    }

    fn stamp(&self, scope: &Scope<'_>) -> Result<Stamp, MintError> {
        let form = |form: DateForm| {
            form.text(scope.times.now)
                .ok_or_else(|| MintError::Unavailable("the clock is after the year 9999".into()))
        };
        let (time, day) = (form(DateForm::Basic)?, form(DateForm::Day)?);
        let scope = format!("{day}/{}/s3/aws4_request", self.settings.region);
        Ok(Stamp { time, scope, day })
    }

    /// Signature Version 4: a key for the day, the region and the service signs the text.
    fn signature(&self, stamp: &Stamp, text: &str) -> String {
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        };
        let start = [b"AWS4", self.secret.bytes()].concat();
        let mut key = sign(&start, &stamp.day);
        for step in [self.settings.region.as_str(), "s3", "aws4_request"] {
            key = sign(key.as_ref(), step);
        }
        hex(sign(key.as_ref(), text).as_ref())
    }

    /// A presigned address.
    fn address(&self, scope: &Scope<'_>) -> Result<SignedRequest, MintError> {
        let stamp = self.stamp(scope)?;
        let key = object_key(self.settings.object.as_ref(), scope)?;
        let (host, path) = self.settings.place(&key);
        let headers = self.signed_headers(&host, scope)?;
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let (method, operation) = match self.settings.method {
            Method::Get => ("GET", "GetObject"),
            Method::Post | Method::Put => ("PUT", "PutObject"),
        };
        let query = [
            ("X-Amz-Algorithm", Some("AWS4-HMAC-SHA256".to_owned())),
            ("X-Amz-Content-Sha256", Some("UNSIGNED-PAYLOAD".to_owned())),
            ("X-Amz-Credential", Some(format!("{}/{}", self.access_key_id, stamp.scope))),
            ("X-Amz-Date", Some(stamp.time.clone())),
            ("X-Amz-Expires", Some(scope.times.ttl.unwrap_or_default().to_string())),
            ("X-Amz-Security-Token", self.session_token.clone()),
            ("X-Amz-SignedHeaders", Some(names.join(";"))),
            ("x-id", Some(operation.to_owned())),
        ];
        let query: Vec<_> = query
            .iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))))
            .collect();
        let query = query.join("&");
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request =
            format!("{method}\n{path}\n{query}\n{lines}\n{}\nUNSIGNED-PAYLOAD", names.join(";"));
        let hash = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", stamp.time, stamp.scope);
        let signature = self.signature(&stamp, &text);
        let url = format!(
            "{}://{host}{path}?{query}&X-Amz-Signature={signature}",
            self.settings.scheme()
        );
        let fields = headers.into_iter().filter(|(name, _)| *name == "content-type");
        let fields = fields.map(|(name, value)| (name.to_owned(), value.into())).collect();
        Ok(SignedRequest { url, fields: Value::Object(fields) })
    }

    /// The headers an upload must have, sorted. Without a size, a `PUT` would have no limit.
    fn signed_headers(
        &self,
        host: &str,
        scope: &Scope<'_>,
    ) -> Result<Vec<(&'static str, String)>, MintError> {
        let mut headers = Vec::new();
        if self.settings.method == Method::Put {
            headers.push(("content-length", self.settings.size(scope)?.to_string()));
            if let Some(kind) = self.settings.content_type(scope)? {
                headers.push(("content-type", kind));
            }
        }
        headers.push(("host", host.to_owned()));
        Ok(headers)
    }

    /// A form for `multipart/form-data`, with a policy for what it may upload. The
    /// conditions are in the order of the vendor's library, so that equal inputs have
    /// equal signatures.
    fn form(&self, scope: &Scope<'_>) -> Result<SignedRequest, MintError> {
        let stamp = self.stamp(scope)?;
        let prefix = key_prefix(self.settings.prefix.as_ref(), scope)?;
        let ends = scope.times.exp.and_then(|exp| DateForm::Utc.text(exp)).unwrap_or_default();
        let mut conditions = vec![json!(["content-length-range", 0, self.settings.max_size])];
        let mut fields = Map::new();
        if let Some(kind) = self.settings.content_type(scope)? {
            match kind_prefix(&kind) {
                Some(start) => conditions.push(json!(["starts-with", "$Content-Type", start])),
                None => drop(fields.insert("Content-Type".to_owned(), kind.into())),
            }
        }
        for (name, value) in [
            ("bucket", Some(self.settings.bucket.clone())),
            ("X-Amz-Algorithm", Some("AWS4-HMAC-SHA256".to_owned())),
            ("X-Amz-Credential", Some(format!("{}/{}", self.access_key_id, stamp.scope))),
            ("X-Amz-Date", Some(stamp.time.clone())),
            ("X-Amz-Security-Token", self.session_token.clone()),
        ] {
            fields.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        conditions.extend(fields.iter().map(|(name, value)| json!({ name: value })));
        conditions.push(json!(["starts-with", "$key", prefix]));
        let policy = json!({ "expiration": ends, "conditions": conditions }).to_string();
        let policy = STANDARD.encode(policy);
        let signature = self.signature(&stamp, &policy);
        for (name, value) in [
            ("key", format!("{prefix}${{filename}}")),
            ("Policy", policy),
            ("X-Amz-Signature", signature),
        ] {
            fields.insert(name.to_owned(), value.into());
        }
        let (host, path) = self.settings.place("");
        let url = format!("{}://{host}{path}", self.settings.scheme());
        Ok(SignedRequest { url, fields: Value::Object(fields) })
    }
}

/// The token of temporary credentials, if the key has one.
fn session_token(names: &Names<'_>) -> Option<Option<String>> {
    let Some(token) = names.keys.public("session_token") else { return Some(None) };
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        names.token.problem(
            "`key.session_token` is empty or holds a blank (the value is not repeated here); leave \
             it out unless the key is a temporary one",
        );
        return None;
    }
    Some(Some(token.to_owned()))
}

/// `image/` for `image/*`, empty for `*/*`; `None` for a whole media type.
fn kind_prefix(kind: &str) -> Option<&str> {
    if kind == "*/*" { Some("") } else { kind.strip_suffix('*') }
}

/// Longest key in bytes.
const LONGEST: usize = 1024;

/// The key of one file: no empty segment and no dot segment, which would lead elsewhere.
fn object_key(object: Option<&Text>, scope: &Scope<'_>) -> Result<String, MintError> {
    let key = match object {
        Some(text) => text.needed(scope)?,
        None => String::new(),
    };
    let is_bad = |step: &str| matches!(step, "" | "." | "..");
    if key.len() > LONGEST || key.contains(char::is_control) || key.split('/').any(is_bad) {
        return Err(MintError::not_allowed(
            "`object` is longer than 1024 bytes, or has an empty segment or a dot segment",
        ));
    }
    Ok(key)
}

/// A prefix that ends a level: `users/1` would also be the start of `users/12`.
fn key_prefix(prefix: Option<&Text>, scope: &Scope<'_>) -> Result<String, MintError> {
    let text = match prefix {
        Some(text) => text.needed(scope)?,
        None => String::new(),
    };
    let Some(levels) = text.strip_suffix('/') else {
        return Err(MintError::not_allowed(
            "`prefix` must end with `/`, or it would also match the start of other users' keys",
        ));
    };
    if levels.split('/').any(|step| matches!(step, "" | "." | "..")) {
        return Err(MintError::not_allowed("`prefix` has an empty segment or a dot segment"));
    }
    // S3 puts the name of the user's own file in place of `${filename}`.
    if text.len() > LONGEST || text.contains(|c: char| c == '$' || c.is_control()) {
        return Err(MintError::not_allowed(
            "`prefix` is longer than 1024 bytes, or holds `$` or a control character",
        ));
    }
    Ok(text)
}
