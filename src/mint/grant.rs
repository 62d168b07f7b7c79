//! Asking the app what this user may do, with the user's own cookie.
//!
//! Pure: the shell performs the request; here stand its settings and the
//! reading of its answer, which templates see as `{grant.…}`.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use serde_json::Value;

use super::MintError;
use super::members::Members;
use crate::document::OneOrMany;

/// The `grant` of a token: a GET to the app.
#[derive(Debug)]
pub struct GrantHook {
    pub url: String,
    /// Headers of the browser's request that go along.
    pub forward: Vec<HeaderName>,
    pub timeout: Duration,
}

const TIMEOUT: Duration = Duration::from_secs(2);

impl GrantHook {
    pub(super) fn read(members: &mut Members<'_, '_, '_>) -> Option<Self> {
        let at = members.own("grant")?;
        let mut table = at.table()?;
        let url: Option<String> = table.need("url", "url = \"http://127.0.0.1:3000/grants\"");
        let forward = table.take("forward");
        let timeout = table.get("timeout").unwrap_or(TIMEOUT);
        table.finish();
        let url = url?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            at.problem("`url` must start with http:// or https://");
        }
        let mut headers = vec![http::header::COOKIE];
        if let Some(at) = forward {
            let names = at.read::<OneOrMany<String>>()?.0;
            let parsed: Result<_, _> =
                names.iter().map(|name| HeaderName::from_bytes(name.as_bytes())).collect();
            match parsed {
                Ok(parsed) => headers = parsed,
                Err(_) => at.problem("`forward` lists names of headers such as \"cookie\""),
            }
        }
        Some(Self { url, forward: headers, timeout })
    }

    /// Reads the app's answer: its JSON, or its refusal.
    pub fn answered(&self, status: StatusCode, body: &[u8]) -> Result<Value, MintError> {
        match status {
            StatusCode::UNAUTHORIZED => {
                Err(MintError::NotSignedIn("the app's grant hook answered 401".into()))
            }
            StatusCode::FORBIDDEN => {
                Err(MintError::NotAllowed("the app's grant hook answered 403".into()))
            }
            status if status.is_success() => serde_json::from_slice(body).map_err(|_| {
                MintError::IssuerFailed("the app's grant hook did not answer with JSON".into())
            }),
            status => Err(MintError::IssuerFailed(
                format!("the app's grant hook answered {}", status.as_u16()).into(),
            )),
        }
    }
}
