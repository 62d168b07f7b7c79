//! Proxies' statements about a request: the entries of `X-Forwarded-*`, or the elements of
//! `Forwarded` (RFC 7239) where none of those came.
//!
//! Each proxy appends, so the last entry is what the nearest one saw. A proxy that writes
//! one family passes the client's own fields of the other, so only one is read.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::base::host::is_host;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Ports that a browser leaves out of an origin.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// The host that a proxy was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ForwardedHost<'h> {
    host: Option<Cow<'h, str>>,
    /// The public port, where it came in a separate field.
    port: Option<u16>,
}

impl<'h> ForwardedHost<'h> {
    /// The port alone: the host is the one in `Host`.
    pub(crate) fn without_host(self) -> Self {
        Self { host: None, ..self }
    }

    /// The host with its port; `own` is the one in `Host`.
    pub(crate) fn or(self, own: &'h str) -> Cow<'h, str> {
        let host = self.host.unwrap_or(Cow::Borrowed(own));
        match self.port {
            Some(port) if !host.is_empty() && !has_port(&host) => format!("{host}:{port}").into(),
            Some(_) | None => host,
        }
    }
}

/// The client as the trusted proxy at `depth` saw it: 1 is the proxy that is connected
/// to the gateway.
/// Where there are fewer entries, the first one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen<'h> {
    pub proto: Option<Cow<'h, str>>,
    pub host: ForwardedHost<'h>,
}

/// The addresses of all `X-Forwarded-For` fields, the last one first.
pub(super) fn listed_addresses(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    from_the_right(headers, &X_FORWARDED_FOR)
}

/// Reads the `X-Forwarded-*` fields.
pub(super) fn listed(headers: &HeaderMap, depth: usize) -> Seen<'_> {
    let entry = |name: HeaderName| {
        let entry = from_the_right(headers, &name).take(depth).last()?;
        std::str::from_utf8(entry).ok().map(Cow::Borrowed)
    };
    let port = entry(X_FORWARDED_PORT).and_then(|port| port.parse().ok());
    Seen {
        proto: entry(X_FORWARDED_PROTO),
        host: ForwardedHost {
            host: entry(X_FORWARDED_HOST).filter(|host| is_host(host.as_bytes())),
            port: port.filter(|port| *port != 0 && !DEFAULT_PORTS.contains(port)),
        },
    }
}

/// One element of `Forwarded`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'h> {
    node: Option<Cow<'h, str>>,
    host: Option<Cow<'h, str>>,
    proto: Option<Cow<'h, str>>,
}

impl Element<'_> {
    pub(super) fn address(&self) -> &[u8] {
        self.node.as_deref().unwrap_or_default().as_bytes()
    }
}

/// The elements of `Forwarded`, if that is what the proxies write; none where it cannot
/// be read.
pub(super) fn elements(headers: &HeaderMap) -> Option<Vec<Element<'_>>> {
    if !headers.contains_key(header::FORWARDED) {
        return None;
    }
    let others = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_FORWARDED_PORT];
    if others.iter().any(|name| headers.contains_key(name)) {
        return None;
    }
    let mut elements = Vec::new();
    for field in headers.get_all(header::FORWARDED) {
        let read = field.to_str().ok().and_then(|text| {
            let parts = split(text, b',')?.into_iter().map(str::trim);
            parts.filter(|part| !part.is_empty()).map(element).collect::<Option<Vec<_>>>()
        });
        match read {
            Some(read) => elements.extend(read),
            None => return Some(Vec::new()),
        }
    }
    Some(elements)
}

/// Whether `Forwarded` names another host than this, for a reader however lenient.
pub(super) fn names_another_host(headers: &HeaderMap, host: &[u8]) -> bool {
    let fields = headers.get_all(header::FORWARDED).iter().map(HeaderValue::as_bytes);
    let mut pairs = fields.flat_map(|field| field.split(|byte| b",;".contains(byte)));
    pairs.any(|pair| {
        let mut parts = pair.splitn(2, |&byte| byte == b'=').map(<[u8]>::trim_ascii);
        let is_host = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"host"));
        let named = parts.next().unwrap_or_default();
        let named = named.strip_prefix(b"\"").unwrap_or(named);
        let named = named.strip_suffix(b"\"").unwrap_or(named);
        is_host && !without_port(named).eq_ignore_ascii_case(without_port(host))
    })
}

fn without_port(host: &[u8]) -> &[u8] {
    let end = host.iter().rposition(|byte| !byte.is_ascii_digit());
    end.filter(|&end| host.get(end) == Some(&b':')).and_then(|end| host.get(..end)).unwrap_or(host)
}

