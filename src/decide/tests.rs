//! Decisions as values: what each request comes to, without a socket.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::*;
use crate::base::secret::Secrets;
use crate::config::Config;
use crate::request::client::Client;

const SETTINGS: &str = r#"
[upstream.app]
servers = ["http://127.0.0.1:1"]
[upstream.vendor]
servers = ["https://127.0.0.1:1"]
keys = { main = "sk-canary-of-the-vendor" }
[session]
kind = "jwt"
cookie = "sid"
secret = "0123456789abcdef0123456789abcdef"
[token.portive]
path = "/api/token"
preset = "portive"
key = "PRTV_keyOne_canaryOfTheKey0123456789abcdef"
ttl = "1m"
origins = ["https://admin.example.com"]
[[route]]
path = "/public/**"
session = "off"
[[route]]
path = "/read/**"
methods = "GET"
[[route]]
path = "/account/**"
session = "required"
sign_in = "/login?next={path}"
[[route]]
path = "/private/**"
session = "required"
[[route]]
path = "/staff/**"
session = "required"
allow = { "/role" = ["staff"] }
[[route]]
path = "/vendor/**"
upstream = "vendor"
set_headers = { authorization = "Bearer {key.main}" }
"#;

const OWN: &str = "https://app.example.com";
const ADMIN: &str = "https://admin.example.com";
const OTHER: &str = "https://other.example.com";

/// The verdicts of the session sources.
#[derive(Clone, Copy, Debug)]
enum Said {
    Ada,
    Expired,
    Missing,
    Busy,
    Silent,
}

/// Method, path, `Origin`, `Sec-Fetch-Site`, `-Mode`, `-Dest`, verdict, decision. A
/// `-` is an absent header.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Said,
    &'static str,
);

use Said::{Ada, Busy, Expired, Missing, Silent};

