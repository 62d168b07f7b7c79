//! Requests, written byte by byte.

use super::cookie_of;

/// A request to be sent; `Host` is there unless a test removes it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    target: String,
    version: &'static str,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

pub(crate) fn get(target: &str) -> Request {
    Request::new("GET", target)
}

pub(crate) fn post(target: &str, body: &[u8]) -> Request {
    let length = body.len().to_string();
    let mut request = Request::new("POST", target).header("Content-Length", &length);
    request.body = body.to_vec();
    request
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1",
            fields: vec![("Host".to_owned(), b"app.test".to_vec())],
            body: Vec::new(),
        }
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.header_bytes(name, value.as_bytes())
    }

    pub(crate) fn header_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.fields.push((name.to_owned(), value.to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self
    }

    pub(crate) fn host(self, host: &str) -> Self {
        self.without("Host").header("Host", host)
    }

    /// With the session cookie of `user`.
    pub(crate) fn user(self, user: &str) -> Self {
        self.header("Cookie", &cookie_of(user))
    }

    /// As a browser opens a page.
    pub(crate) fn navigation(self) -> Self {
        self.header("Sec-Fetch-Mode", "navigate").header("Accept", "text/html,*/*;q=0.8")
    }

    pub(crate) fn http10(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// A body whose length the test states itself.
    pub(crate) fn raw_body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            format!("{} {} {}\r\n", self.method, self.target, self.version).into_bytes();
        for (name, value) in &self.fields {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
