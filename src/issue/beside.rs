//! Shadow mode: the token that a request would have got, made beside the app's own.
//!
//! Counts and takes what the endpoint would, except the events that report an answer: the
//! app gives the answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::issuer::{Issuer, inputs};
use super::request::{TokenQuestion, TokenRequest};
use super::shadow::Minted;
use crate::mint::{CachePolicy, Minting};
use crate::policy::TokenRoute;
use crate::request::refusal::Refusal;
use crate::session::Identity;

/// Changes every second and every millisecond that a token holds.
const LATER: Duration = Duration::from_millis(1537);

impl Issuer {
    /// The token, or why there would be none. A remote issuer is asked as rarely as by the
    /// endpoint: its tokens are cached.
    pub(crate) async fn mint_beside(
        &self,
        route: &TokenRoute,
        query: TokenQuestion,
        identity: &Identity,
        body: &[u8],
    ) -> Result<Minted, Refusal> {
        let TokenQuestion { query, forwarded, freshness: _, now, recorded: _ } = query;
        let inputs = inputs(route, query.as_deref(), body, identity)?;
        if let Some(limit) = &route.limit {
            let taken = self.take(limit, identity.mark(), now).await;
            taken.map_err(|denied| Refusal::denied(limit, &denied))?;
        }
        let grant = match route.minter.grant() {
            Some(_) => self.grant(route, forwarded, (identity, &inputs, None)).await?,
            None => Value::Null,
        };
        let request = TokenRequest { inputs, grant, ..TokenRequest::plain(identity, now) };
        let subject = request.subject();
        if route.minter.is_remote() {
            let is_kept = route.minter.cache() != CachePolicy::Never;
            let key = is_kept.then(|| route.minter.cache_key(&subject));
            let token = self.mint_and_cache(route, &subject, key, &request).await?.token;
            return Ok(Minted { token, again: None });
        }
        let token = Arc::new(self.mint(route, &subject, &request).await?);
        let later = now.plus(LATER);
        let again = self.with_minter(route, &subject, move |it, on| it.mint(on, later)).await;
        let again = match again {
            Ok(Minting::Ready(token)) => Some(token),
            Ok(Minting::Call(_) | Minting::First(_)) | Err(_) => None,
        };
        Ok(Minted { token, again })
    }
}
