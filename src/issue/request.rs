//! A request to the issuer.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::base::clock::Now;
use crate::mint::{GrantHook, Subject};
use crate::policy::TokenRoute;
use crate::request::recorded::Recorded;
use crate::request::view::RequestView;
use crate::session::Identity;

/// Whether a cached token will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    Any,
    New,
}

/// A wish for a token that is known to be allowed.
pub struct TokenRequest<'a> {
    pub identity: &'a Identity,
    /// The inputs that the token declares, checked.
    pub inputs: Map<String, Value>,
    /// The app's answer to the grant hook; `Null` without one.
    pub grant: Value,
    pub freshness: Freshness,
    pub now: Now,
    /// The span of the request behind it, if that is recorded.
    pub recorded: Option<Recorded>,
}

impl<'a> TokenRequest<'a> {
    /// For a token without inputs and grants, as pages have.
    pub fn plain(identity: &'a Identity, now: Now) -> Self {
        let (inputs, grant) = (Map::new(), Value::Null);
        Self { identity, inputs, grant, freshness: Freshness::Any, now, recorded: None }
    }

    /// As part of a request that is recorded, or not.
    pub fn recorded(self, recorded: Option<Recorded>) -> Self {
        Self { recorded, ..self }
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        Subject { identity: self.identity, inputs: &self.inputs, grant: &self.grant }
    }
}

/// The parts of the HTTP request that concern the token, except its body.
pub(crate) struct TokenQuestion {
    pub(super) query: Option<String>,
    /// Headers for the app, if it is asked about grants.
    pub(super) forwarded: Vec<(HeaderName, HeaderValue)>,
    pub(super) freshness: Freshness,
    pub(super) now: Now,
    pub(super) recorded: Option<Recorded>,
}

impl TokenQuestion {
    pub(crate) fn new(route: &TokenRoute, view: &RequestView<'_>, now: Now) -> Self {
        let hook = route.minter.grant();
        Self {
            query: view.query.map(str::to_owned),
            forwarded: hook.map(|hook| forwarded(hook, view.headers)).unwrap_or_default(),
            freshness: if view.wants_fresh() { Freshness::New } else { Freshness::Any },
            now,
            recorded: None,
        }
    }

    /// As part of a request that is recorded, or not.
    pub(crate) fn recorded(self, recorded: Option<Recorded>) -> Self {
        Self { recorded, ..self }
    }
}

/// The headers of the browser's request that go to the app as well.
fn forwarded(hook: &GrantHook, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let present = |name: &HeaderName| Some((name.clone(), headers.get(name)?.clone()));
    hook.forward.iter().filter_map(present).collect()
}
