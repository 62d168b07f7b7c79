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
            policy: limit.policy_header().to_owned(),
            left: exceeded.header(limit),
        }
    })
}

/// The token itself: from the cache if it may be, else made.
pub async fn token(
    live: &Live,
    route: &TokenRoute,
    identity: &Identity,
    fresh: Fresh,
    now: Now,
) -> Result<Issued, Refusal> {
    let inputs = Map::new();
    let subject = Subject { identity, inputs: &inputs, grant: &Value::Null };
    let make = async { mint(live, route, &subject, now) };
    let issued = match (route.minter.cache(), fresh) {
        (CachePolicy::Never, _) => Issued { token: Arc::new(make.await?), origin: Origin::Minted },
        (CachePolicy::Global | CachePolicy::User, Fresh::New) => {
            let token = Arc::new(make.await?);
            live.tokens.put(route.minter.cache_key(&subject), token.clone()).await;
            Issued { token, origin: Origin::Minted }
        }
        (CachePolicy::Global | CachePolicy::User, Fresh::Any) => {
            let key = route.minter.cache_key(&subject);
            let (token, origin) = live.tokens.get(key, now, make).await?;
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
    now: Now,
) -> Result<Token, Refusal> {
    live.metrics.minted(&route.name);
    match route.minter.mint(subject, now) {
        Ok(Minting::Ready(token)) => Ok(token),
        // Presets that need a remote issuer are refused when the file is read.
        Ok(Minting::Call(_)) => Err(Refusal::Unavailable),
        Err(error) => {
            tracing::warn!(token = route.name, reason = error.code(), detail = %error, "token not minted");
            Err(refusal(&error))
        }
    }
}

/// The public half of a minting error.
pub fn refusal(error: &MintError) -> Refusal {
    match error.code() {
        "bad_request" => Refusal::BadRequest("a request input is missing or not allowed"),
        "issuer_failed" => Refusal::IssuerFailed,
        "session_expired" => Refusal::SessionExpired(String::new()),
        "timeout" => Refusal::Timeout,
        "unavailable" => Refusal::Unavailable,
        _ => Refusal::NotAllowed,
    }
}
