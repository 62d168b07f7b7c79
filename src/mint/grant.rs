//! Asking the app what this user may do, with the user's own cookie.
//!
//! Pure: the shell makes the request; its settings are here, and the reading of its
//! answer, which templates see as `{grant.…}`. An input without a pattern that allows
//! it is added to the address, because only the app can decide about it.

use std::time::Duration;

use http::{HeaderName, StatusCode};
use serde_json::Value;

use super::error::MintError;
use super::json::text_of;
use super::layered_table::LayeredTable;
use super::remote_url::{RemoteUrl, UrlUnfit};
use super::subject::Subject;
use super::template::{Names, Scope};

use crate::base::text::encode_uri_component;
use crate::base::url::Url;
use crate::document::template_syntax::references;
use crate::document::{At, Located, OneOrMany};
use crate::request::headers::is_framing;

/// The `grant` of a token: a GET to the app.
pub struct GrantHook {
    url: RemoteUrl,
    /// The server, if its requests could be read in transit.
    readable: Option<Located<Url>>,
    /// Inputs that only the app decides about and that the address does not contain.
    added: Vec<String>,
    /// Headers of the browser's request to send along.
    pub forward: Vec<HeaderName>,
    pub timeout: Duration,
}

const TIMEOUT: Duration = Duration::from_secs(2);

impl GrantHook {
    pub(super) const KEYS: [&str; 1] = ["grant"];

    /// `None` without one, or if problems were noted.
    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let at = members.own("grant")?;
        let mut table = at.table()?;
        let url = table.take_needed("url", "url = \"http://127.0.0.1:3000/grants\"");
        let forward = table.take("forward");
        let timeout = table.get("timeout").unwrap_or(TIMEOUT);
        table.finish();
        let mut headers = vec![http::header::COOKIE];
        if let Some(at) = forward {
            let listed = at.read::<OneOrMany<String>>()?.0;
            let parsed: Result<Vec<_>, _> =
                listed.iter().map(|name| HeaderName::from_bytes(name.as_bytes())).collect();
            match parsed {
                Ok(parsed) if parsed.iter().any(is_framing) => {
                    at.problem("`forward` lists a header that routes or frames the request")
                }
                Ok(parsed) => headers = parsed,
                Err(_) => at.problem("`forward` lists header names such as \"cookie\""),
            }
        }
        let at = url?;
        let (url, added) = address(&at, names)?;
        let readable =
            (!url.server().is_private()).then(|| Located::new(&at, url.server().clone()));
        Some(Self { url, readable, added, forward: headers, timeout })
    }

    /// The server, if its requests could be read in transit.
    pub(crate) fn readable(&self) -> Option<&Located<Url>> {
        self.readable.as_ref()
    }

    /// Where this user's grants are asked for.
    pub fn url(&self, subject: &Subject<'_>) -> Result<String, MintError> {
        let unfit =
            |unfit: UrlUnfit| unfit.into_error("the grant hook's address", MintError::BadRequest);
        let mut url = self.url.render(&Scope::before_minting(subject)).map_err(unfit)?;
        for name in &self.added {
            let Some(value) = subject.inputs.get(name).and_then(text_of) else { continue };
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!(
                "{}={}",
                encode_uri_component(name),
                encode_uri_component(&value)
            ));
        }
        Ok(url)
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

/// The address as a template, and the inputs that are added to it.
fn address(at: &At<'_>, names: &Names<'_>) -> Option<(RemoteUrl, Vec<String>)> {
    let references = references(at.node);
    let is_known = |root: &str| matches!(root, "request" | "session");
    if references.iter().any(|reference| !is_known(reference.root())) {
        at.problem("the address may use {request.…} and {session.…} only");
        return None;
    }
    let url = RemoteUrl::from_node(at, names, "http://127.0.0.1:3000/grants?room={request.room}")?;
    let named: Vec<&str> = references
        .iter()
        .filter(|reference| reference.root() == "request")
        .filter_map(|reference| reference.rest().first().map(String::as_str))
        .collect();
    let open = names.inputs.left_to_the_app().filter(|name| !named.contains(name));
    let added = open.map(str::to_owned).collect();
    Some((url, added))
}
