//! One HTTP request to a remote issuer: its templates, and the request they make.
//!
//! Parts are made in an order: address, body, signature, headers. Each may use what
//! stands before it, so a signature covers the bytes that are sent.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::mac::Mac;
use crate::base::text::encode_uri_component;
use crate::base::url::Url;
use crate::document::{At, Key, Value as Node};
use crate::mint::error::MintError;
use crate::mint::json::text_of;
use crate::mint::remote_url::{RemoteUrl, UrlUnfit};
use crate::mint::template::{self, Names, Outgoing, Scope, Template, Text};
use crate::mint::token::Call;
use crate::request::headers::is_framing;

/// The templates of one request.
pub(super) struct RequestTemplate {
    method: Method,
    url: RemoteUrl,
    query: Vec<(String, Template)>,
    headers: Vec<(HeaderName, Text)>,
    /// User and password of HTTP Basic (RFC 7617).
    basic: Option<(Text, Text)>,
    body: Option<Body>,
    sign: Option<(Mac, Text)>,
    accept: &'static str,
    timeout: Duration,
}

/// The template of a body, by its media type.
enum Body {
    Form(Template),
    Json(Template),
}

const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads a member of the table that describes the request.
pub(super) type Take<'f, 'p> = &'f mut dyn FnMut(&'static str) -> Option<At<'p>>;

impl RequestTemplate {
    /// The members of a request, without its signature.
    pub(super) const KEYS: [&str; 8] =
        ["basic", "body", "form", "headers", "method", "query", "timeout", "url"];

    /// Reads the members of a request; `names` allow secrets. A signature adds
    /// `{sig}` to what headers may use.
    pub(super) fn from_members(
        take: Take<'_, '_>,
        sign: Option<(Mac, Text)>,
        accept: &'static str,
        names: &Names<'_>,
    ) -> Option<Self> {
        let method = needed(take("method"), "method", "\"POST\"", names).and_then(|at| method(&at));
        let url = needed(take("url"), "url", "\"https://…\"", names).and_then(|at| url(&at, names));
        let query = pairs(take("query").as_ref(), |at| template::value(at, names));
        let mut made = names.made.to_vec();
        made.push("call");
        if sign.is_some() {
            made.push("sig");
        }
        let late = Names { made: &made, ..*names };
        let headers = pairs(take("headers").as_ref(), |at| template::text(at, &late));
        let headers = headers.and_then(|headers| named_headers(headers, names.token));
        let basic = match take("basic") {
            Some(at) => Some(basic(&at, names)?),
            None => None,
        };
        let body = body(take("body"), take("form"), names)?;
        let timeout = take("timeout").and_then(|at| at.read()).unwrap_or(TIMEOUT);
        let (method, url, query, headers) = (method?, url?, query?, headers?);
        Some(Self { method, url, query, headers, basic, body, sign, accept, timeout })
    }

    pub(super) fn signs_with_rsa(&self) -> bool {
        self.sign.as_ref().is_some_and(|(mac, _)| mac.signs_with_rsa())
    }

    /// The request to make.
    pub(super) fn call(&self, scope: &Scope<'_>) -> Result<Call, MintError> {
        let url = self.address(scope)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(self.accept));
        let body = match &self.body {
            None => String::new(),
            Some(Body::Json(template)) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                template.needed(scope)?.to_string()
            }
            Some(Body::Form(template)) => {
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(CONTENT_TYPE, form);
                form_text(&*template.needed(scope)?)
            }
        };
        if let Some((user, password)) = &self.basic {
            let value = credentials(&user.needed(scope)?, &password.needed(scope)?)?;
            headers.insert(AUTHORIZATION, sensitive(&AUTHORIZATION, &value)?);
        }
        let parsed = Url::parse(&url)
            .ok_or_else(|| MintError::not_allowed("the issuer's address is not a URL"))?;
        let outgoing = Outgoing {
            method: self.method.as_str(),
            host: parsed.authority(),
            path: parsed.target(),
            body: &body,
        };
        let scope = Scope { outgoing: Some(outgoing), ..*scope };
        let signature = match &self.sign {
            Some((mac, text)) => Some(mac.sign(&text.needed(&scope)?)?),
            None => None,
        };
        let scope = Scope { signature: signature.as_deref(), ..scope };
        for (name, text) in &self.headers {
            let value = sensitive(name, &text.needed(&scope)?)?;
            headers.insert(name, value);
        }
        let (method, body) = (self.method.clone(), Bytes::from(body));
        Ok(Call { method, url, headers, body, timeout: self.timeout })
    }

    fn address(&self, scope: &Scope<'_>) -> Result<String, MintError> {
        let unfit =
            |unfit: UrlUnfit| unfit.into_error("the issuer's address", MintError::NotAllowed);
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
        Ok(url)
    }
}

