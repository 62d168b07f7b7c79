//! A call whose answer the token's own request needs: the vendor's access token for the
//! gateway itself.
//!
//! It is the same for every user, so it may read neither session nor request, and one
//! answer serves all until it is about to expire.

use bytes::Bytes;
use http::StatusCode;

use super::outgoing::RequestTemplate;
use super::take::TokenPlaces;
use crate::base::secret::Secret;
use crate::document::At;
use crate::document::template_syntax::references;
use crate::mint::error::MintError;
use crate::mint::template::{Names, Scope, SecretUse};
use crate::mint::token::Call;

/// The `first` of an exchange.
pub(in crate::mint) struct FirstCall {
    request: RequestTemplate,
    take: TokenPlaces,
}

/// The first call's result.
pub(crate) struct FirstAnswer {
    pub token: Secret,
    /// Unix seconds until when it may be used again.
    pub usable_until: u64,
}

/// Lifetime in seconds of an answer that does not say when it expires.
const WITHOUT_END: u64 = 300;

impl FirstCall {
    pub(super) fn from_node(at: &At<'_>, names: &Names<'_>) -> Option<Self> {
        const OF_A_USER: [&str; 3] = ["grant", "request", "session"];
        if references(at.node).iter().any(|reference| OF_A_USER.contains(&reference.root())) {
            at.problem(
                "the first call is made once for all users, so it may use only {key.…}, {param.…} \
                 and times",
            );
            return None;
        }
        let mut table = at.table()?;
        let (answer, take) = (table.take("answer"), table.take("take"));
        let take = TokenPlaces::from_nodes(answer.as_ref(), take.as_ref());
        let names = Names { secrets: SecretUse::Allowed, ..*names };
        let accept = take.as_ref().map_or("*/*", TokenPlaces::accept);
        let request =
            RequestTemplate::from_members(&mut |key| table.take(key), None, accept, &names);
        table.finish();
        Some(Self { request: request?, take: take? })
    }

    pub(in crate::mint) fn call(&self, scope: &Scope<'_>) -> Result<Call, MintError> {
        self.request.call(scope)
    }

    /// Reads the response. The last fifth of its lifetime, at least 10 s and at most 5
    /// min, is not used.
    pub(in crate::mint) fn answer(
        &self,
        response: (StatusCode, &Bytes),
        secrets: &[Secret],
        now: u64,
    ) -> Result<FirstAnswer, MintError> {
        let answer = self.take.read(response, secrets, now)?;
        let end = answer.expires_at.unwrap_or_else(|| now.saturating_add(WITHOUT_END));
        let life = end.saturating_sub(now);
        let usable_until = end.saturating_sub((life / 5).clamp(10, 300).min(life / 2));
        Ok(FirstAnswer { token: Secret::new(answer.token), usable_until })
    }
}
