//! The request that another proxy asks about, read from its question.
//!
//! Each kind of proxy has its own address, and with it one way to name method, path and
//! host. Fields of another family come from a client that hopes they are believed: such a
//! question is refused, and so is one that names a thing twice or in a form that no
//! request could have. Pure.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Uri, Version};

use super::client::{self, Scheme};
use super::ext_authz::HttpRequest;
use super::forwarded;
use super::headers::{self, ReservedHeaders};
use super::refusal::Refusal;
use super::view::{self, Head, RequestLimits};

const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const X_ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-original-host");
const X_FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const X_FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The headers that nginx's users write.
static ORIGINAL: [HeaderName; 4] =
    [X_ORIGINAL_METHOD, X_ORIGINAL_URI, X_ORIGINAL_URL, X_ORIGINAL_HOST];
/// The headers that Caddy and Traefik write.
static FORWARDED: [HeaderName; 3] = [X_FORWARDED_METHOD, X_FORWARDED_URI, X_FORWARDED_HOST];

/// Headers of the question's own connection.
static OWN: [HeaderName; 3] =
    [header::FORWARDED, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// How a proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker<'t> {
    /// Envoy: the question is the request itself, below a path.
    Envoy(&'t str),
    /// Caddy and Traefik: `X-Forwarded-Method`, `-Uri`, `-Host`.
    Forward,
    /// nginx: `X-Original-Method` and `-URI`, or `-URL`, and `Host`.
    Nginx(Allowed),
}

/// The outcome of a question with the answer yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    Passes,
    /// nginx has been refused and asks again for the words of the refusal. Should the
    /// answer have changed since, the browser must not see the empty yes.
    TryAgain,
}

impl<'t> Asker<'t> {
    /// By the target of a question.
    pub(crate) fn at(target: &'t str) -> Option<Self> {
        match target.split('?').next().unwrap_or_default() {
            "/auth/nginx" => return Some(Self::Nginx(Allowed::Passes)),
            "/auth/nginx/refused" => return Some(Self::Nginx(Allowed::TryAgain)),
            "/auth/forward" => return Some(Self::Forward),
            _ => {}
        }
        target.strip_prefix("/auth/envoy").filter(|rest| rest.starts_with('/')).map(Self::Envoy)
    }

    /// Whether the question's own line is the request's, with what a reader of lines may drop.
    pub(crate) fn is_the_request(self) -> bool {
        match self {
            Self::Envoy(_) => true,
            Self::Forward | Self::Nginx(_) => false,
        }
    }

    pub(crate) fn allowed(self) -> Allowed {
        match self {
            Self::Envoy(_) | Self::Forward => Allowed::Passes,
            Self::Nginx(allowed) => allowed,
        }
    }
}

/// The request in question, before it is admitted.
struct NamedRequest {
    method: Method,
    target: Vec<u8>,
    host: Option<HeaderValue>,
    /// The headers that named it; they are not part of it. Headers of other proxies are absent.
    named_by: &'static [HeaderName],
}

const BOTH: Refusal = Refusal::BadRequest(
    "the question names the request in two ways: the client sent X-Forwarded-Method, -Uri or \
     -Host, or X-Original-*, and the proxy uses the other set",
);
const REPEATED: Refusal =
    Refusal::BadRequest("the question names method, path, host or scheme more than once");
const MALFORMED: Refusal =
    Refusal::BadRequest("the question has an invalid method, path, host, scheme or client");
const FOREIGN: Refusal = Refusal::BadRequest(
    "the client sent a header that the gateway would remove but cannot remove behind another \
     proxy: a spelling of one that only the gateway sets, one that changes the method, path or \
     host, or one that names the user",
);

/// The request that is asked about, admitted as one that is sent here would be. `believed`
/// are the headers in which gates in front name the user.
pub(crate) fn read(
    asker: Asker<'_>,
    question: &Parts,
    managed: &ReservedHeaders,
    believed: &[&HeaderName],
    limits: RequestLimits,
) -> Result<Parts, Refusal> {
    let headers = &question.headers;
    check_connection(headers)?;
    let named = match asker {
        Asker::Envoy(target) => envoy(question, target)?,
        Asker::Forward => forward(headers)?,
        Asker::Nginx(_) => nginx(headers)?,
    };
    let asked = parts(named, headers)?;
    if names_another_host(headers, &asked)
        || !headers::foreign_words(&asked.headers, managed, believed).is_empty()
    {
        return Err(FOREIGN);
    }
    admit(asked, limits)
}