/// A value that no debug output shows.
fn sensitive(name: &HeaderName, text: &str) -> Result<HeaderValue, MintError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        MintError::not_allowed(format!("header `{name}` holds a control character"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// HTTP Basic (RFC 7617 section 2): a user may hold no colon.
fn credentials(user: &str, password: &str) -> Result<String, MintError> {
    if user.contains(':') {
        return Err(MintError::not_allowed("the user of `basic` holds a colon"));
    }
    Ok(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// A table as a form. Tables in it are written `a[b]` and lists `a[0]`, as the libraries
/// of vendors that take forms do.
fn form_text(value: &Value) -> String {
    let mut text = String::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        push_field(&mut text, name, value);
    }
    text
}

fn push_field(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                push_field(text, &format!("{name}[{index}]"), item);
            }
        }
        Value::Object(members) => {
            for (member, value) in members {
                push_field(text, &format!("{name}[{member}]"), value);
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(&encode_uri_component(name));
            text.push('=');
            text.push_str(&encode_uri_component(&text_of(value).unwrap_or_default()));
        }
    }
}

fn needed<'p>(at: Option<At<'p>>, name: &str, example: &str, names: &Names<'_>) -> Option<At<'p>> {
    if at.is_none() {
        names.token.problem(format!("`{name}` is missing; write {name} = {example}"));
    }
    at
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
    let names = Names { secrets: template::SecretUse::Forbidden, made: &[], ..*names };
    let url = RemoteUrl::from_node(at, &names, "https://api.example.com/v1/token")?;
    if !url.server().is_private() {
        at.problem("the key would be sent unencrypted; write https://");
        return None;
    }
    Some(url)
}

fn basic(at: &At<'_>, names: &Names<'_>) -> Option<(Text, Text)> {
    let pair = at.items();
    let ([user, password], true) = (pair.as_slice(), matches!(at.node.value, Node::Array(_)))
    else {
        at.wrong("a user and a password: [\"{key.client_id}\", \"{key.client_secret}\"]");
        return None;
    };
    Some((template::text(user, names)?, template::text(password, names)?))
}

/// The body, which is JSON or a form.
fn body(json: Option<At<'_>>, form: Option<At<'_>>, names: &Names<'_>) -> Option<Option<Body>> {
    match (json, form) {
        (None, None) => Some(None),
        (Some(at), None) => Some(Some(Body::Json(template::value(&at, names)?))),
        (None, Some(at)) if matches!(at.node.value, Node::Table(_)) => {
            Some(Some(Body::Form(template::value(&at, names)?)))
        }
        (None, Some(at)) => {
            at.wrong("a table of fields, such as form = { grant_type = \"client_credentials\" }");
            None
        }
        (Some(_), Some(at)) => {
            at.problem("a request has one body: write `form` or `body` (JSON), not both");
            None
        }
    }
}

fn pairs<T>(at: Option<&At<'_>>, read: impl Fn(&At<'_>) -> Option<T>) -> Option<Vec<(String, T)>> {
    let members = at.map(At::members).unwrap_or_default();
    let pair = |(key, at): &(&Key, At<'_>)| Some((key.name.clone(), read(at)?));
    let read: Vec<_> = members.iter().map(pair).collect();
    read.into_iter().collect()
}

fn named_headers(headers: Vec<(String, Text)>, token: &At<'_>) -> Option<Vec<(HeaderName, Text)>> {
    let mut named: Vec<(HeaderName, Text)> = Vec::new();
    for (name, text) in headers {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            token.problem("`headers` has a name that is not a header name");
            return None;
        };
        if is_framing(&name) {
            token.problem(format!("`headers` sets `{name}`, which routes or frames the request"));
            return None;
        }
        if named.iter().any(|(other, _)| *other == name) {
            token.problem(format!("`headers` sets `{name}` twice, in two spellings"));
            return None;
        }
        named.push((name, text));
    }
    Some(named)
}
