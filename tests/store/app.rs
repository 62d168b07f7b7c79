//! A gateway in front of an app whose sessions are in Redis, as express-session
//! writes them.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use redis::Commands as _;

use crate::servers::Server;
use crate::support::{App, Gateway, Response, Setup, get};

const SECRET: &str = "canary-of-the-session-0123456789abcdef";
pub(crate) const PATH: &str = "/api/get-auth-token";

/// `gateway.toml` for sessions in the store at `url`; `cache` in seconds. The store may
/// be as slow as a busy machine makes it.
pub(crate) fn setup(app: &App, url: &str, cache: u64) -> Setup {
    setup_within(app, url, cache, "3s")
}

/// The same, with how long a request waits for the store.
pub(crate) fn setup_within(app: &App, url: &str, cache: u64, timeout: &str) -> Setup {
    let kind = format!("kind = \"jwt\"\ncookie = \"session\"\nsecret = \"{SECRET}\"");
    let express = format!(
        "kind = \"express-session\"\nsecret = \"{SECRET}\"\n\
         store = {{ engine = \"redis\", url = \"{url}\", cache_seconds = {cache}, \
                   timeout = \"{timeout}\" }}"
    );
    let setup =
        Setup::new(app).token("").with("[[route]]\npath = \"/private/**\"\nsession = \"required\"");
    let text = setup.text().replace(&kind, &express);
    assert!(text.contains("express-session"));
    setup.replaced_by(text)
}

/// The cookie express-session sets for a session.
pub(crate) fn cookie(id: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = STANDARD_NO_PAD.encode(hmac::sign(&key, id.as_bytes()));
    let encoded = signature.replace('+', "%2B").replace('/', "%2F");
    format!("connect.sid=s%3A{id}.{encoded}")
}

/// Signs a user in, as the app would.
pub(crate) fn sign_in(server: &Server, id: &str, user: &str) {
    let session = format!(r#"{{"cookie":{{}},"passport":{{"user":"{user}"}}}}"#);
    let () = server.redis_client().set_ex(format!("sess:{id}"), session, 1000).unwrap();
}

pub(crate) fn sign_out(server: &Server, id: &str) {
    let () = server.redis_client().del(format!("sess:{id}")).unwrap();
}

pub(crate) fn token(gateway: &Gateway, id: &str) -> Response {
    gateway.ask(&get(PATH).header("Cookie", &cookie(id)))
}

pub(crate) fn page(gateway: &Gateway, path: &str, id: &str) -> Response {
    gateway.ask(&get(path).header("Cookie", &cookie(id)))
}

/// Status and text of `/readyz`.
pub(crate) fn readiness(gateway: &Gateway) -> (u16, String) {
    let answer = gateway.admin("GET /readyz HTTP/1.1", "");
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}