/// The same from a question over gRPC, and the names of the client's headers that must be
/// taken out.
pub(crate) fn read_check(
    http: &HttpRequest,
    managed: &ReservedHeaders,
    believed: &[&HeaderName],
    limits: RequestLimits,
) -> Result<(Parts, Vec<HeaderName>), Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in http.fields() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| MALFORMED)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| MALFORMED)?;
        headers.try_append(name, value).map_err(|_| MALFORMED)?;
    }
    check_connection(&headers)?;
    refuse_any(&headers, FORWARDED.iter().chain(&ORIGINAL))?;
    let method = Method::from_bytes(http.method.as_bytes()).map_err(|_| MALFORMED)?;
    let host = HeaderValue::from_str(&http.host).map_err(|_| MALFORMED)?;
    let target = http.path.clone().into_bytes();
    let mut asked =
        parts(NamedRequest { method, target, host: Some(host), named_by: &[] }, &headers)?;
    let mut foreign = headers::foreign_words(&asked.headers, managed, believed);
    if names_another_host(&headers, &asked) {
        foreign.push(header::FORWARDED);
    }
    for name in &foreign {
        asked.headers.remove(name);
    }
    Ok((admit(asked, limits)?, foreign))
}

fn names_another_host(headers: &HeaderMap, asked: &Parts) -> bool {
    let host = asked.headers.get(header::HOST).map_or(&b""[..], HeaderValue::as_bytes);
    forwarded::names_another_host(headers, host)
}

fn admit(mut asked: Parts, limits: RequestLimits) -> Result<Parts, Refusal> {
    let target = asked.uri.path_and_query().map_or("", PathAndQuery::as_str).to_owned();
    let head = Head { parts: &asked, target: target.as_bytes(), raw: None, limits };
    let normalised = view::admit(&head)?;
    if let Some(cookie) = normalised.cookie {
        asked.headers.insert(header::COOKIE, cookie);
    }
    if let Some(host) = normalised.host {
        asked.headers.insert(header::HOST, host);
    }
    Ok(asked)
}

/// Headers that all proxies share: the scheme, once, and the client's address.
fn check_connection(headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(proto) = one(headers, &X_FORWARDED_PROTO)? {
        proto.to_str().ok().and_then(Scheme::reported).ok_or(MALFORMED)?;
    }
    let mut fields = headers.get_all(X_FORWARDED_FOR).iter();
    let nearest = fields.next_back().map(HeaderValue::as_bytes);
    let nearest = nearest.and_then(|field| field.rsplit(|&b| b == b',').next());
    if nearest.is_some_and(|hop| client::parse_hop(hop).is_none()) {
        return Err(MALFORMED);
    }
    Ok(())
}

fn envoy(question: &Parts, target: &str) -> Result<NamedRequest, Refusal> {
    refuse_any(&question.headers, FORWARDED.iter().chain(&ORIGINAL))?;
    let host = one(&question.headers, &header::HOST)?.cloned();
    let authority = question.uri.authority();
    let host = host.or_else(|| HeaderValue::from_str(authority?.as_str()).ok());
    let method = question.method.clone();
    Ok(NamedRequest { method, target: target.into(), host, named_by: &[] })
}

fn forward(headers: &HeaderMap) -> Result<NamedRequest, Refusal> {
    const MISSING: Refusal = Refusal::BadRequest(
        "X-Forwarded-Method, X-Forwarded-Uri or X-Forwarded-Host is missing from the question",
    );
    refuse_any(headers, &ORIGINAL)?;
    let field = |name: HeaderName| one(headers, &name)?.ok_or(MISSING);
    let host = field(X_FORWARDED_HOST)?.clone();
    let target = field(X_FORWARDED_URI)?.as_bytes().to_vec();
    let method = method(field(X_FORWARDED_METHOD)?)?;
    Ok(NamedRequest { method, target, host: Some(host), named_by: &FORWARDED })
}

