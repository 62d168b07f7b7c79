//! What the audit log says about the tokens of one request.

use super::context::Ctx;
use crate::issue::Issued;
use crate::issue::cache::Origin;
use crate::observe::audit::{Entry, Event};
use crate::policy::TokenRoute;
use crate::request::refusal::Refusal;

/// Where a token went.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Endpoint,
    Page,
}

impl Ctx {
    /// Writes down that a token is about to be handed out. Where that is required
    /// and cannot be done, there is no token.
    pub(super) async fn note_issued(
        &self,
        route: &TokenRoute,
        issued: &Issued,
        place: Place,
    ) -> Result<(), Refusal> {
        if !self.live.audit.is_on() {
            return Ok(());
        }
        let token = &issued.token;
        let event = Event::Issued {
            token: &token.value,
            ttl: token.expires_at.saturating_sub(self.now.unix()),
            cached: issued.origin == Origin::Cached,
        };
        let entry = self.entry(route, event, place);
        // Boxed, because most requests would be charged for the room in vain.
        let written = Box::pin(self.live.audit.write(&entry, route.audit)).await;
        written.map_err(|_| Refusal::Unavailable)
    }

    pub(super) fn note_refused(&self, route: &TokenRoute, code: &'static str, place: Place) {
        if self.live.audit.is_on() {
            self.live.audit.note(&self.entry(route, Event::Refused(code), place));
        }
    }

    fn entry<'a>(&'a self, route: &'a TokenRoute, event: Event<'a>, place: Place) -> Entry<'a> {
        Entry {
            unix_ms: self.now.unix_ms(),
            event,
            token: &route.name,
            place: match place {
                Place::Endpoint => "endpoint",
                Place::Page => "page",
            },
            user: self.identity.as_ref().map(|identity| identity.user_id()),
            key: route.minter.kids().first().and_then(Option::as_deref),
            client: self.client.address,
            request_id: Some(self.trace.request_id()),
        }
    }
}
