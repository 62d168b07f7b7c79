//! The token path: limit, then cache, then mint, in that order.
//!
//! The limit counts answers, cached or not. A caller may ask for a token nobody
//! has seen before (`Fresh`); that counts too.

pub mod cache;
pub mod circuit_breaker;
mod remote;

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::base::clock::Now;
use crate::base::digest::Digest;
use crate::issue::cache::Origin;
use crate::limit::Admitted;
use crate::mint::{CachePolicy, MintError, Minting, Subject, Token};
use crate::policy::TokenRoute;
use crate::request::refusal::Refusal;
use crate::request::view::RequestView;
use crate::session::Identity;
use crate::state::Live;

/// Whether a token from the cache will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    Any,
    New,
}

/// What is asked for, once it is known to be allowed.
pub struct Request<'a> {
    pub identity: &'a Identity,
    /// The request inputs the token declares, checked.
    pub inputs: Map<String, Value>,
    /// The app's answer to the grant hook; `Null` without one.
    pub grant: Value,
    /// The cookie's name, for a refusal.
    pub cookie: &'a str,
    pub fresh: Fresh,
    pub now: Now,
}

/// What the request for a token says, beside its body.
pub struct Asked<'a> {
    query: Option<String>,
    /// What goes along to the app, if it is asked about grants.
    forwarded: Vec<(HeaderName, HeaderValue)>,
    cookie: &'a str,
    fresh: Fresh,
    now: Now,
}

impl<'a> Asked<'a> {
    pub fn of(route: &TokenRoute, view: &RequestView<'_>, cookie: &'a str, now: Now) -> Self {
        let grant = route.minter.grant();
        Self {
            query: view.query.map(str::to_owned),
            forwarded: grant.map(|hook| remote::forwarded(hook, view.headers)).unwrap_or_default(),
            cookie,
            fresh: if view.wants_fresh() { Fresh::New } else { Fresh::Any },
            now,
        }
    }

    /// Reads the declared inputs and asks the app, in this order.
    pub async fn request(
        self,
        live: &Live,
        route: &TokenRoute,
        identity: &'a Identity,
        body: &[u8],
    ) -> Result<Request<'a>, Refusal> {
        let Self { query, forwarded, cookie, fresh, now } = self;
        let inputs = route.minter.inputs().collect(query.as_deref(), body, identity);
        let inputs = inputs.map_err(|error| refusal(&error, route, cookie))?;
        let grant = match route.minter.grant() {
            Some(hook) => {
                let subject = Subject { identity, inputs: &inputs, grant: &Value::Null };
                let url = hook.url(&subject).map_err(|error| refusal(&error, route, cookie))?;
                Box::pin(remote::grant(live, route, (hook, &url), forwarded, cookie)).await?
            }
            None => Value::Null,
        };
        Ok(Request { identity, inputs, grant, cookie, fresh, now })
    }
}

/// A token for one answer.
pub struct Issued {
    pub token: Arc<Token>,
    pub origin: Origin,
}

/// Takes one from the user's allowance, or says how long to wait.
pub fn take(
    live: &Live,
    route: &TokenRoute,
    identity: &Identity,
    now: Now,
) -> Result<Option<Admitted>, Refusal> {
    let Some(limit) = &route.limit else { return Ok(None) };
    let admitted = live.limits.take(limit, limit.bucket(identity.mark()), now);
    admitted.map(Some).map_err(|exceeded| {
        live.metrics.limited(&route.label);
        Refusal::TooMany {
            retry_after: exceeded.retry_after,
            policy: limit.policy_header().clone(),
            left: exceeded.header(limit),
        }
    })
}

/// The token itself: from the cache if it may be, else made.
pub async fn token(
    live: &Live,
    route: &TokenRoute,
    request: &Request<'_>,
) -> Result<Issued, Refusal> {
    let subject =
        Subject { identity: request.identity, inputs: &request.inputs, grant: &request.grant };
    let key = match route.minter.cache() {
        CachePolicy::Never => None,
        CachePolicy::Global | CachePolicy::User => Some(route.minter.cache_key(&subject)),
    };
    let cached = match (&key, request.fresh) {
        (Some(key), Fresh::Any) => live.tokens.find(key, request.identity, request.now).await,
        (None, _) | (_, Fresh::New) => None,
    };
    let issued = match cached {
        Some(token) => Issued { token, origin: Origin::Cached },
        // Boxed, because every request would be charged for the room this takes.
        None => Box::pin(made(live, route, &subject, key, request)).await?,
    };
    live.metrics.issued(&route.name, issued.origin);
    Ok(issued)
}

/// A token that is not there yet, and is kept under `key`.
async fn made(
    live: &Live,
    route: &TokenRoute,
    subject: &Subject<'_>,
    key: Option<Digest>,
    request: &Request<'_>,
) -> Result<Issued, Refusal> {
    let make = mint(live, route, subject, request);
    match (key, request.fresh) {
        (Some(key), Fresh::Any) => {
            let (token, origin) = live.tokens.get(key, request.identity, request.now, make).await?;
            Ok(Issued { token, origin })
        }
        (key, _) => {
            let token = Arc::new(make.await?);
            if let Some(key) = key {
                live.tokens.put(key, token.clone(), request.now).await;
            }
            Ok(Issued { token, origin: Origin::Minted })
        }
    }
}

async fn mint(
    live: &Live,
    route: &TokenRoute,
    subject: &Subject<'_>,
    request: &Request<'_>,
) -> Result<Token, Refusal> {
    live.metrics.minted(&route.name);
    match route.minter.mint(subject, request.now) {
        Ok(Minting::Ready(token)) => Ok(token),
        Ok(Minting::Call(call)) => {
            let (status, body) = remote::issuer(live, route, call).await?;
            let token = route.minter.answered(subject, request.now, status, body);
            token.map_err(|error| refusal(&error, route, request.cookie))
        }
        Err(error) => Err(refusal(&error, route, request.cookie)),
    }
}

/// The public half of a minting error; the cause goes to the log.
pub fn refusal(error: &MintError, route: &TokenRoute, cookie: &str) -> Refusal {
    tracing::warn!(token = route.name, reason = error.code(), cause = %error, "token not minted");
    match error {
        MintError::BadRequest(_) => {
            Refusal::BadRequest("a request input is missing or not allowed")
        }
        MintError::IssuerFailed(_) => Refusal::IssuerFailed,
        MintError::NotAllowed(_) => Refusal::NotAllowed,
        MintError::NotSignedIn(_) => Refusal::NotSignedIn(cookie.to_owned()),
        MintError::SessionExpired(_) => Refusal::SessionExpired(cookie.to_owned()),
        MintError::Unavailable(_) => Refusal::Unavailable,
    }
}
