//! The sample app, asked at a time the test chooses.

use http::{HeaderValue, Request, Response};
use serde_json::{Value, json};

use super::app::{CONTENT_SECURITY_POLICY, SampleApp};
use super::sign_in::Visitor;
use crate::base::clock::{Clock, Now};
use crate::base::secret::Secret;

const START: Now = Now::at(1_790_000_000);
const HOUR: u64 = 3600;

fn app() -> SampleApp {
    SampleApp::new(Secret::new("a session secret of 32 bytes, ok"), Clock::system())
}

fn request(method: &str, path: &str, cookie: &str, body: &str) -> Request<Vec<u8>> {
    let request = Request::builder().method(method).uri(path).header("Cookie", cookie);
    request.body(body.as_bytes().to_vec()).unwrap()
}

fn ask(method: &str, path: &str, cookie: &str, body: &str, now: Now) -> Response<Vec<u8>> {
    app().answer_at(&request(method, path, cookie, body), now)
}

fn text(response: &Response<Vec<u8>>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

fn field<'a>(response: &'a Response<Vec<u8>>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Signs in and returns the cookie a browser would send back.
fn sign_in(form: &str) -> String {
    let response = ask("POST", "/login", "", form, START);
    assert_eq!(response.status(), 303, "{form}");
    field(&response, "set-cookie").split(';').next().unwrap().to_owned()
}

fn home_page(cookie: &str, now: Now) -> String {
    text(&ask("GET", "/", cookie, "", now)).to_owned()
}

fn is_signed_in(cookie: &str, now: Now) -> bool {
    home_page(cookie, now).contains("data-testid=\"signed-in-user\"")
}

#[test]
fn signing_in_sets_the_cookie_that_opens_the_upload_page() {
    let response = ask("POST", "/login", "", "name=Ada+Lovelace", START);
    assert_eq!((response.status().as_u16(), field(&response, "location")), (303, "/"));
    let cookie = field(&response, "set-cookie");
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=3600"] {
        assert!(cookie.contains(attribute), "{attribute} in {cookie}");
    }
    let page = home_page(&sign_in("name=Ada+Lovelace"), START);
    assert!(page.contains("Ada Lovelace") && page.contains("ada-lovelace"), "{page}");
}

#[test]
fn without_a_session_the_login_page_comes() {
    assert!(home_page("", START).contains("data-testid=\"login-name\""));
    assert!(!is_signed_in("", START));
}

#[test]
fn a_session_ends_after_an_hour() {
    let cookie = sign_in("name=ada");
    assert!(is_signed_in(&cookie, Now::at(START.unix() + HOUR - 1)));
    assert!(!is_signed_in(&cookie, Now::at(START.unix() + HOUR)));
}

#[test]
fn a_cookie_that_was_tampered_with_names_no_user() {
    let cookie = sign_in("name=ada");
    let other = sign_in("name=bob");
    let (payload_of_ada, signature) = cookie.rsplit_once('.').unwrap();
    let (payload_of_bob, _) = other.rsplit_once('.').unwrap();
    // {"alg":"none","typ":"JWT"}
    let unsigned = payload_of_ada.split_once('.').unwrap().1;
    let unsigned = format!("demo_session=eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{unsigned}.");
    for bad in [
        format!("{payload_of_bob}.{signature}"),
        format!("{payload_of_ada}."),
        payload_of_ada.to_owned(),
        unsigned,
        "demo_session=".to_owned(),
        format!("{cookie}; {other}"),
        cookie.replace("demo_session", "other_session"),
    ] {
        assert!(!is_signed_in(&bad, START), "{bad}");
    }
    let elsewhere = SampleApp::new(Secret::new("another secret"), Clock::system());
    let response = elsewhere.answer_at(&request("GET", "/", &cookie, ""), START);
    assert!(text(&response).contains("data-testid=\"login-name\""));
}

#[test]
fn a_name_is_shown_as_text_never_as_markup() {
    let page = home_page(&sign_in("name=%3Cscript%3Ealert(1)%3C/script%3E"), START);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(!page.contains("<script>"));
}

#[test]
fn a_form_without_a_usable_name_is_asked_again() {
    let long = format!("name={}", "x".repeat(41));
    for form in ["", "name=", "name=+++", "nick=ada", "name=a%00b", "name=%ff", &long] {
        let response = ask("POST", "/login", "", form, START);
        assert_eq!(response.status(), 400, "{form}");
        assert!(text(&response).contains("1 to 40 characters"), "{form}");
        assert_eq!(field(&response, "set-cookie"), "", "{form}");
    }
    sign_in(&format!("name={}", "x".repeat(40)));
    sign_in("next=/&name=Zo%C3%AB");
}