const ROWS: &[Row] = &[
    // The token's path, asked by the app's own pages.
    ("GET", "/api/token", "-", "-", "-", "-", Ada, "issue portive to ada"),
    ("GET", "/api/token", "-", "same-origin", "cors", "empty", Ada, "issue portive to ada"),
    ("GET", "/api/token", OWN, "same-origin", "cors", "empty", Ada, "issue portive to ada"),
    ("GET", "/api/token", OWN, "-", "-", "-", Ada, "issue portive to ada"),
    (
        "GET",
        "/api/token",
        "https://app.example.com:443",
        "-",
        "-",
        "-",
        Ada,
        "issue portive to ada",
    ),
    ("GET", "/api/token", "https://APP.example.com", "-", "-", "-", Ada, "issue portive to ada"),
    ("GET", "/api/token", "-", "none", "navigate", "document", Ada, "issue portive to ada"),
    ("HEAD", "/api/token", "-", "same-origin", "-", "-", Ada, "issue portive to ada"),
    ("POST", "/api/token", OWN, "same-origin", "cors", "empty", Ada, "issue portive to ada"),
    // By an origin that the settings allow, and by others.
    ("GET", "/api/token", ADMIN, "same-site", "cors", "empty", Ada, "issue portive to ada"),
    ("GET", "/api/token", ADMIN, "cross-site", "cors", "empty", Ada, "issue portive to ada"),
    ("POST", "/api/token", ADMIN, "-", "-", "-", Ada, "issue portive to ada"),
    ("GET", "/api/token", OTHER, "same-site", "cors", "empty", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", OTHER, "cross-site", "cors", "empty", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", OTHER, "-", "-", "-", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", OTHER, "same-origin", "-", "-", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "null", "-", "-", "-", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "null", "same-origin", "-", "-", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "-", "cross-site", "no-cors", "script", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "-", "cross-site", "no-cors", "image", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "-", "cross-site", "navigate", "iframe", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "-", "same-site", "no-cors", "script", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "-", "same-site", "navigate", "document", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "-", "unknown-word", "-", "-", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", OWN, "cross-site", "cors", "empty", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "http://app.example.com", "-", "-", "-", Ada, "refuse 403 cross_site"),
    (
        "GET",
        "/api/token",
        "https://app.example.com:8443",
        "-",
        "-",
        "-",
        Ada,
        "refuse 403 cross_site",
    ),
    (
        "GET",
        "/api/token",
        "https://app.example.com.evil.test",
        "-",
        "-",
        "-",
        Ada,
        "refuse 403 cross_site",
    ),
    (
        "GET",
        "/api/token",
        "https://evil-app.example.com",
        "-",
        "-",
        "-",
        Ada,
        "refuse 403 cross_site",
    ),
    (
        "GET",
        "/api/token",
        "https://admin.example.com:443",
        "-",
        "-",
        "-",
        Ada,
        "refuse 403 cross_site",
    ),
    ("GET", "/api/token", "https://ADMIN.example.com", "-", "-", "-", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "http://admin.example.com", "-", "-", "-", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "app.example.com", "-", "-", "-", Ada, "refuse 403 cross_site"),
    ("GET", "/api/token", "ftp://app.example.com", "-", "-", "-", Ada, "refuse 403 cross_site"),
    ("POST", "/api/token", OTHER, "cross-site", "cors", "empty", Ada, "refuse 403 cross_site"),
    ("POST", "/api/token", "-", "cross-site", "navigate", "document", Ada, "refuse 403 cross_site"),
    // Its methods.
    ("PUT", "/api/token", "-", "-", "-", "-", Ada, "refuse 405 method_not_allowed"),
    ("DELETE", "/api/token", OWN, "same-origin", "-", "-", Ada, "refuse 405 method_not_allowed"),
    ("OPTIONS", "/api/token", ADMIN, "-", "-", "-", Ada, "refuse 405 method_not_allowed"),
    ("PUT", "/api/token", OTHER, "cross-site", "-", "-", Ada, "refuse 405 method_not_allowed"),
    // Its sessions: a script is never redirected.
    ("GET", "/api/token", "-", "same-origin", "-", "-", Missing, "refuse 401 not_signed_in"),
    ("GET", "/api/token", "-", "same-origin", "-", "-", Expired, "refuse 401 session_expired"),
    ("GET", "/api/token", "-", "same-origin", "-", "-", Busy, "refuse 429 too_many_requests"),
    ("GET", "/api/token", "-", "same-origin", "-", "-", Silent, "refuse 503 unavailable"),
    ("GET", "/api/token", "-", "none", "navigate", "document", Missing, "refuse 401 not_signed_in"),
    ("HEAD", "/api/token", "-", "-", "-", "-", Missing, "refuse 401 not_signed_in"),
    ("POST", "/api/token", ADMIN, "cross-site", "cors", "-", Expired, "refuse 401 session_expired"),
    ("GET", "/api/token", OTHER, "-", "-", "-", Missing, "refuse 403 cross_site"),
    ("GET", "/api/token", OTHER, "-", "-", "-", Silent, "refuse 403 cross_site"),
    // Paths that no rule names: the app, with the user if there is one.
    ("GET", "/", "-", "-", "-", "-", Ada, "forward - as ada"),
    ("GET", "/", "-", "-", "-", "-", Missing, "forward - as nobody"),
    ("GET", "/", "-", "-", "-", "-", Expired, "forward - as nobody"),
    ("GET", "/", "-", "-", "-", "-", Silent, "forward - as nobody"),
    ("GET", "/", "-", "-", "-", "-", Busy, "forward - as nobody"),
    ("POST", "/login", OTHER, "cross-site", "navigate", "document", Missing, "forward - as nobody"),
    ("OPTIONS", "/anything", OTHER, "cross-site", "cors", "-", Missing, "forward - as nobody"),
    ("GET", "/api/token/x", "-", "-", "-", "-", Missing, "forward - as nobody"),
    ("GET", "/api", "-", "-", "-", "-", Ada, "forward - as ada"),
    // A route that does not look at the session.
    ("GET", "/public/a", "-", "-", "-", "-", Ada, "forward /public/** as nobody"),
    ("DELETE", "/public/a", OTHER, "cross-site", "-", "-", Silent, "forward /public/** as nobody"),
    // A route for one method.
    ("GET", "/read/a", "-", "-", "-", "-", Ada, "forward /read/** as ada"),
    ("GET", "/read/a", "-", "-", "-", "-", Silent, "forward /read/** as nobody"),
    ("POST", "/read/a", "-", "-", "-", "-", Ada, "refuse 405 method_not_allowed"),
    ("OPTIONS", "/read/a", OTHER, "-", "-", "-", Missing, "refuse 405 method_not_allowed"),
    // A route that needs a session and knows where to sign in.
    ("GET", "/account/a", "-", "-", "-", "-", Ada, "forward /account/** as ada"),
    ("POST", "/account/a", OTHER, "cross-site", "navigate", "-", Ada, "forward /account/** as ada"),
    (
        "GET",
        "/account/a",
        "-",
        "none",
        "navigate",
        "document",
        Missing,
        "answer 303 /login?next=/account/a",
    ),
    (
        "GET",
        "/account/a",
        "-",
        "cross-site",
        "navigate",
        "document",
        Expired,
        "answer 303 /login?next=/account/a",
    ),
    ("GET", "/account/a", "-", "same-origin", "cors", "empty", Missing, "refuse 401 not_signed_in"),
    (
        "GET",
        "/account/a",
        "-",
        "same-origin",
        "cors",
        "empty",
        Expired,
        "refuse 401 session_expired",
    ),
    (
        "POST",
        "/account/a",
        "-",
        "same-origin",
        "navigate",
        "document",
        Missing,
        "refuse 401 not_signed_in",
    ),
    ("GET", "/account/a", "-", "none", "navigate", "document", Silent, "refuse 503 unavailable"),
    (
        "GET",
        "/account/a",
        "-",
        "none",
        "navigate",
        "document",
        Busy,
        "refuse 429 too_many_requests",
    ),
    // A route that needs a session and does not.
    ("GET", "/private/a", "-", "none", "navigate", "document", Missing, "refuse 401 not_signed_in"),
    ("GET", "/private/a", "-", "-", "-", "-", Expired, "refuse 401 session_expired"),
    ("GET", "/private/a", "-", "-", "-", "-", Silent, "refuse 503 unavailable"),
    ("GET", "/private/a", "-", "-", "-", "-", Ada, "forward /private/** as ada"),
    // A route for some users.
    ("GET", "/staff/a", "-", "none", "navigate", "document", Ada, "refuse 403 not_allowed"),
    ("GET", "/staff/a", "-", "-", "-", "-", Missing, "refuse 401 not_signed_in"),
    ("GET", "/staff/a", "-", "-", "-", "-", Silent, "refuse 503 unavailable"),
    // A vendor's API: another site must not spend the key.
    ("POST", "/vendor/v1", OWN, "same-origin", "cors", "empty", Ada, "forward /vendor/** as ada"),
    ("POST", "/vendor/v1", "-", "-", "-", "-", Ada, "forward /vendor/** as ada"),
    ("POST", "/vendor/v1", OTHER, "-", "-", "-", Ada, "refuse 403 cross_site"),
    ("POST", "/vendor/v1", ADMIN, "same-site", "cors", "empty", Ada, "refuse 403 cross_site"),
    ("GET", "/vendor/v1", "-", "cross-site", "no-cors", "image", Ada, "refuse 403 cross_site"),
    (
        "POST",
        "/vendor/v1",
        OWN,
        "same-origin",
        "cors",
        "empty",
        Missing,
        "refuse 401 not_signed_in",
    ),
    ("POST", "/vendor/v1", OTHER, "cross-site", "cors", "empty", Missing, "refuse 403 cross_site"),
    // Paths that two programs could read differently.
    ("GET", "/Account/a", "-", "-", "-", "-", Ada, "forward /account/** as ada"),
    ("GET", "/Account/a", "-", "-", "-", "-", Missing, "refuse 401 not_signed_in"),
    ("GET", "/private%2fa", "-", "-", "-", "-", Ada, "forward /private/** as ada"),
    ("GET", "/private%2fa", "-", "-", "-", "-", Missing, "refuse 401 not_signed_in"),
    ("GET", "/private/a%0a", "-", "-", "-", "-", Ada, "refuse 400 bad_request"),
    ("GET", "/wiki/a%0a", "-", "-", "-", "-", Missing, "forward - as nobody"),
    ("GET", "/public/../staff", "-", "-", "-", "-", Missing, "refuse 401 not_signed_in"),
    ("GET", "/public/../staff", "-", "-", "-", "-", Ada, "refuse 403 not_allowed"),
    ("GET", "/_next/data/B/account.json", "-", "-", "-", "-", Missing, "refuse 401 not_signed_in"),
    ("GET", "/_next/data/B/account.json", "-", "-", "-", "-", Ada, "forward /account/** as ada"),
    ("POST", "/read/a.json", "-", "-", "-", "-", Ada, "refuse 405 method_not_allowed"),
    ("GET", "/Vendor/a", "-", "-", "-", "-", Ada, "refuse 400 bad_request"),
    ("GET", "/vendor/../a", "-", "-", "-", "-", Ada, "refuse 400 bad_request"),
    ("GET", "/API/token", "-", "-", "-", "-", Ada, "forward - as ada"),
    ("GET", "/api/token/", "-", "-", "-", "-", Missing, "forward - as nobody"),
];