/// Reads the element at `depth`.
pub(super) fn said<'h>(elements: Vec<Element<'h>>, depth: usize) -> Seen<'h> {
    let Some(element) = elements.into_iter().rev().take(depth).next_back() else {
        return Seen::default();
    };
    let host = element.host.filter(|host| is_host(host.as_bytes()));
    Seen { proto: element.proto, host: ForwardedHost { host, port: None } }
}

/// `name=value` pairs between semicolons, no name twice (RFC 7239 section 4).
fn element(text: &str) -> Option<Element<'_>> {
    let mut element = Element::default();
    for pair in split(text, b';')? {
        let (name, value) = pair.trim().split_once('=')?;
        let value = unquoted(value)?;
        let place = match name.to_ascii_lowercase().as_str() {
            "for" => &mut element.node,
            "host" => &mut element.host,
            "proto" => &mut element.proto,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    Some(element)
}

/// The parts between separators that do not stand in a quoted string; `None` if a string
/// does not end.
fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

/// A token, or the text of a quoted string.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = value.strip_prefix('"') else {
        return (!value.contains(['"', ' '])).then_some(Cow::Borrowed(value));
    };
    let inner = inner.strip_suffix('"')?;
    if !inner.contains('\\') {
        return (!inner.contains('"')).then_some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => text.push(chars.next()?),
            '"' => return None,
            _ => text.push(char),
        }
    }
    Some(text.into())
}

/// The entries of a list, possibly spread over several fields, the last one first.
fn from_the_right<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h [u8]> + use<'h> {
    let fields = headers.get_all(name).into_iter().rev().map(HeaderValue::as_bytes);
    fields.flat_map(|field| field.rsplit(|&b| b == b',')).map(<[u8]>::trim_ascii)
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(']').map_or(host, |(_, port)| port).contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded<'h>(headers: &'h mut HeaderMap, fields: &[&str]) -> Vec<Element<'h>> {
        for field in fields {
            headers.append(header::FORWARDED, HeaderValue::from_str(field).unwrap());
        }
        elements(headers).unwrap()
    }

    #[test]
    fn elements_are_read_as_rfc_7239_writes_them() {
        type Read = &'static [(&'static str, &'static str, &'static str)];
        let table: [(&[&str], Read); 9] = [
            (&["for=192.0.2.43"], &[("192.0.2.43", "", "")]),
            (&["For=\"[2001:db8:cafe::17]:4711\""], &[("[2001:db8:cafe::17]:4711", "", "")]),
            (&["for=1.2.3.4;proto=http;by=203.0.113.43"], &[("1.2.3.4", "", "http")]),
            (&["for=a, for=b"], &[("a", "", ""), ("b", "", "")]),
            (&["for=a", "for=b;host=\"x:1\""], &[("a", "", ""), ("b", "x:1", "")]),
            (&["for=\"a,b\\\";c\";host=d"], &[("a,b\";c", "d", "")]),
            (&["for=a;for=b"], &[]),
            (&["for=\"a"], &[]),
            (&["for=a, host"], &[]),
        ];
        for (fields, expected) in table {
            let mut headers = HeaderMap::new();
            let read = forwarded(&mut headers, fields);
            let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or("").to_owned();
            let read: Vec<_> =
                read.iter().map(|e| (text(&e.node), text(&e.host), text(&e.proto))).collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned()))
                .collect();
            assert_eq!(read, expected, "{fields:?}");
        }
    }

    #[test]
    fn a_client_cannot_add_the_family_that_its_proxy_does_not_write() {
        let mut headers = HeaderMap::new();
        headers.insert(header::FORWARDED, HeaderValue::from_static("for=6.6.6.6;host=evil"));
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        assert_eq!(elements(&headers), None);
    }

    #[test]
    fn as_many_entries_count_as_there_are_trusted_proxies() {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_HOST, HeaderValue::from_static("evil, public"));
        headers.append(X_FORWARDED_HOST, HeaderValue::from_static("internal:8080"));
        headers.append(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        let host = |depth| listed(&headers, depth).host.or("own").into_owned();
        assert_eq!([1, 2, 3, 9].map(host), ["internal:8080", "public", "evil", "evil"]);
        assert_eq!(listed(&headers, 2).proto.as_deref(), Some("https"));
    }

    #[test]
    fn a_public_port_counts_unless_it_is_a_default_one_or_said_already() {
        let table = [
            ("a", "8443", "a:8443"),
            ("a", "443", "a"),
            ("a", "80", "a"),
            ("a", "x", "a"),
            ("a", "0", "a"),
            ("a:1", "8443", "a:1"),
            ("[::1]", "8443", "[::1]:8443"),
            ("[::1]:1", "8443", "[::1]:1"),
        ];
        for (host, port, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(X_FORWARDED_PORT, HeaderValue::from_static(port));
            assert_eq!(listed(&headers, 1).host.or(host), expected, "{host} {port}");
        }
    }
}