fn nginx(headers: &HeaderMap) -> Result<NamedRequest, Refusal> {
    const MISSING: Refusal = Refusal::BadRequest(
        "the question needs X-Original-Method, and X-Original-URI or X-Original-URL; write \
         proxy_set_header X-Original-Method $request_method, X-Original-URI $request_uri",
    );
    refuse_any(headers, &FORWARDED)?;
    let method = method(one(headers, &X_ORIGINAL_METHOD)?.ok_or(MISSING)?)?;
    let said = one(headers, &X_ORIGINAL_HOST)?;
    let own = one(headers, &header::HOST)?;
    match (one(headers, &X_ORIGINAL_URI)?, one(headers, &X_ORIGINAL_URL)?) {
        (Some(_), Some(_)) => Err(BOTH),
        (None, None) => Err(MISSING),
        (Some(uri), None) => {
            // nginx passes on a client's `X-Original-Host`, and the app hears `Host`.
            let differ = |said: &HeaderValue, own: &HeaderValue| {
                !said.as_bytes().eq_ignore_ascii_case(own.as_bytes())
            };
            if said.zip(own).is_some_and(|(said, own)| differ(said, own)) {
                return Err(BOTH);
            }
            let target = uri.as_bytes().to_vec();
            let host = own.or(said).cloned();
            Ok(NamedRequest { method, target, host, named_by: &ORIGINAL })
        }
        (None, Some(url)) => {
            let (host, target) = split_url(url.as_bytes()).ok_or(MALFORMED)?;
            if said.is_some_and(|said| said.as_bytes() != host) {
                return Err(BOTH);
            }
            let host = HeaderValue::from_bytes(host).map_err(|_| MALFORMED)?;
            let target = target.to_vec();
            Ok(NamedRequest { method, target, host: Some(host), named_by: &ORIGINAL })
        }
    }
}

/// Host and target of `https://host/path`.
fn split_url(url: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = url.strip_prefix(b"https://").or_else(|| url.strip_prefix(b"http://"))?;
    rest.split_at_checked(rest.iter().position(|&b| b == b'/')?)
}

fn refuse_any<'n>(
    headers: &HeaderMap,
    names: impl IntoIterator<Item = &'n HeaderName>,
) -> Result<(), Refusal> {
    let is_there = |name: &HeaderName| headers.contains_key(name);
    if names.into_iter().any(is_there) { Err(BOTH) } else { Ok(()) }
}

/// A field that may come once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut fields = headers.get_all(name).iter();
    let first = fields.next();
    if fields.next().is_some() { Err(REPEATED) } else { Ok(first) }
}

fn method(value: &HeaderValue) -> Result<Method, Refusal> {
    Method::from_bytes(value.as_bytes()).map_err(|_| MALFORMED)
}

/// The target as the rules read it: escaped where clients and proxies pass on what no
/// target may have (RFC 3986 section 2), as in a request that is sent here.
fn escaped(target: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(target.len());
    for &byte in target {
        match byte {
            b'"' => escaped.extend_from_slice(b"%22"),
            b'<' => escaped.extend_from_slice(b"%3C"),
            b'>' => escaped.extend_from_slice(b"%3E"),
            b'`' => escaped.extend_from_slice(b"%60"),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// The request in the form that rules read, without what only the question says. A path
/// that would not come out byte for byte is refused.
fn parts(named: NamedRequest, headers: &HeaderMap) -> Result<Parts, Refusal> {
    let NamedRequest { method, target, host, named_by } = named;
    let target = escaped(&target);
    let path = PathAndQuery::try_from(target.as_slice()).map_err(|_| MALFORMED)?;
    if !target.starts_with(b"/") || path.as_str().as_bytes() != target {
        return Err(MALFORMED);
    }
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path);
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method;
    parts.uri = Uri::from_parts(uri).map_err(|_| MALFORMED)?;
    parts.version = Version::HTTP_11;
    parts.headers = headers.clone();
    for name in OWN.iter().chain(named_by) {
        parts.headers.remove(name);
    }
    match host {
        Some(host) => parts.headers.insert(header::HOST, host),
        None => parts.headers.remove(header::HOST),
    };
    Ok(parts)
}

#[cfg(test)]
mod tests;
