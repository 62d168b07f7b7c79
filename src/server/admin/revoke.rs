//! `POST /revoke`: the operator ends sessions; `DELETE /revoke` takes back what
//! was said about a user.
//!
//! Only for whoever is on the machine, and not for a browser that happens to be:
//! a page of another site could send such a request, but not with this content
//! type and without `Origin`.

use http::{Method, StatusCode, header};
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};

use crate::base::digest::{Kind, Mark};
use crate::base::text::Hex;
use crate::identify::revocation::RevokedBy;
use crate::server::plain_app::{BodyError, read_body};
use crate::session::Cookies;
use crate::session::Verdict;
use crate::state::State;

const MAX_BODY: usize = 64 * 1024;

type Reply = (StatusCode, String);

/// What `POST` and `DELETE` do.
pub(super) async fn answer(live: &State, session: &mut ServerSession) -> Reply {
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
            live.identifier.revoke_user(user, live.clock.now());
            tracing::info!(user = hash_of(live, user).as_str(), "user's sessions revoked");
            done()
        }
        (Method::DELETE, Some(user), None) => {
            live.identifier.pardon_user(user);
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

fn hash_of(live: &State, user: &str) -> Hex {
    live.telemetry.user_hash(Mark::new(Kind::User, user))
}

/// The cookie is the value of a `Cookie` header.
async fn end_session(live: &State, cookie: &str) -> Reply {
    let (policy, now) = (live.policy(), live.clock.now());
    let cookies = Cookies::new(cookie.as_bytes());
    match live.identifier.identify(&policy, cookies, now).await.verdict {
        Verdict::Known(identity, index) => {
            if let Some(source) = policy.sources.get(index) {
                live.identifier
                    .end_session(source, cookies, &identity, RevokedBy::Operator, live.clock.now())
                    .await;
                tracing::info!(
                    user = live.telemetry.user_hash(identity.mark()).as_str(),
                    "session revoked"
                );
            }
            done()
        }
        Verdict::Nobody(_) => {
            refuse(StatusCode::NOT_FOUND, "the cookie is no valid session: nothing to revoke")
        }
        Verdict::Unknown(_) => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the session store cannot be reached; try again",
        ),
    }
}

fn admit(session: &ServerSession) -> Result<(), Reply> {
    // A Unix socket has no address: who may use it, the file system says.
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
