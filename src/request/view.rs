//! A request as the core sees it, once nothing about it is ambiguous.
//!
//! `admit` refuses what two programs could read differently (framing, target,
//! host) and says what to normalise; `RequestView` is then the only request that the
//! deciding code knows. Neither knows the proxy framework.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Version};

use crate::base::host::is_host;
use crate::request::client::Client;
use crate::request::min_rate::MinRate;
use crate::request::path;
use crate::request::refusal::{Audience, Refusal, RequestPart};
use crate::session::{Cookies, SentHeaders};

/// Fetch metadata (W3C), which the `http` crate does not name.
pub(crate) static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(crate) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The fields by which Next.js and browsers tell a prefetch.
static X_MIDDLEWARE_PREFETCH: HeaderName = HeaderName::from_static("x-middleware-prefetch");
static NEXT_ROUTER_PREFETCH: HeaderName = HeaderName::from_static("next-router-prefetch");
static PURPOSE: HeaderName = HeaderName::from_static("purpose");
static SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

pub(crate) const NO_REQUEST_LINE: Refusal =
    Refusal::BadRequest("the request line is not a method, a target and a version");

/// Limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Largest head, in bytes.
    pub header: usize,
    /// Most fields in a head.
    pub headers: usize,
    /// Longest target, in bytes.
    pub uri: usize,
    /// Largest body that the gateway itself reads, in bytes.
    pub token_body: usize,
    /// Longest wait for the next piece of a body to arrive, or of an answer to be taken.
    pub body_timeout: Duration,
    /// Least that a body must move, up and down; `None` is anything.
    pub min_body_rate: Option<MinRate>,
    /// Longest time for a whole body that the gateway itself reads.
    pub token_body_timeout: Duration,
}

const BODY_TIMEOUT: Duration = Duration::from_secs(60);

impl RequestLimits {
    /// The framework does not read more.
    pub const MOST_HEADERS: usize = 256;
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            header: 32 * 1024,
            headers: 128,
            uri: 8 * 1024,
            token_body: 64 * 1024,
            body_timeout: BODY_TIMEOUT,
            min_body_rate: Some(MinRate::default_with(BODY_TIMEOUT)),
            token_body_timeout: Duration::from_secs(10),
        }
    }
}

/// The protocol that a request asks to switch to, if it is a tunnel that it asks for: a
/// request of HTTP/1.1 without a body that names exactly one protocol and lists `upgrade`
/// in `Connection` (RFC 9110 section 7.8). A request with any other `Upgrade` field is an
/// ordinary one. A WebSocket is opened by GET (RFC 6455 section 4.1).
pub(crate) fn upgrade<'h>(
    method: &Method,
    version: Version,
    headers: &'h HeaderMap,
) -> Option<&'h HeaderValue> {
    let mut protocols = headers.get_all(header::UPGRADE).iter();
    let (Some(protocol), None) = (protocols.next(), protocols.next()) else { return None };
    let is_websocket = protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    let asks = (*method == Method::GET || (*method == Method::POST && !is_websocket))
        && version == Version::HTTP_11
        && lists(headers, &header::CONNECTION, "upgrade")
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && headers.get_all(header::CONTENT_LENGTH).iter().all(|length| length == "0");
    asks.then_some(protocol)
}

/// Whether a list, possibly spread over several fields, has this member.
fn lists(headers: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    let fields = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let mut members = fields.flat_map(|field| field.split(|&b| b == b','));
    members.any(|found| found.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
}

/// Fields that decide something here or at the app, so that no client may have one of
/// them dropped between the two (RFC 9110 section 7.6.1).
const FOR_THE_APP: [&str; 8] = [
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "origin",
    "sec-fetch-site",
    "x-requested-with",
];

/// `Connection` may name what ends at this connection, and nothing that the app is to
/// see.
fn check_connection(head: &Head<'_>) -> Result<(), Refusal> {
    let fields = head.parts.headers.get_all(header::CONNECTION).iter();
    let mut options = fields.flat_map(|field| field.as_bytes().split(|&b| b == b','));
    let is_for_the_app = |option: &[u8]| {
        let option = option.trim_ascii();
        FOR_THE_APP.iter().any(|name| option.eq_ignore_ascii_case(name.as_bytes()))
    };
    if options.any(is_for_the_app) {
        return Err(Refusal::BadRequest("Connection names a field that the app must receive"));
    }
    Ok(())
}

/// The head of a request as received.
pub struct Head<'a> {
    pub parts: &'a Parts,
    /// The request target, byte for byte.
    pub target: &'a [u8],
    /// The HTTP/1 head as it came over the wire; absent for HTTP/2.
    pub raw: Option<&'a [u8]>,
    pub limits: RequestLimits,
}

/// Changes that the shell makes before anything else reads the request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Normalised {
    /// Several `Cookie` fields joined into one (RFC 9113 section 8.2.3).
    pub cookie: Option<HeaderValue>,
    /// The authority of an absolute-form target, when there was no `Host`; or the `Host`
    /// without an empty port.
    pub host: Option<HeaderValue>,
    /// The origin form of an absolute-form target.
    pub target: Option<Vec<u8>>,
    /// Nothing to change: whether the body is chunked.
    pub is_chunked: bool,
}