fn policy() -> Policy {
    match Config::read(SETTINGS, &Secrets::Literal) {
        Ok(config) => config.policy,
        Err(problems) => panic!("{:?}", problems.iter().map(|p| &p.text).collect::<Vec<_>>()),
    }
}

fn verdict(said: Said) -> Verdict {
    let rejected = |reason| Verdict::Nobody(Rejected::new(reason, "a test"));
    let unknown = |retry_after| Verdict::Unknown(Unanswered { detail: String::new(), retry_after });
    match said {
        Ada => {
            let session = serde_json::json!({ "role": "member" });
            Verdict::Known(Arc::new(Identity::assumed("ada".into(), session, None)), 0)
        }
        Expired => rejected(Reason::Expired),
        Missing => rejected(Reason::Missing),
        Busy => unknown(Some(Duration::from_secs(2))),
        Silent => unknown(None),
    }
}

/// The decision in words.
fn word(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Answer(reply, _) => {
            let location = reply.headers.get(header::LOCATION).map(|to| to.to_str().unwrap());
            format!("answer {} {}", reply.status.as_u16(), location.unwrap_or("-"))
        }
        Decision::Forward { routes, identity } => {
            let route = routes.label().map_or("-", |label| label);
            let user = identity.as_ref().map_or("nobody", |identity| identity.user_id());
            format!("forward {route} as {user}")
        }
        Decision::Issue { token, identity } => {
            format!("issue {} to {}", token.name, identity.user_id())
        }
        Decision::Publish(_) => "publish".to_owned(),
        Decision::Refuse(refusal, _) => {
            format!("refuse {} {}", refusal.status().as_u16(), refusal.code().as_str())
        }
    }
}

