//! What the audit log says about the tokens of one request.

use super::context::Ctx;
use crate::issue::Issued;
use crate::observe::{AuditEntry, Event, TokenDecision, TokenEvent, TokenPlace};
use crate::policy::TokenRoute;
use crate::request::refusal::Refusal;

impl Ctx {
    /// Writes down that a token is about to be handed out. Where that is required
    /// and cannot be done, there is no token.
    pub(super) async fn note_issued(
        &self,
        route: &TokenRoute,
        issued: &Issued,
        place: TokenPlace,
    ) -> Result<(), Refusal> {
        if !self.live.telemetry.audits() {
            return Ok(());
        }
        let token = &issued.token;
        let decision = TokenDecision::Issued {
            token: &token.value,
            ttl: token.expires_at.saturating_sub(self.now.unix()),
            origin: issued.origin,
        };
        let entry = self.entry(route, decision, place);
        // Boxed, because most requests would be charged for the room in vain.
        let written = Box::pin(self.live.telemetry.audit_issued(&entry, route.audit)).await;
        written.map_err(|_| Refusal::Unavailable)
    }

    pub(super) fn note_refused(&self, route: &TokenRoute, code: &'static str, place: TokenPlace) {
        if self.live.telemetry.audits() {
            let entry = self.entry(route, TokenDecision::Refused(code), place);
            self.live.telemetry.emit(Event::Token(TokenEvent::Refused(&entry)));
        }
    }

    fn entry<'a>(
        &'a self,
        route: &'a TokenRoute,
        decision: TokenDecision<'a>,
        place: TokenPlace,
    ) -> AuditEntry<'a> {
        AuditEntry {
            unix_ms: self.now.unix_ms(),
            decision,
            token: &route.name,
            place,
            user: self.identity.as_ref().map(|identity| identity.user_id()),
            key: route.minter.kids().first().and_then(Option::as_deref),
            client: self.client.address,
            request_id: Some(self.trace.request_id()),
        }
    }
}