/// Refuses a request that could be understood in two ways.
pub fn admit(head: &Head<'_>) -> Result<Normalised, Refusal> {
    let mut normalised = Normalised::default();
    check_size(head)?;
    check_method(&head.parts.method)?;
    normalised.is_chunked = check_framing(head)?;
    check_connection(head)?;
    head.raw.map_or(Ok(()), check_raw)?;
    if !head.target.iter().all(|b| b.is_ascii_graphic() && !b"\"<>".contains(b)) {
        return Err(Refusal::BadRequest(
            "the request target contains a character that must be escaped",
        ));
    }
    if head.parts.uri.scheme().is_some_and(|scheme| !["http", "https"].contains(&scheme.as_str())) {
        return Err(Refusal::BadRequest("the scheme of the request is neither http nor https"));
    }
    if !head.target.starts_with(b"/") {
        let (authority, path) = absolute_form(head.target)?;
        if head.parts.headers.get(header::HOST).is_none() {
            normalised.host = HeaderValue::from_bytes(authority).ok();
        }
        normalised.target = Some(path);
    }
    if let Some(host) = check_host(head, normalised.host.as_ref())? {
        normalised.host = Some(host);
    }
    let path = normalised.target.as_deref().unwrap_or(head.target);
    let path = path.split(|&b| b == b'?').next().unwrap_or_default();
    // Graphic ASCII only, as checked above.
    path::refuse(std::str::from_utf8(path).unwrap_or("//")).map_err(Refusal::BadRequest)?;
    normalised.cookie = join_cookies(&head.parts.headers);
    Ok(normalised)
}

fn check_size(head: &Head<'_>) -> Result<(), Refusal> {
    let headers = &head.parts.headers;
    let fields = || headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let size = head.raw.map_or_else(|| head.target.len() + fields().sum::<usize>(), <[u8]>::len);
    // Cookies in separate fields count as the one they are joined to (RFC 9113 8.2.3).
    let cookies = || headers.get_all(header::COOKIE).iter().count();
    let most = head.limits.headers;
    let is_many = headers.len() > most && headers.len() - cookies().saturating_sub(1) > most;
    if head.target.len() > head.limits.uri {
        return Err(Refusal::TooLarge(RequestPart::Target));
    }
    if size > head.limits.header || is_many {
        return Err(Refusal::TooLarge(RequestPart::Headers));
    }
    Ok(())
}

/// TRACE reflects what proxies must not reveal (RFC 9110 section 9.3.8); CONNECT
/// would make the gateway a tunnel.
fn check_method(method: &Method) -> Result<(), Refusal> {
    const REFUSED: [&str; 4] = ["TRACE", "TRACK", "CONNECT", "PRI"];
    // Some apps take `trace` for TRACE.
    if REFUSED.iter().any(|refused| method.as_str().eq_ignore_ascii_case(refused)) {
        return Err(method_not_allowed());
    }
    Ok(())
}

/// The refusal of a method that does not request a resource.
pub(crate) fn method_not_allowed() -> Refusal {
    Refusal::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".into())
}

/// One way to find the end of the body, or none (RFC 9112 section 6.3). Is it chunked?
fn check_framing(head: &Head<'_>) -> Result<bool, Refusal> {
    let headers = &head.parts.headers;
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next()
        && (lengths.next().is_some()
            || !length.as_bytes().iter().all(u8::is_ascii_digit)
            || length.is_empty()
            // Apps that count in 63 bits would read a longer number differently.
            || length.len() > 18)
    {
        return Err(Refusal::BadRequest("Content-Length must be one number"));
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(false) };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Refusal::BadRequest("Transfer-Encoding must be chunked and nothing else"));
    }
    // The framework drops Content-Length when both are present; the raw head
    // still shows it.
    let is_length = |line: &[u8]| {
        line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case(b"content-length:"))
    };
    if head.raw.is_some_and(|raw| raw.split(|&b| b == b'\n').any(is_length)) {
        return Err(Refusal::BadRequest("Content-Length and Transfer-Encoding cannot be combined"));
    }
    Ok(true)
}

/// The request line has exactly three words, and no fragment (which the
/// framework would drop silently). Lines end in CRLF.
pub(crate) fn check_raw(raw: &[u8]) -> Result<(), Refusal> {
    let mut lines = raw.split(|&b| b == b'\n').skip_while(|line| line.trim_ascii().is_empty());
    let line = lines.next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let words = line.split(|&b| b == b' ').count();
    if words != 3 || !line.iter().all(|&b| b.is_ascii_graphic() || b == b' ') {
        return Err(NO_REQUEST_LINE);
    }
    if line.contains(&b'#') {
        return Err(Refusal::BadRequest("the request target contains a fragment"));
    }
    // Some servers end a line here and others do not (RFC 9112 section 2.2).
    let head = raw.trim_ascii_start();
    let is_bare = |at: usize| at.checked_sub(1).and_then(|at| head.get(at)) != Some(&b'\r');
    if memchr::memchr_iter(b'\n', head).any(is_bare) {
        return Err(Refusal::BadRequest("a line of the head ends with a bare line feed"));
    }
    Ok(())
}

