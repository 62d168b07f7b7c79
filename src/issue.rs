//! The token path: limit, then cache, then mint, in that order.
//!
//! The limit counts answers, cached or not. A caller may ask for a token nobody
//! has seen before (`Fresh`); that counts too.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::cache::Origin;
use crate::clock::Now;
use crate::limit::Admitted;
use crate::live::Live;
use crate::mint::{CachePolicy, MintError, Minting, Subject, Token};
use crate::policy::TokenRoute;
use crate::respond::Refusal;
use crate::session::Identity;

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
    /// The cookie's name, for a refusal.
    pub cookie: &'a str,
    pub fresh: Fresh,
    pub now: Now,
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
    let admitted = live.limits.take(limit, limit.bucket(identity.user_id()), now);
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
        Subject { identity: request.identity, inputs: &request.inputs, grant: &Value::Null };
    let make = async { mint(live, route, &subject, request) };
    let issued = match (route.minter.cache(), request.fresh) {
        (CachePolicy::Never, _) => Issued { token: Arc::new(make.await?), origin: Origin::Minted },
        (CachePolicy::Global | CachePolicy::User, Fresh::New) => {
            let token = Arc::new(make.await?);
            live.tokens.put(route.minter.cache_key(&subject), token.clone(), request.now).await;
            Issued { token, origin: Origin::Minted }
        }
        (CachePolicy::Global | CachePolicy::User, Fresh::Any) => {
            let key = route.minter.cache_key(&subject);
            let (token, origin) = live.tokens.get(key, request.identity, request.now, make).await?;
            Issued { token, origin }
        }
    };
    live.metrics.issued(&route.name, issued.origin);
    Ok(issued)
}

fn mint(
    live: &Live,
    route: &TokenRoute,
    subject: &Subject<'_>,
    request: &Request<'_>,
) -> Result<Token, Refusal> {
    live.metrics.minted(&route.name);
    match route.minter.mint(subject, request.now) {
        Ok(Minting::Ready(token)) => Ok(token),
        // Asking a remote issuer is not wired up yet: such a token is not to be had.
        Ok(Minting::Call(_)) => Err(Refusal::Unavailable),
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
