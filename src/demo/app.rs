//! The sample app: which request gets which answer.
//!
//! A login and a page with an upload button, the kind of app Portcullis stands
//! in front of. It signs its own session cookie and holds no API key: the token
//! its page asks for is answered by the gateway before the request gets here.
//!
//! Pure: a request and a time in, a response out; `server` does the serving.

use std::sync::{Arc, OnceLock};

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::page;
use super::sign_in::{self, Sessions, Visitor};
use crate::base::clock::{Clock, Now};
use crate::base::secret::Secret;

/// The login form holds one name; a larger body is not from it.
pub(crate) const MAX_BODY: usize = 4 * 1024;

/// No inline script or style, nothing from another host, not in a frame.
pub(super) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers by which the gateway tells the app about a request; `/whoami` shows them.
const IDENTITY_HEADERS: [&str; 3] = ["X-Auth-User", "X-Forwarded-For", "X-Forwarded-Proto"];

const CSS: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// The app itself. Its only secret signs its own sessions.
#[derive(Debug)]
pub(crate) struct SampleApp {
    sessions: Sessions,
    clock: Clock,
    dashboard: Arc<OnceLock<String>>,
}

impl SampleApp {
    /// `secret` is what `SESSION_SECRET` refers to in the gateway's settings.
    pub(crate) fn new(secret: Secret, clock: Clock) -> Self {
        Self { sessions: Sessions::new(secret), clock, dashboard: Arc::default() }
    }

    /// Links to the gateway's dashboard, once its address is known.
    pub(crate) fn with_dashboard(self, dashboard: &Arc<OnceLock<String>>) -> Self {
        Self { dashboard: dashboard.clone(), ..self }
    }

    /// The response to a request that has arrived whole.
    pub(crate) fn answer(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        self.answer_at(request, self.clock.now())
    }

    pub(super) fn answer_at(&self, request: &Request<Vec<u8>>, now: Now) -> Response<Vec<u8>> {
        let mut response = self.route(request, now);
        let length = HeaderValue::from(response.body().len());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length);
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if request.method() == Method::HEAD {
            response.body_mut().clear();
        }
        response
    }

    fn route(&self, request: &Request<Vec<u8>>, now: Now) -> Response<Vec<u8>> {
        let visitor = || self.sessions.visitor(request.headers(), now);
        match (request.method().as_str(), request.uri().path()) {
            ("GET" | "HEAD", path) => match path {
                "/" => self.home(visitor().as_ref()),
                "/app.css" => content(CSS, include_str!("assets/app.css")),
                "/app.js" => content(JAVASCRIPT, include_str!("assets/app.js")),
                "/gate.svg" => content(SVG, include_str!("assets/gate.svg")),
                "/icon.svg" => content(SVG, include_str!("assets/icon.svg")),
                "/login" => see_home(),
                "/whoami" => content(JSON, whoami(request, visitor().as_ref()).to_string()),
                _ => refusal(StatusCode::NOT_FOUND, "this app has no such page"),
            },
            ("POST", "/login" | "/logout") if from_another_site(request) => {
                refusal(StatusCode::FORBIDDEN, "only the app's own pages may sign in or out")
            }
            ("POST", "/login") => self.login(request.body(), now),
            ("POST", "/logout") => with_cookie(see_home(), &sign_in::sign_out_cookie()),
            ("POST", _) => refusal(StatusCode::NOT_FOUND, "this app has no such form"),
            _ => {
                let refused = refusal(StatusCode::METHOD_NOT_ALLOWED, "not a method of this app");
                with(refused, header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"))
            }
        }
    }

    fn home(&self, visitor: Option<&Visitor>) -> Response<Vec<u8>> {
        let dashboard = self.dashboard.get().map(String::as_str).unwrap_or_default();
        home(visitor, dashboard)
    }

    fn login(&self, form: &[u8], now: Now) -> Response<Vec<u8>> {
        let Some(visitor) = Visitor::from_form(form) else {
            let problem = "Please enter a name of 1 to 40 characters.";
            return status(StatusCode::BAD_REQUEST, content(HTML, page::login(problem)));
        };
        match self.sessions.sign_in_cookie(&visitor, now) {
            Some(cookie) => with_cookie(see_home(), &cookie),
            None => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the session could not be signed"),
        }
    }
}

fn home(visitor: Option<&Visitor>, dashboard: &str) -> Response<Vec<u8>> {
    content(
        HTML,
        visitor.map_or_else(|| page::login(""), |visitor| page::upload(dashboard, visitor)),
    )
}

/// A request as the app sees it: the headers the gateway vouches for, the
/// session it verified itself, and no API key.
fn whoami(request: &Request<Vec<u8>>, visitor: Option<&Visitor>) -> Value {
    let headers: Map<String, Value> = IDENTITY_HEADERS
        .into_iter()
        .map(|name| {
            let values: Vec<_> = request.headers().get_all(name).iter().collect();
            let text = |value: &&HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
            let shown = match values.as_slice() {
                [] => Value::Null,
                [only] => Value::String(text(only)),
                several => several.iter().map(text).collect::<Vec<String>>().into(),
            };
            (name.to_owned(), shown)
        })
        .collect();
    let session = visitor.map(|visitor| json!({ "user_id": visitor.id, "name": visitor.name }));
    json!({ "headers": headers, "session": session, "api_key": null })
}

/// Browsers say so themselves; without the header the request is not a browser's.
fn from_another_site(request: &Request<Vec<u8>>) -> bool {
    request
        .headers()
        .get_all("sec-fetch-site")
        .iter()
        .any(|site| site != "same-origin" && site != "none")
}

fn content(kind: &'static str, body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    with(Response::new(body.into()), header::CONTENT_TYPE, HeaderValue::from_static(kind))
}

fn refusal(code: StatusCode, why: &str) -> Response<Vec<u8>> {
    status(code, content(TEXT, format!("{why}\n")))
}

/// 303, so that the browser follows with GET and a reload repeats nothing.
fn see_home() -> Response<Vec<u8>> {
    let moved = status(StatusCode::SEE_OTHER, Response::default());
    with(moved, header::LOCATION, HeaderValue::from_static("/"))
}

fn with_cookie(response: Response<Vec<u8>>, cookie: &str) -> Response<Vec<u8>> {
    match HeaderValue::from_str(cookie) {
        Ok(value) => with(response, header::SET_COOKIE, value),
        Err(_) => response,
    }
}

fn with(
    mut response: Response<Vec<u8>>,
    name: header::HeaderName,
    value: HeaderValue,
) -> Response<Vec<u8>> {
    response.headers_mut().insert(name, value);
    response
}

fn status(code: StatusCode, mut response: Response<Vec<u8>>) -> Response<Vec<u8>> {
    *response.status_mut() = code;
    response
}
