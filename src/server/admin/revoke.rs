//! `POST /revoke`: the operator ends sessions; `DELETE /revoke` takes back what
//! was said about a user.
//!
//! `door` decides whose request counts; here its body must be exactly the documented one.

use std::time::Duration;

use http::{Method, StatusCode};
use pingora::protocols::http::ServerSession;
use serde::Deserialize;
use serde_json::json;

use super::door::{self, AdminClient, JsonReply};
use crate::base::digest::{Kind, Mark};
use crate::base::text::Hex;
use crate::identify::revocation::{RevokedBy, Settled};
use crate::server::plain_app::{BodyError, read_body};
use crate::session::Cookies;
use crate::session::Verdict;
use crate::state::State;

const MAX_BODY: usize = 64 * 1024;

/// The whole body: one member, once, with a text.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ended {
    /// The value of a `Cookie` header.
    Cookie(String),
    User(String),
}

/// Handles `POST` and `DELETE`.
pub(super) async fn answer(
    state: &State,
    asker: &AdminClient,
    session: &mut ServerSession,
    body_timeout: Duration,
) -> JsonReply {
    let request = session.req_header();
    let method = request.method.clone();
    if method != Method::POST && method != Method::DELETE {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "expected POST or DELETE");
    }
    let edge = state.edge();
    if let Err(denied) = door::check_change(request, asker, &edge.admin_tokens) {
        return refuse(denied.status, &denied.detail);
    }
    let read = tokio::time::timeout(body_timeout, read_json(session)).await;
    let ended = match read.unwrap_or_else(|_| Err(incomplete())) {
        Ok(ended) => ended,
        Err(reply) => return reply,
    };
    let now = state.clock.now();
    match (method, ended) {
        (Method::POST, Ended::User(user)) => {
            state.identifier.revoke_user(&user, now);
            let user = hash_of(state, &user);
            tracing::info!(user = user.as_str(), %asker, "user's sessions revoked");
            done(state).await
        }
        (Method::POST, Ended::Cookie(cookie)) => end_session(state, asker, &cookie).await,
        (_, Ended::User(user)) => {
            state.identifier.pardon_user(&user, now);
            let user = hash_of(state, &user);
            tracing::info!(user = user.as_str(), %asker, "user's sessions admitted again");
            done(state).await
        }
        (_, Ended::Cookie(_)) => refuse_body(),
    }
}

fn hash_of(state: &State, user: &str) -> Hex {
    state.telemetry.user_hash(Mark::new(Kind::User, user))
}

async fn end_session(state: &State, asker: &AdminClient, cookie: &str) -> JsonReply {
    let (policy, now) = (state.policy(), state.clock.now());
    let cookies = Cookies::new(cookie.as_bytes());
    match state.identifier.identify(&policy, cookies, None, now).await.verdict {
        Verdict::Known(identity, index) => {
            if let Some(source) = policy.sources.get(index) {
                let (by, now) = (RevokedBy::Operator, state.clock.now());
                state.identifier.end_session(source, cookies, &identity, by, now).await;
                let user = state.telemetry.user_hash(identity.mark());
                tracing::info!(user = user.as_str(), %asker, "session revoked");
            }
            done(state).await
        }
        Verdict::Nobody(_) => refuse(
            StatusCode::NOT_FOUND,
            "the cookie does not hold a valid session: nothing to revoke",
        ),
        Verdict::Unknown(_) => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the session store cannot be reached; try again",
        ),
    }
}

async fn read_json(session: &mut ServerSession) -> Result<Ended, JsonReply> {
    let body = read_body(session, MAX_BODY).await.map_err(|error| match error {
        BodyError::Incomplete => incomplete(),
        BodyError::TooLarge => refuse(error.status(), "too large"),
    })?;
    match serde_json::from_slice(&body) {
        Ok(Ended::Cookie(text) | Ended::User(text)) if text.is_empty() => Err(refuse_body()),
        Ok(ended) => Ok(ended),
        Err(_) => Err(refuse_body()),
    }
}

fn incomplete() -> JsonReply {
    refuse(BodyError::Incomplete.status(), "the body did not arrive")
}

fn refuse_body() -> JsonReply {
    let detail = r#"expected exactly {"user": ID}, or POST {"cookie": COOKIE_HEADER}"#;
    refuse(StatusCode::BAD_REQUEST, detail)
}

/// Answered only once it would survive a crash, where there is a file for that.
async fn done(state: &State) -> JsonReply {
    if !state.identifier.revoked.is_kept().await {
        let detail = "in force in this process, but the file of revocations cannot be written";
        let body = json!({ "revoked": true, "kept": false, "detail": detail });
        return (StatusCode::INTERNAL_SERVER_ERROR, body.to_string() + "\n");
    }
    let body = match state.identifier.revoked.settled().await {
        None | Some(Settled::InStream) => json!({ "revoked": true }),
        Some(Settled::OnOneServer) => {
            let detail = "stored on only one server of the shared store: none of its replicas has \
                          confirmed";
            json!({ "revoked": true, "shared": true, "detail": detail })
        }
        Some(Settled::Here) => {
            let detail = "in force in this process; other replicas learn of it as soon as the \
                          shared store answers";
            json!({ "revoked": true, "shared": false, "detail": detail })
        }
    };
    (StatusCode::OK, body.to_string() + "\n")
}

fn refuse(status: StatusCode, detail: &str) -> JsonReply {
    (status, json!({ "revoked": false, "detail": detail }).to_string() + "\n")
}
