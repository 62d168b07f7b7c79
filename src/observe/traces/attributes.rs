//! Attributes of spans. Names are those of OpenTelemetry's stable HTTP convention, or begin
//! with `portcullis.`.

use super::messages::{AnyKind, AnyValue, KeyValue};

/// The attributes of one span; empty texts are left out.
#[derive(Default)]
pub(super) struct Attributes(Vec<KeyValue>);

/// Methods that the convention lists; any other is `_OTHER`.
const METHODS: [&str; 10] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];
const OTHER: &str = "_OTHER";
/// Longest text of one attribute, in bytes.
const LONGEST: usize = 1024;

impl Attributes {
    pub(super) fn text(mut self, key: &str, value: &str) -> Self {
        if !value.is_empty() {
            let end = value.floor_char_boundary(LONGEST);
            let value = value.get(..end).unwrap_or_default();
            self.push(key, AnyKind::Text(value.to_owned()));
        }
        self
    }

    pub(super) fn number(mut self, key: &str, value: impl Into<i64>) -> Self {
        self.push(key, AnyKind::Number(value.into()));
        self
    }

    pub(super) fn flag(mut self, key: &str, value: bool) -> Self {
        self.push(key, AnyKind::Flag(value));
        self
    }

    /// A method; the name of the span begins with what `word_of` makes of it.
    pub(super) fn method(self, method: &str) -> Self {
        if METHODS.contains(&method) {
            return self.text("http.request.method", method);
        }
        self.text("http.request.method", OTHER).text("http.request.method_original", method)
    }

    /// Host and port, as in `Host`.
    pub(super) fn authority(self, authority: &str) -> Self {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
            _ => (authority, ""),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let server = self.text("server.address", host);
        match port.parse::<u16>() {
            Ok(port) => server.number("server.port", port),
            Err(_) => server,
        }
    }

    pub(super) fn done(self) -> Vec<KeyValue> {
        self.0
    }

    fn push(&mut self, key: &str, value: AnyKind) {
        self.0.push(KeyValue { key: key.to_owned(), value: Some(AnyValue { kind: Some(value) }) });
    }
}

/// A method in the name of a span.
pub(super) fn word_of(method: &str) -> &str {
    if METHODS.contains(&method) { method } else { "HTTP" }
}
