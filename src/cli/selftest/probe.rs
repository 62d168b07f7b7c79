//! The requests of the test, one after the other, up to a maximum.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use crate::outbound::{Answer, Call, LongBody, Outbound, OutboundError, Url, send_http2};

/// Most requests of one run, and as many again for each path that is tested.
const MOST: usize = 60;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of a longer answer only this much is looked at.
pub(super) const LONGEST_ANSWER: usize = 1024 * 1024;

/// Whether the operator's session goes along.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    Anonymous,
    SignedIn,
}

/// One request.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) session: Session,
}

impl<'a> Ask<'a> {
    pub(super) const fn get(path: &'a str) -> Self {
        Self { method: &Method::GET, path, headers: &[], session: Session::Anonymous }
    }

    pub(super) const fn with(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }

    pub(super) const fn signed_in(self) -> Self {
        Self { session: Session::SignedIn, ..self }
    }

    /// As the report names it.
    pub(super) fn name(&self) -> String {
        let session = match self.session {
            Session::Anonymous => "",
            Session::SignedIn => " with the session",
        };
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let headers =
            if headers.is_empty() { String::new() } else { format!(" ({})", headers.join(", ")) };
        format!("{} {}{session}{headers}", self.method, self.path)
    }
}

/// Asks one deployment.
pub(super) struct Probe {
    outbound: Outbound,
    /// Scheme and authority.
    origin: String,
    cookie: Option<HeaderValue>,
    asked: AtomicUsize,
    most: usize,
}

impl Probe {
    pub(super) fn new(
        outbound: Outbound,
        origin: String,
        cookie: Option<HeaderValue>,
        paths: usize,
    ) -> Self {
        let most = MOST * (1 + paths);
        Self { outbound, origin, cookie, asked: AtomicUsize::new(0), most }
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn is_tls(&self) -> bool {
        self.origin.starts_with("https://")
    }

    pub(super) fn has_session(&self) -> bool {
        self.cookie.is_some()
    }

    /// Requests so far.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, OutboundError> {
        let call = self.call(&self.origin, ask)?;
        self.outbound.send(&call).await
    }

    pub(super) async fn ask_http2(&self, ask: &Ask<'_>) -> Result<Answer, OutboundError> {
        send_http2(&self.call(&self.origin, ask)?).await
    }

    /// As `ask`, at another scheme or port of the same host.
    pub(super) async fn ask_at(
        &self,
        origin: &str,
        ask: &Ask<'_>,
    ) -> Result<Answer, OutboundError> {
        let call = self.call(origin, ask)?;
        self.outbound.send(&Call { timeout: Duration::from_secs(3), ..call }).await
    }

    fn call(&self, origin: &str, ask: &Ask<'_>) -> Result<Call, OutboundError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(OutboundError::Refused);
        }
        let url = Url::parse(&format!("{origin}{}", ask.path)).ok_or(OutboundError::Unresolved)?;
        let field = |(name, value): &(&str, &str)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        };
        let mut headers: Vec<_> = ask.headers.iter().filter_map(field).collect();
        headers.push((header::ACCEPT, HeaderValue::from_static("*/*")));
        if let (Session::SignedIn, Some(cookie)) = (ask.session, &self.cookie) {
            headers.push((header::COOKIE, cookie.clone()));
        }
        Ok(Call {
            method: ask.method.clone(),
            url,
            headers,
            body: Bytes::new(),
            timeout: TIMEOUT,
            max_size: LONGEST_ANSWER,
            long_body: LongBody::Cut,
        })
    }
}

/// A header as text; empty if it is not there.
pub(super) fn text<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether the gateway itself refuses: problem+json with a code.
pub(super) fn is_refusal(answer: &Answer) -> bool {
    let is_problem = text(answer, "content-type").starts_with("application/problem+json");
    let body = || serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
    let has_code = |body: serde_json::Value| body.get("code").is_some_and(|it| it.is_string());
    is_problem && body().is_some_and(has_code)
}

/// Whether a page is withheld from the caller: refused, or sent to sign in.
pub(super) fn is_kept_back(status: StatusCode) -> bool {
    status.is_redirection() || status.is_client_error() || status.is_server_error()
}
