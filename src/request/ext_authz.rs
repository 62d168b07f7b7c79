//! Envoy's question over gRPC, `envoy.service.auth.v3.Authorization/Check`: the messages, as
//! far as they are read and written here, and their frame. Pure.
//!
//! Field numbers are those of Envoy's `external_auth.proto`, `attribute_context.proto` and
//! `base.proto`. Unknown fields are skipped, as protocol buffers do.

use std::collections::HashMap;

use bytes::{Buf as _, Bytes};
use prost::Message;

/// The path of the one method.
pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Length of a frame's head: whether it is compressed, and how long it is.
const FRAME_HEAD: usize = 5;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(message, optional, tag = "4")]
    request: Option<Request>,
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

/// The request that is asked about.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpRequest {
    #[prost(string, tag = "2")]
    pub(crate) method: String,
    /// By name in lower case; several fields of one name are joined by commas.
    #[prost(map = "string, string", tag = "3")]
    pub(crate) headers: HashMap<String, String>,
    /// With its query.
    #[prost(string, tag = "4")]
    pub(crate) path: String,
    #[prost(string, tag = "5")]
    pub(crate) host: String,
    /// Every field as it came, instead of `headers`, where `encode_raw_headers` is set.
    #[prost(message, optional, tag = "13")]
    pub(crate) header_map: Option<RawHeaders>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RawHeaders {
    #[prost(message, repeated, tag = "1")]
    pub(crate) headers: Vec<RawHeader>,
}

/// The value stands in one of the two.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RawHeader {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) raw_value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    denied: Option<Denied>,
    #[prost(message, optional, tag = "3")]
    ok: Option<Allowed>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Denied {
    #[prost(message, optional, tag = "1")]
    status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, tag = "3")]
    body: String,
}

#[derive(Clone, PartialEq, Message)]
struct HttpStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Allowed {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, repeated, tag = "5")]
    headers_to_remove: Vec<String>,
}

/// One header; without `append` it replaces the client's.
#[derive(Clone, PartialEq, Message)]
struct HeaderOption {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl CheckRequest {
    /// Reads the body of a call: one frame, not compressed, that holds an HTTP request.
    pub(crate) fn read(body: &[u8]) -> Option<HttpRequest> {
        let (head, message) = body.split_at_checked(FRAME_HEAD)?;
        let (compressed, mut length) = head.split_first()?;
        let is_whole = *compressed == 0 && usize::try_from(length.get_u32()) == Ok(message.len());
        let request = Self::decode(message).ok().filter(|_| is_whole)?;
        request.attributes?.request?.http
    }
}

impl HttpRequest {
    /// The client's header fields, whichever way the proxy sends them. Pseudo-header fields
    /// are left out: they are said in fields of their own.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let joined = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let raw = self.header_map.iter().flat_map(|map| &map.headers).map(RawHeader::field);
        joined.chain(raw).filter(|(name, _)| !name.starts_with(':'))
    }
}

impl RawHeader {
    fn field(&self) -> (&str, &[u8]) {
        let Self { key, value, raw_value } = self;
        (key, if raw_value.is_empty() { value.as_bytes() } else { raw_value })
    }
}

impl CheckResponse {
    const PERMISSION_DENIED: i32 = 7;

    /// Yes: these headers replace the client's, those are taken out.
    pub(crate) fn allow(set: Vec<(String, String)>, remove: Vec<String>) -> Self {
        let ok = Allowed { headers: options(set), headers_to_remove: remove };
        Self { status: Some(Status { code: 0 }), denied: None, ok: Some(ok) }
    }

    /// No, with the answer for the browser.
    pub(crate) fn deny(status: u16, headers: Vec<(String, String)>, body: String) -> Self {
        let status = Some(HttpStatus { code: status.into() });
        let denied = Denied { status, headers: options(headers), body };
        let code = Self::PERMISSION_DENIED;
        Self { status: Some(Status { code }), denied: Some(denied), ok: None }
    }

    /// As the body of an answer.
    pub(crate) fn framed(&self) -> Bytes {
        let message = self.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut body = vec![0];
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&message);
        body.into()
    }
}

fn options(headers: Vec<(String, String)>) -> Vec<HeaderOption> {
    let option = |(key, value)| HeaderOption { header: Some(Header { key, value }) };
    headers.into_iter().map(option).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap();
        [&[0], &length.to_be_bytes()[..], message].concat()
    }

    fn question() -> Vec<u8> {
        let http = HttpRequest {
            method: "GET".to_owned(),
            headers: HashMap::from([("cookie".to_owned(), "a=b".to_owned())]),
            path: "/admin?x=1".to_owned(),
            host: "app.example.com".to_owned(),
            header_map: None,
        };
        let request = Some(Request { http: Some(http) });
        CheckRequest { attributes: Some(Attributes { request }) }.encode_to_vec()
    }

    #[test]
    fn a_question_is_one_whole_frame() {
        let message = question();
        let read = CheckRequest::read(&framed(&message)).unwrap();
        assert_eq!((read.method.as_str(), read.path.as_str()), ("GET", "/admin?x=1"));
        let mut compressed = framed(&message);
        compressed[0] = 1;
        let cut = &framed(&message)[..message.len()];
        let twice = [framed(&message), framed(&message)].concat();
        for body in [&compressed[..], cut, &twice, &[], &[0; 4], &framed(&[]), &framed(b"\xff")] {
            assert_eq!(CheckRequest::read(body), None, "{body:?}");
        }
    }

    #[test]
    fn every_field_is_read_however_it_is_sent() {
        let raw = |key: &str, value: &str, raw_value: &[u8]| {
            let (key, value) = (key.to_owned(), value.to_owned());
            RawHeader { key, value, raw_value: raw_value.to_vec() }
        };
        let headers = vec![raw(":path", "/", b""), raw("a", "b", b""), raw("a", "", b"\xff")];
        let headers = RawHeaders { headers };
        let http = HttpRequest { header_map: Some(headers), ..HttpRequest::default() };
        let read = HttpRequest::decode(&*http.encode_to_vec()).unwrap();
        assert!(read.fields().eq([("a", &b"b"[..]), ("a", b"\xff")]));
        let headers =
            HashMap::from([(":path", "/"), ("a", "b")].map(|(a, b)| (a.into(), b.into())));
        let http = HttpRequest { headers, ..HttpRequest::default() };
        assert!(http.fields().eq([("a", &b"b"[..])]));
    }

    #[test]
    fn an_answer_is_yes_or_no() {
        let read = |answer: CheckResponse| CheckResponse::decode(&answer.framed()[5..]).unwrap();
        let yes = read(CheckResponse::allow(vec![("a".into(), "b".into())], vec!["c".into()]));
        assert!(yes.ok.is_some() && yes.denied.is_none() && yes.status.unwrap().code == 0);
        let no = read(CheckResponse::deny(401, Vec::new(), "{}".to_owned()));
        assert_eq!(no.denied.unwrap().status.unwrap().code, 401);
        assert!(no.ok.is_none() && no.status.unwrap().code != 0);
    }
}
