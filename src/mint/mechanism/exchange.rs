//! Tokens a remote issuer makes with one HTTP call. The call is described and its
//! response read here; the shell makes it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::base::text::encode_uri_component;
use crate::document::{At, Key};
use crate::mint::error::MintError;
use crate::mint::json::text_of;
use crate::mint::key::{KeyUse, Publishing};
use crate::mint::layered_table::LayeredTable;
use crate::mint::remote_url::{RemoteUrl, Unfit};
use crate::mint::response::Response;
use crate::mint::template::{self, Names, Scope, SecretUse, Template, Text};
use crate::mint::token::Call;
use crate::request::headers::is_framing;
use crate::session::Pointer;

pub(in crate::mint) struct Exchange {
    method: Method,
    url: RemoteUrl,
    query: Vec<(String, Template)>,
    headers: Vec<(HeaderName, Text)>,
    body: Option<Template>,
    take: TokenPlaces,
    timeout: Duration,
    pub(in crate::mint) response: Response,
}

/// Where the issuer's response holds the token and its expiry.
struct TokenPlaces {
    token: Option<Pointer>,
    expires_at: Option<Pointer>,
    expires_in: Option<Pointer>,
}

/// The token a remote issuer made.
pub(in crate::mint) struct Answer {
    pub token: String,
    pub expires_at: Option<u64>,
}

const TIMEOUT: Duration = Duration::from_secs(5);

impl Exchange {
    pub(in crate::mint) const KEYS: [&str; 9] =
        ["body", "cookie_path", "headers", "method", "query", "response", "take", "timeout", "url"];
    pub(super) const KEY_USE: KeyUse =
        KeyUse { sent_to_issuer: &["headers", "query", "body"], publishing: Publishing::Never };

    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let shown = Names { secrets: SecretUse::Allowed, ..*names };
        let method = members.need("method", "method = \"POST\"").and_then(|at| method(&at));
        let url = members.need("url", "url = \"https://…\"").and_then(|at| url(&at, names));
        let query = pairs(members.take("query").as_ref(), |at| template::value(at, &shown));
        let headers = pairs(members.take("headers").as_ref(), |at| template::text(at, &shown));
        let headers = headers.and_then(|headers| named_headers(headers, names.token));
        let body = match members.take("body") {
            Some(at) => Some(template::value(&at, &shown)?),
            None => None,
        };
        let take = TokenPlaces::from_node(members.take("take").as_ref());
        let timeout = members.get("timeout").unwrap_or(TIMEOUT);
        let has_end = take.expires_at.is_some() || take.expires_in.is_some();
        let answered = Names { made: &["token"], has_ttl: names.has_ttl || has_end, ..*names };
        let response = Response::from_members(members, &answered);
        Some(Self {
            method: method?,
            url: url?,
            query: query?,
            headers: headers?,
            body,
            take,
            timeout,
            response: response?,
        })
    }

    /// The request to make.
    pub(in crate::mint) fn call(&self, scope: &Scope<'_>) -> Result<Call, MintError> {
        let unfit = |unfit: Unfit| unfit.into_error("the issuer's address", MintError::NotAllowed);
        let mut url = self.url.render(scope).map_err(unfit)?;
        let mut separator = if url.contains('?') { '&' } else { '?' };
        for (name, template) in &self.query {
            let Some(value) = template.value(scope)? else { continue };
            let value = text_of(&value)
                .ok_or_else(|| MintError::not_allowed("a query value is a list or table"))?;
            url.push(separator);
            url.push_str(&encode_uri_component(name));
            url.push('=');
            url.push_str(&encode_uri_component(&value));
            separator = '&';
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut body = Bytes::new();
        if let Some(template) = &self.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            body = Bytes::from(template.needed(scope)?.to_string());
        }
        for (name, text) in &self.headers {
            let mut value = HeaderValue::from_str(&text.needed(scope)?).map_err(|_| {
                MintError::not_allowed(format!("header `{name}` holds a control character"))
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Call { method: self.method.clone(), url, headers, body, timeout: self.timeout })
    }

    /// Reads the issuer's response.
    pub(in crate::mint) fn answer(
        &self,
        status: StatusCode,
        body: &Bytes,
        now: u64,
    ) -> Result<Answer, MintError> {
        let failed = |cause: String| Err(MintError::IssuerFailed(cause.into()));
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(MintError::Unavailable("the issuer limits us: it answered 429".into()));
        }
        if !status.is_success() {
            return failed(format!("the issuer answered {}", status.as_u16()));
        }
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return failed("the issuer's answer is not JSON".into());
        };
        let token = match &self.take.token {
            None => String::from_utf8_lossy(body).into_owned(),
            Some(pointer) => match pointer.find(&answer) {
                Some(Value::String(token)) if !token.is_empty() => token.clone(),
                _ => return failed("the issuer's answer holds no token where `take` says".into()),
            },
        };
        let number = |pointer: &Option<Pointer>| pointer.as_ref()?.find(&answer).and_then(seconds);
        let expires_in = number(&self.take.expires_in).map(|life| now.saturating_add(life));
        let expires_at = number(&self.take.expires_at).or(expires_in);
        if expires_at.is_some_and(|end| end <= now) {
            return failed("the issuer's token has already ended".into());
        }
        Ok(Answer { token, expires_at })
    }
}

/// Whole seconds before the year 10000; a larger number is milliseconds or nonsense.
fn seconds(value: &Value) -> Option<u64> {
    const LATEST: u64 = 253_402_300_800;
    value.as_u64().filter(|&seconds| seconds < LATEST)
}

impl TokenPlaces {
    fn from_node(at: Option<&At<'_>>) -> Self {
        let Some(mut table) = at.and_then(At::table) else {
            return Self { token: None, expires_at: None, expires_in: None };
        };
        let take = Self {
            token: table.get("token"),
            expires_at: table.get("expires_at"),
            expires_in: table.get("expires_in"),
        };
        table.finish();
        take
    }
}

fn method(at: &At<'_>) -> Option<Method> {
    let text = at.text("a method such as \"POST\"")?;
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| text == text.to_uppercase());
    if method.is_none() {
        at.wrong("a method such as \"POST\"");
    }
    method
}

/// A URL's path may hold no secret: it ends up in the logs of every hop. The key goes
/// along in the headers, so it is encrypted or stays on this machine.
fn url(at: &At<'_>, names: &Names<'_>) -> Option<RemoteUrl> {
    let url = RemoteUrl::from_node(at, names, "https://api.example.com/v1/token")?;
    if !url.server().is_private() {
        at.problem("the key would be sent unencrypted; write https://");
        return None;
    }
    Some(url)
}

fn pairs<T>(at: Option<&At<'_>>, read: impl Fn(&At<'_>) -> Option<T>) -> Option<Vec<(String, T)>> {
    let members = at.map(At::members).unwrap_or_default();
    let pair = |(key, at): &(&Key, At<'_>)| Some((key.name.clone(), read(at)?));
    let read: Vec<_> = members.iter().map(pair).collect();
    read.into_iter().collect()
}

fn named_headers(headers: Vec<(String, Text)>, token: &At<'_>) -> Option<Vec<(HeaderName, Text)>> {
    let mut named = Vec::new();
    for (name, text) in headers {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            token.problem("`headers` holds a name that is no header name");
            return None;
        };
        if is_framing(&name) {
            token.problem(format!(
                "`headers` sets `{name}`, which says where a request goes or where it ends"
            ));
            return None;
        }
        named.push((name, text));
    }
    Some(named)
}
