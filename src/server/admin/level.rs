//! `GET` and `POST /log`: the level of the diagnostics, while the process runs.
//!
//! A reload or a restart restores the level in the file.

use std::time::Duration;

use http::{Method, StatusCode};
use pingora::protocols::http::ServerSession;
use serde::Deserialize;
use serde_json::json;
use tracing::Level;

use super::door::{self, AdminClient, JsonReply};
use crate::observe;
use crate::server::plain_app::{BodyError, read_body};
use crate::state::State;

const MAX_BODY: usize = 1024;

/// The whole body: one member, once.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Level(Wanted),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The current level.
pub(super) fn shown() -> String {
    let level = observe::level().map(|level| level.as_str().to_lowercase());
    json!({ "level": level }).to_string() + "\n"
}

/// Sets another level, for callers who may make changes.
pub(super) async fn change(
    state: &State,
    asker: &AdminClient,
    session: &mut ServerSession,
    body_timeout: Duration,
) -> JsonReply {
    let request = session.req_header();
    if request.method != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "expected GET or POST");
    }
    if let Err(denied) = door::check_change(request, asker, &state.edge().admin_tokens) {
        return refuse(denied.status, &denied.detail);
    }
    let read = tokio::time::timeout(body_timeout, read_body(session, MAX_BODY)).await;
    let body = match read.unwrap_or(Err(BodyError::Incomplete)) {
        Ok(body) => body,
        Err(error) => {
            return refuse(error.status(), "expected a body of at most 1 KiB that arrives in time");
        }
    };
    let Ok(Change::Level(wanted)) = serde_json::from_slice(&body) else {
        let expected = r#"expected exactly {"level": LEVEL}: error, warn, info, debug or trace"#;
        return refuse(StatusCode::BAD_REQUEST, expected);
    };
    let level = match wanted {
        Wanted::Error => Level::ERROR,
        Wanted::Warn => Level::WARN,
        Wanted::Info => Level::INFO,
        Wanted::Debug => Level::DEBUG,
        Wanted::Trace => Level::TRACE,
    };
    // Before the change, which may silence it.
    tracing::warn!(level = level.as_str().to_lowercase(), %asker, "log level changes");
    if !observe::set_level(level) {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "this process writes no diagnostics");
    }
    (StatusCode::OK, shown())
}

fn refuse(status: StatusCode, detail: &str) -> JsonReply {
    (status, json!({ "detail": detail }).to_string() + "\n")
}
