//! Responses, and what must hold for every one the gateway makes itself.

use serde_json::Value;

use super::CANARY;

/// One whole response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Reads a head; `None` if these bytes are not one.
    pub(crate) fn parse(head: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.trim_end().split("\r\n");
        let mut words = lines.next()?.splitn(3, ' ');
        let version = words.next().filter(|word| word.starts_with("HTTP/"))?.to_owned();
        let status = words.next()?.parse().ok()?;
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.map(field).collect::<Option<_>>()?;
        Some(Self { version, status, headers, body: Vec::new() })
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    /// The stable code of a refusal.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let code = self.json()["code"].as_str().map(str::to_owned);
        code.unwrap_or_else(|| panic!("no code in {self:?}"))
    }

    /// A refusal of the gateway with this status and code, as a script gets it.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code.to_owned()), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
    }

    /// The token of an answer, without what surrounds it.
    #[track_caller]
    pub(crate) fn auth_token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["authToken"].as_str().expect("no authToken").to_owned()
    }

    /// Whether the app made it: it says so in every answer.
    pub(crate) fn is_from_app(&self) -> bool {
        self.header("x-app").is_some()
    }

    /// A refusal of the proxy framework, which the gateway replaces over HTTP/1.1.
    pub(crate) fn is_from_framework(&self) -> bool {
        self.header("server") == Some("Pingora")
    }

    /// Checks that hold for every answer the gateway makes itself.
    #[track_caller]
    pub(crate) fn check(&self) {
        if self.is_from_app() || self.status < 200 {
            return;
        }
        let whole = format!("{:?} {}", self.headers, self.text());
        assert!(!whole.contains(CANARY), "a secret in an answer: {whole}");
        if self.is_from_framework() {
            assert_eq!(self.version, "HTTP/2", "{self:?}");
            assert!(self.body.is_empty(), "{self:?}");
            return;
        }
        // Public keys are everybody's; what else the gateway says is somebody's.
        let is_public = self.header("cache-control") == Some("public, max-age=300");
        if is_public {
            assert_eq!(self.header("vary"), None, "{self:?}");
        } else {
            assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
            assert!(self.header("vary").is_some_and(|vary| vary.contains("Cookie")), "{self:?}");
        }
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        for absent in ["etag", "set-cookie", "last-modified", "server", "x-powered-by"] {
            assert_eq!(self.header(absent), None, "{self:?}");
        }
        assert_ne!(self.header("access-control-allow-origin"), Some("*"), "{self:?}");
        for single in ["content-type", "content-length", "vary", "retry-after", "location"] {
            assert!(self.all(single).len() <= 1, "{single} twice: {self:?}");
        }
    }
}