#[test]
fn ids_fit_a_header_and_tell_names_apart() {
    let id = |form: &str| Visitor::from_form(form.as_bytes()).unwrap().id;
    assert_eq!(id("name=ada"), "ada");
    assert_eq!(id("name=Ada++Lovelace"), "ada-lovelace");
    assert_ne!(id("name=Zo%C3%AB"), id("name=Zo%C3%A9"));
    assert!(id("name=%E6%97%A5%E6%9C%AC").is_ascii());
    assert_eq!(id("name=..."), id("name=..."));
}

#[test]
fn signing_out_clears_the_cookie() {
    let response = ask("POST", "/logout", &sign_in("name=ada"), "", START);
    assert_eq!((response.status().as_u16(), field(&response, "location")), (303, "/"));
    assert!(field(&response, "set-cookie").starts_with("demo_session=; Path=/; Max-Age=0;"));
}

#[test]
fn another_site_can_neither_sign_in_nor_out() {
    for path in ["/login", "/logout"] {
        let mut request = request("POST", path, "", "name=mallory");
        request.headers_mut().insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        let response = app().answer_at(&request, START);
        assert_eq!(response.status(), 403);
        assert_eq!(field(&response, "set-cookie"), "");
    }
}

#[test]
fn whoami_shows_the_gateways_headers_and_no_key() {
    let mut request = request("GET", "/whoami", &sign_in("name=ada"), "");
    request.headers_mut().insert("x-auth-user", HeaderValue::from_static("ada"));
    let response = app().answer_at(&request, START);
    let shown: Value = serde_json::from_slice(response.body()).unwrap();
    let headers =
        json!({ "X-Auth-User": "ada", "X-Forwarded-For": null, "X-Forwarded-Proto": null });
    let session = json!({ "user_id": "ada", "name": "ada" });
    assert_eq!(shown, json!({ "headers": headers, "session": session, "api_key": null }));
}

#[test]
fn a_header_alone_signs_no_user_in() {
    let mut request = request("GET", "/", "", "");
    request.headers_mut().insert("x-auth-user", HeaderValue::from_static("root"));
    let response = app().answer_at(&request, START);
    assert!(text(&response).contains("data-testid=\"login-name\""));
}

#[test]
fn the_app_mints_nothing() {
    for method in ["GET", "POST"] {
        let response = ask(method, "/api/get-auth-token", &sign_in("name=ada"), "", START);
        assert_eq!(response.status(), 404, "{method}");
    }
}

#[test]
fn every_answer_states_its_length_and_policy() {
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/app.css", 200),
        ("GET", "/app.js", 200),
        ("GET", "/gate.svg", 200),
        ("GET", "/icon.svg", 200),
        ("GET", "/login", 303),
        ("GET", "/nowhere", 404),
        ("POST", "/nowhere", 404),
        ("PUT", "/", 405),
    ] {
        let response = ask(method, path, "", "", START);
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(field(&response, "content-length"), response.body().len().to_string());
        assert_eq!(field(&response, "content-security-policy"), CONTENT_SECURITY_POLICY);
        assert_eq!(field(&response, "cache-control"), "no-store");
    }
    let (get, head) = (ask("GET", "/", "", "", START), ask("HEAD", "/", "", "", START));
    assert_eq!(field(&head, "content-length"), field(&get, "content-length"));
    assert!(head.body().is_empty());
}

/// The policy would block it anyway; this says so before a browser does.
#[test]
fn pages_name_no_other_host_and_hold_no_inline_code() {
    for path in ["/", "/app.css", "/app.js", "/gate.svg", "/icon.svg"] {
        for cookie in ["", &sign_in("name=ada")] {
            let body = text(&ask("GET", path, cookie, "", START)).to_owned();
            let body = body.replace("http://www.w3.org/2000/svg", "");
            for banned in ["http:", "https:", "src=\"//", "url(//", "@import", "data:"] {
                assert!(!body.contains(banned), "{banned} in {path}");
            }
            for banned in [" style=", "<style", " onclick=", "javascript:", "<script>"] {
                assert!(!body.contains(banned), "{banned} in {path}");
            }
        }
    }
}

#[test]
fn everything_a_test_needs_can_be_found() {
    let login = home_page("", START);
    let upload = home_page(&sign_in("name=ada"), START);
    let found = |page: &str, id: &str| page.contains(&format!("data-testid=\"{id}\""));
    for id in ["login-name", "login-submit"] {
        assert!(found(&login, id), "{id}");
    }
    for id in [
        "signed-in-user",
        "get-token",
        "fresh-token",
        "burst",
        "token-claims",
        "token-header",
        "token-life",
        "rate-remaining",
        "rate-limit",
        "result-status",
        "burst-result",
        "same-token",
        "logout",
        "whoami",
    ] {
        assert!(found(&upload, id), "{id}");
    }
}
