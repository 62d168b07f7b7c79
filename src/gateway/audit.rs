//! Audit lines for the tokens of one request.

use super::incoming::Incoming;
use super::who::Who;
use crate::issue::{IssueError, Issued};
use crate::observe::{AuditEntry, Event, TokenDecision, TokenEvent, TokenPlace};
use crate::policy::TokenRoute;
use crate::request::code::Code;

impl Incoming {
    /// Writes down that a token is about to be handed out. Where that is required
    /// and fails, there is no token.
    pub(super) async fn audit_issued(
        &self,
        who: &Who,
        route: &TokenRoute,
        issued: &Issued,
        place: TokenPlace,
    ) -> Result<(), IssueError> {
        if !self.state.telemetry.audits() {
            return Ok(());
        }
        let token = &issued.token;
        let decision = TokenDecision::Issued {
            token: token.value(),
            ttl: token.expires_at.saturating_sub(self.now.unix()),
            origin: issued.origin,
        };
        let entry = self.entry(who, route, decision, place);
        // Boxed, because most requests never use it.
        Box::pin(self.state.issuer.audit_issued(route, &entry)).await
    }

    pub(super) fn audit_refused(
        &self,
        who: &Who,
        route: &TokenRoute,
        code: Code,
        place: TokenPlace,
    ) {
        if self.state.telemetry.audits() {
            let entry = self.entry(who, route, TokenDecision::Refused(code), place);
            self.state.telemetry.emit(Event::Token(TokenEvent::Refused(&entry)));
        }
    }

    fn entry<'a>(
        &'a self,
        who: &'a Who,
        route: &'a TokenRoute,
        decision: TokenDecision<'a>,
        place: TokenPlace,
    ) -> AuditEntry<'a> {
        AuditEntry {
            unix_ms: self.now.unix_ms(),
            decision,
            token: &route.name,
            place,
            user: who.identity.as_ref().map(|identity| identity.user_id()),
            key: route.minter.kids().first().and_then(Option::as_deref),
            client: self.sender.client.address,
            request_id: Some(self.trace.request_id()),
        }
    }
}
