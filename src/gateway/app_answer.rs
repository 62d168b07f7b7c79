//! Removes fields that concern only the connection to the app, and must not reach the
//! client (RFC 9110 section 7.6.1).

use http::response::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;
use pingora::protocols::http::ServerSession;

/// Fields that describe one connection, or are meant for the next hop alone.
const HOP_BY_HOP: [HeaderName; 6] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHENTICATE,
    header::TE,
];

/// Fields that frame the body. The framework reads and rewrites them, whatever
/// `Connection` says.
const FRAMING: [HeaderName; 3] =
    [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// Removes the fields that describe the app's connection, and states the framing once.
/// `version` is the client's.
pub(super) fn keep_for_the_client(response: &mut ResponseHeader, version: Version) -> Result<()> {
    // A tunnel is one connection from end to end, which its head describes.
    let is_tunnel = response.status == StatusCode::SWITCHING_PROTOCOLS;
    if !is_tunnel {
        remove_named(response);
    }
    let is_hop_by_hop =
        |name: &&HeaderName| HOP_BY_HOP.contains(name) || (**name == header::UPGRADE && !is_tunnel);
    // Almost always none, so one look at each name costs less than a search for each of
    // these.
    let found: Vec<HeaderName> = response.headers.keys().filter(is_hop_by_hop).cloned().collect();
    for name in &found {
        response.remove_header(name);
    }
    if version == Version::HTTP_2 {
        copy_values(response);
    }
    if has_no_body(response.status) {
        response.remove_header(&header::TRANSFER_ENCODING);
    } else {
        say_chunked_once(response)?;
    }
    if version != Version::HTTP_2 {
        // Each hop states its own version (RFC 9110 section 2.5).
        response.set_version(Version::HTTP_11);
    }
    say_length_once(response)
}

/// Whether an answer has no body, and so nothing that frames one (RFC 9112 section 6.1).
fn has_no_body(status: StatusCode) -> bool {
    let none = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    status.is_informational() || none.contains(&status)
}

/// Prepares the client's connection for a head with this status. An interim one passes to
/// clients that know it (RFC 9110 section 15.2), and before the request's body is over: the
/// framework would end the connection with the answer.
pub(super) fn keep_connection(client: &mut ServerSession, status: StatusCode) {
    let is_interim = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
    client.set_close_on_response_before_downstream_finish(!is_interim);
    if is_interim {
        client.set_ignore_info_resp(client.req_header().version == Version::HTTP_10);
    }
}

/// Frees the buffer that the head was read into. HTTP/2 keeps some values for as long as the
/// connection is open, to refer to them later (RFC 7541 section 2.3.2), and with each its
/// whole buffer of 4 KiB or more.
fn copy_values(response: &mut ResponseHeader) {
    let (empty, ()) = Response::new(()).into_parts();
    let mut parts: Parts = std::mem::replace(response, empty.into()).into();
    for value in parts.headers.values_mut() {
        if let Ok(mut own) = HeaderValue::from_bytes(value.as_bytes()) {
            own.set_sensitive(value.is_sensitive());
            *value = own;
        }
    }
    *response = parts.into();
}

/// Removes the fields that `Connection` names.
fn remove_named(response: &mut ResponseHeader) {
    let fields = response.headers.get_all(header::CONNECTION).iter();
    let options = fields.flat_map(|field| field.as_bytes().split(|&b| b == b','));
    let named = options.map(<[u8]>::trim_ascii).filter(|option| {
        // The usual values name no field.
        !option.is_empty() && !option.eq_ignore_ascii_case(b"keep-alive")
    });
    let named = named.filter_map(|option| HeaderName::from_bytes(option).ok());
    let named: Vec<HeaderName> = named.filter(|name| !FRAMING.contains(name)).collect();
    for name in &named {
        response.remove_header(name);
    }
}

/// `chunked` alone, as the framework frames such a body for the client, and in a version that
/// knows it (RFC 9112 section 6.1). Other codings stay the app's affair.
fn say_chunked_once(response: &mut ResponseHeader) -> Result<()> {
    let codings = response.headers.get_all(header::TRANSFER_ENCODING);
    let mut fields = codings.iter().map(HeaderValue::as_bytes);
    let Some(first) = fields.next() else { return Ok(()) };
    if first == b"chunked" && fields.next().is_none() && response.version == Version::HTTP_11 {
        return Ok(());
    }
    let mut all = codings.iter().flat_map(|field| field.as_bytes().split(|&b| b == b','));
    if !all.all(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked")) {
        return Ok(());
    }
    response.set_version(Version::HTTP_11);
    response.insert_header(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))
}

/// One length, where several equal ones were sent. The framework has refused different
/// ones.
fn say_length_once(response: &mut ResponseHeader) -> Result<()> {
    let mut lengths = response.headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = lengths.next().map(HeaderValue::as_bytes) else { return Ok(()) };
    if lengths.next().is_none() && !first.contains(&b',') {
        return Ok(());
    }
    let length = first.split(|&b| b == b',').next().unwrap_or_default().trim_ascii();
    let length = HeaderValue::from_bytes(length).unwrap_or_else(|_| HeaderValue::from_static("0"));
    response.insert_header(header::CONTENT_LENGTH, length)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// An answer with these fields, as the client is told it.
    fn told(
        (status, version): (u16, Version),
        client: Version,
        fields: &[(&'static str, &'static str)],
    ) -> ResponseHeader {
        let mut response = ResponseHeader::build(status, None).unwrap();
        response.set_version(version);
        for (name, value) in fields {
            response.append_header(*name, *value).unwrap();
        }
        keep_for_the_client(&mut response, client).unwrap();
        response
    }

    #[test]
    fn an_answer_without_a_body_is_not_framed_in_chunks() {
        for (status, is_framed) in
            [(100, false), (103, false), (204, false), (304, false), (200, true), (404, true)]
        {
            for codings in ["chunked", "Chunked", "chunked, chunked"] {
                let fields = [("transfer-encoding", codings), ("x-app", "1")];
                for client in [Version::HTTP_10, Version::HTTP_11] {
                    let told = told((status, Version::HTTP_11), client, &fields);
                    let kept = told.headers.contains_key("transfer-encoding");
                    assert_eq!(kept, is_framed, "{status} {codings}");
                    assert!(told.headers.contains_key("x-app"));
                }
            }
        }
    }

    #[test]
    fn a_client_is_told_the_gateways_version() {
        for version in [Version::HTTP_10, Version::HTTP_11] {
            for client in [Version::HTTP_10, Version::HTTP_11] {
                for status in [103, 200, 204, 404] {
                    let told = told((status, version), client, &[("content-length", "2")]);
                    assert_eq!(told.version, Version::HTTP_11, "{status} {version:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_kept_of_an_answer_over_http2_holds_the_buffer_it_was_read_into() {
        for (version, is_free) in [(Version::HTTP_2, true), (Version::HTTP_11, false)] {
            let buffer = Bytes::from(b"date: today\r\nserver: app\r\n".repeat(100));
            let mut response = ResponseHeader::build(200, None).unwrap();
            for (name, part) in [("date", 6..11), ("server", 21..24)] {
                let value = HeaderValue::from_maybe_shared(buffer.slice(part)).unwrap();
                response.append_header(name, value).unwrap();
            }
            keep_for_the_client(&mut response, version).unwrap();
            assert_eq!(buffer.is_unique(), is_free, "{version:?}");
            assert_eq!(response.headers["date"], "today");
            assert_eq!(response.headers["server"], "app");
            assert_eq!(response.headers.len(), 2);
        }
    }
}