/// Splits `http://host/path` (RFC 9112 section 3.2.2) into authority and the
/// origin form that is forwarded instead.
fn absolute_form(target: &[u8]) -> Result<(&[u8], Vec<u8>), Refusal> {
    const NOT_ABSOLUTE: Refusal = Refusal::BadRequest("the request target is not a path");
    let rest = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let rest = rest.ok_or(NOT_ABSOLUTE)?;
    let end = rest.iter().position(|&b| b == b'/' || b == b'?').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(NOT_ABSOLUTE)?;
    let path = if path.starts_with(b"/") { path.to_vec() } else { [b"/", path].concat() };
    Ok((authority, path))
}

/// Checks the host, and returns it without its port if that is empty, which is another
/// spelling of the same host (RFC 3986 section 6.2.3).
fn check_host(
    head: &Head<'_>,
    from_target: Option<&HeaderValue>,
) -> Result<Option<HeaderValue>, Refusal> {
    let mut hosts = head.parts.headers.get_all(header::HOST).iter();
    let host = hosts.next().or(from_target).map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Refusal::BadRequest("Host was sent more than once"));
    }
    let authority = head.parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    match host.or(authority) {
        Some(host) if is_host(host) => Ok(None),
        // HTTP/1.0 had no Host.
        None if head.parts.version == Version::HTTP_10 => Ok(None),
        Some(_) | None => {
            let bare = host.and_then(|host| host.strip_suffix(b":")).filter(|bare| is_host(bare));
            bare.and_then(|bare| HeaderValue::from_bytes(bare).ok())
                .map(Some)
                .ok_or(Refusal::BadRequest("Host must be one host name with an optional port"))
        }
    }
}

fn join_cookies(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut fields = headers.get_all(header::COOKIE).iter();
    fields.next()?;
    fields.next()?;
    let fields: Vec<&[u8]> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&fields.join(&b"; "[..])).ok()
}

/// An admitted request.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    pub method: &'a Method,
    /// The path, exactly the bytes that are forwarded.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    /// The host the client asked for, as the outermost trusted proxy saw it.
    pub host: &'a str,
    pub client: &'a Client,
}

impl<'a> RequestView<'a> {
    pub fn cookies(&self) -> Cookies<'a> {
        let headers = SentHeaders::new(self.headers, self.client.via_trusted);
        Cookies::new(self.cookies_field()).with_headers(headers)
    }

    /// The `Cookie` field as it came; empty if none did.
    pub fn cookies_field(&self) -> &'a [u8] {
        self.headers.get(header::COOKIE).map(HeaderValue::as_bytes).unwrap_or_default()
    }

    pub fn header(&self, name: &HeaderName) -> Option<&'a [u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }

    /// The requesting origin, if there is exactly one.
    pub fn origin(&self) -> Option<&'a [u8]> {
        self.header(&header::ORIGIN).filter(|_| !self.is_repeated(&header::ORIGIN))
    }

    /// Whether a single-valued header came in several fields.
    pub fn is_repeated(&self, name: &HeaderName) -> bool {
        self.headers.get_all(name).iter().nth(1).is_some()
    }

    /// Whether the answer is for a page being opened (Fetch metadata, else `Accept`) or
    /// for a script.
    pub fn audience(&self) -> Audience {
        let opens = match self.header(&SEC_FETCH_MODE) {
            Some(mode) => mode == b"navigate",
            None => {
                self.header(&header::ACCEPT).is_some_and(|accept| accept.starts_with(b"text/html"))
            }
        };
        if opens && self.method == Method::GET { Audience::Navigation } else { Audience::Script }
    }

    /// Whether a browser asks if another site may send the request that it names (Fetch
    /// section 4.8): the method of that request.
    pub(crate) fn preflight(&self) -> Option<Method> {
        if self.method != Method::OPTIONS || self.origin().is_none() {
            return None;
        }
        Method::from_bytes(self.header(&header::ACCESS_CONTROL_REQUEST_METHOD)?).ok()
    }

    /// Whether the answer is fetched ahead of time and may never be wanted.
    pub(crate) fn is_prefetch(&self) -> bool {
        let mut purpose = [&PURPOSE, &SEC_PURPOSE].into_iter().filter_map(|name| self.header(name));
        let mut named = [&X_MIDDLEWARE_PREFETCH, &NEXT_ROUTER_PREFETCH].into_iter();
        named.any(|name| self.header(name).is_some())
            || purpose.any(|purpose| purpose.starts_with(b"prefetch"))
    }

    /// Whether the client asks for a token that was not handed out before.
    pub fn wants_fresh(&self) -> bool {
        let no_cache = |value: &[u8]| {
            value
                .split(|&b| b == b',')
                .any(|part| part.trim_ascii().eq_ignore_ascii_case(b"no-cache"))
        };
        self.headers.get_all(header::CACHE_CONTROL).iter().any(|value| no_cache(value.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
