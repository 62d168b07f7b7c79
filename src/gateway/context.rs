//! One request from its first byte to its log line.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use pingora::http::RequestHeader;
use pingora::prelude::Session;

use super::forwarding::Forwarding;
use super::incoming::Incoming;
use super::record::Record;
use super::shadow::{self, Ended};
use super::who::Who;
use crate::observe::{Event, Line, Outcome, RequestEvent, UserName};
use crate::request::refusal::{Refusal, Reply};
use crate::session::Reason;
use crate::state::{InFlight, State};

/// Per-request state that the framework carries from hook to hook.
pub(crate) struct Ctx {
    pub(super) incoming: Incoming,
    /// The request that the proxy in front asks about, if this is its question.
    pub(super) asked: Option<Box<RequestHeader>>,
    /// The label of the rule that applies.
    pub(super) rule: Option<Arc<str>>,
    pub(super) who: Who,
    /// Absent where the gateway itself answers.
    pub(super) forwarding: Option<Forwarding>,
    pub(super) record: Record,
    _in_flight: InFlight,
}

impl Ctx {
    pub(super) fn begin(state: &Arc<State>) -> Self {
        Self {
            incoming: Incoming::new(state),
            asked: None,
            rule: None,
            who: Who::default(),
            forwarding: None,
            record: Record::default(),
            _in_flight: InFlight::begin(state),
        }
    }

    /// The rule's label, or `-` where no rule applies.
    pub(super) fn route_label(&self) -> &str {
        self.rule.as_deref().unwrap_or("-")
    }

    /// Whether the connection to the app was ended because the app took too long.
    pub(super) fn app_is_late(&self) -> bool {
        self.forwarding.as_ref().is_some_and(|forwarding| forwarding.wait.is_late())
    }

    /// Whether an open stream was ended because its session is over; says so in the log.
    pub(super) fn ended_with_session(&mut self) -> bool {
        let is_over = self.forwarding.as_ref().is_some_and(Forwarding::is_over);
        if is_over {
            self.record.end(Outcome::Aborted, Reason::SignedOut.as_str());
        }
        is_over
    }

    /// Records a refusal of a request that no token rule applies to, and makes its
    /// reply.
    pub(super) fn refuse(&mut self, refusal: &Refusal) -> Reply {
        self.incoming.refuse(&mut self.record, refusal, None)
    }

    /// The request goes out once more, with the pieces of its body that have been sent.
    pub(super) fn begin_again(&mut self) {
        let forwarding = self.forwarding.as_mut();
        if let Some(shadow) = forwarding.and_then(|forwarding| forwarding.shadow.as_mut()) {
            shadow.forget_request();
        }
    }

    /// Begins to compare the app's answer, if its token is in shadow mode.
    pub(super) fn end_shadow(&mut self, ended: Ended) {
        let shadow = self.forwarding.as_mut().and_then(|forwarding| forwarding.shadow.take());
        if let Some(shadow) = shadow {
            shadow::compare(*shadow, &mut self.incoming, ended);
        }
    }

    /// The app is done with the request. Some frameworks save a session after the head of
    /// their answer, and an answer that got lost may have signed somebody in.
    pub(super) async fn distrust_session(&self, request: &RequestHeader) {
        if self.forwarding.is_some() {
            let status = StatusCode::from_u16(self.record.status).unwrap_or_default();
            Who::distrust_session(&self.incoming, request, status, Duration::ZERO).await;
        }
    }

    /// The one line and the counters of this request.
    pub(super) fn finish(&mut self, session: &Session) {
        if let Some(forwarding) = &mut self.forwarding {
            forwarding.ended(&self.incoming, &session.req_header().method);
        }
        let Incoming { state, policy, now, trace, sender, .. } = &self.incoming;
        let request = self.asked.as_deref().unwrap_or_else(|| session.req_header());
        let identity = self.who.identity.as_deref();
        let user = identity.and_then(|identity| state.telemetry.user_name(identity));
        let line = Line {
            unix_ms: now.unix_ms(),
            took: state.clock.since(*now),
            request_id: trace.request_id(),
            trace_id: trace.trace_id(),
            method: request.method.as_str(),
            version: session.req_header().version,
            host: &sender.host,
            path: request.uri.path(),
            headers: Some(&request.headers),
            route: self.route_label(),
            client: sender.client.address,
            user: user.as_ref().map(UserName::as_str),
            source: self.who.source_label(policy),
            outcome: self.record.outcome,
            reason: self.record.reason,
            code: self.record.code,
            status: self.record.status,
            scheme: sender.client.scheme.as_str(),
            recorded: self.incoming.recorded.as_ref(),
            bytes: session.body_bytes_sent().try_into().unwrap_or(u64::MAX),
        };
        state.telemetry.emit(Event::Request(RequestEvent::Ended(&line)));
    }
}
