//! `POST /revoke`: the operator ends sessions; `DELETE /revoke` takes a user's
//! revocation back.
//!
//! Only for programs on the same machine, and not for a browser on it: a page of
//! another site could send such a request, but not with this content type and without
//! `Origin`.

use http::{Method, StatusCode, header};
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};

use crate::base::digest::{Kind, Mark};
use crate::base::text::Hex;
use crate::identify::revocation::By;
use crate::server::plain_app::{BodyError, read_body};
use crate::session::Cookies;
use crate::session::Verdict;
use crate::state::Live;

const MAX_BODY: usize = 64 * 1024;

type Reply = (StatusCode, String);

/// Answers `POST` and `DELETE`.
pub(super) async fn answer(live: &Live, session: &mut ServerSession) -> Reply {
    if let Err(reply) = admit(session) {
        return reply;
    }
    let method = session.req_header().method.clone();
    let body = match read_json(session).await {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let member = |name: &str| body.get(name).and_then(Value::as_str);
    match (method, member("user"), member("cookie")) {
        (Method::POST, Some(user), None) => {
            live.revoked.end_user(user, live.clock.now());
            tracing::info!(user = hash_of(live, user).as_str(), "user's sessions revoked");
            done()
        }
        (Method::DELETE, Some(user), None) => {
            live.revoked.pardon_user(user);
            tracing::info!(user = hash_of(live, user).as_str(), "user's sessions admitted again");
            done()
        }
        (Method::POST, None, Some(cookie)) => end_session(live, cookie).await,
        (Method::DELETE | Method::POST, _, _) => refuse(
            StatusCode::BAD_REQUEST,
            r#"expected {"user": ID}, or POST {"cookie": COOKIE_HEADER}"#,
        ),
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "expected POST or DELETE"),
    }
}

fn hash_of(live: &Live, user: &str) -> Hex {
    live.user_hash(Mark::new(Kind::User, user))
}

/// The cookie is the value of a `Cookie` header.
async fn end_session(live: &Live, cookie: &str) -> Reply {
    let policy = live.policy();
    let cookies = Cookies::new(cookie.as_bytes());
    match live.verify(&policy, cookies, live.clock.now()).await.verdict {
        Verdict::Known(identity, index) => {
            if let Some(source) = policy.sources.get(index) {
                live.end_session(source, cookies, &identity, By::Operator).await;
                tracing::info!(user = live.user_hash(identity.mark()).as_str(), "session revoked");
            }
            done()
        }
        Verdict::Nobody(_) => {
            refuse(StatusCode::NOT_FOUND, "the cookie is not a valid session: nothing to revoke")
        }
        Verdict::Unknown(_) => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the session store cannot be reached; try again",
        ),
    }
}

fn admit(session: &ServerSession) -> Result<(), Reply> {
    // A unix socket has no address; the file system decides who may use it.
    let peer = session.client_addr().and_then(|address| address.as_inet());
    if peer.is_some_and(|peer| !peer.ip().to_canonical().is_loopback()) {
        return Err(refuse(StatusCode::FORBIDDEN, "only from this machine"));
    }
    let headers = &session.req_header().headers;
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !is_json || headers.contains_key(header::ORIGIN) {
        let detail = "expected `Content-Type: application/json`, and no browser";
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    Ok(())
}

async fn read_json(session: &mut ServerSession) -> Result<Value, Reply> {
    let body = read_body(session, MAX_BODY).await.map_err(|error| {
        let detail = match error {
            BodyError::Incomplete => "the body did not arrive",
            BodyError::TooLarge => "too large",
        };
        refuse(error.status(), detail)
    })?;
    serde_json::from_slice(&body).map_err(|_| refuse(StatusCode::BAD_REQUEST, "not JSON"))
}

fn done() -> Reply {
    (StatusCode::OK, json!({ "revoked": true }).to_string() + "\n")
}

fn refuse(status: StatusCode, detail: &str) -> Reply {
    (status, json!({ "revoked": false, "detail": detail }).to_string() + "\n")
}
