//! What the audit log says about the tokens of one request.

use super::context::Ctx;
use crate::issue::{IssueError, Issued};
use crate::observe::{AuditEntry, Event, TokenDecision, TokenEvent, TokenPlace};
use crate::policy::TokenRoute;
use crate::request::code::Code;

impl Ctx {
    /// Writes down that a token is about to be handed out. Where that is required
    /// and cannot be done, there is no token.
    pub(super) async fn audit_issued(
        &self,
        route: &TokenRoute,
        issued: &Issued,
        place: TokenPlace,
    ) -> Result<(), IssueError> {
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
        Box::pin(self.live.issuer.audit_issued(route, &entry)).await
    }

    pub(super) fn audit_refused(&self, route: &TokenRoute, code: Code, place: TokenPlace) {
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