fn decided(policy: &Policy, method: &str, path: &str, headers: &HeaderMap, said: Said) -> String {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let client =
        Client { address: None, scheme: Scheme::Https, hops: Vec::new(), via_trusted: false };
    let view = RequestView {
        method: &method,
        path,
        query: None,
        headers,
        host: "app.example.com",
        client: &client,
    };
    let (plan, _) = plan(policy, &view);
    let verdict = plan.needs_session().then(|| verdict(said));
    word(&decide(plan, verdict, Credential::Ambient, &view))
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let present = fields.iter().filter(|(_, value)| *value != "-");
    present
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

#[test]
fn a_request_comes_to_what_its_row_says() {
    let policy = policy();
    for row in ROWS {
        let (method, path, origin, site, mode, dest, said, expected) = *row;
        let headers = headers(&[
            ("origin", origin),
            ("sec-fetch-site", site),
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", dest),
        ]);
        assert_eq!(decided(&policy, method, path, &headers, said), expected, "{row:?}");
    }
    assert!(ROWS.len() >= 80);
}

#[test]
fn a_preflight_to_the_app_needs_no_session() {
    let policy = policy();
    let asked = |path: &str, asked: &'static str| {
        let headers = headers(&[("origin", OTHER), ("access-control-request-method", asked)]);
        decided(&policy, "OPTIONS", path, &headers, Ada)
    };
    assert_eq!(asked("/account/x", "PUT"), "forward /account/** as nobody");
    assert_eq!(asked("/staff/x", "PUT"), "forward /staff/** as nobody");
    assert_eq!(asked("/read/x", "GET"), "forward /read/** as nobody");
    assert_eq!(asked("/read/x", "PUT"), "refuse 405 method_not_allowed");
    assert_eq!(asked("/vendor/x", "GET"), "refuse 403 cross_site");
}

#[test]
fn a_preflight_is_answered_to_allowed_origins_only() {
    let policy = policy();
    let asked = |origin| {
        let headers = headers(&[("origin", origin), ("access-control-request-method", "POST")]);
        decided(&policy, "OPTIONS", "/api/token", &headers, Missing)
    };
    assert_eq!(asked(ADMIN), "answer 204 -");
    for origin in [OWN, OTHER, "null", "-", "https://admin.example.com:443"] {
        assert_eq!(asked(origin), "refuse 403 cross_site", "{origin}");
    }
}

#[test]
fn a_repeated_origin_or_site_is_another_sites() {
    let policy = policy();
    for name in ["origin", "sec-fetch-site"] {
        let value = if name == "origin" { OWN } else { "same-origin" };
        let mut headers = headers(&[(name, value)]);
        headers.append(name, HeaderValue::from_static(value));
        let decision = decided(&policy, "GET", "/api/token", &headers, Ada);
        assert_eq!(decision, "refuse 403 cross_site", "{name}");
    }
}

#[test]
fn an_unknown_verdict_is_503_or_the_429_of_the_session_authority() {
    let refusal = |retry_after| {
        let unanswered = Unanswered { detail: String::new(), retry_after };
        match refuse_unknown(&unanswered) {
            Decision::Refuse(refusal, _) => refusal.status().as_u16(),
            _ => 0,
        }
    };
    assert_eq!(refusal(None), 503);
    assert_eq!(refusal(Some(Duration::from_secs(2))), 429);
}
