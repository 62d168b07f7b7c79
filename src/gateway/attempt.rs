//! Attempts to get an answer from the app, as spans of a recorded request.

use std::sync::Arc;

use http::{HeaderMap, Method};
use pingora::ErrorSource;
use pingora::prelude::Error;

use super::incoming::Incoming;
use crate::observe::StepKind;
use crate::request::recorded::Step;
use crate::request::trace::TRACEPARENT;
use crate::upstream::{Address, Upstream};

/// The attempt that is under way, if the request is recorded.
#[derive(Default)]
pub(super) struct Attempts(Option<Box<Attempt>>);

struct Attempt {
    step: Step,
    upstream: Arc<Upstream>,
    server: Arc<Address>,
    /// Attempts before this one.
    resend: u16,
    status: u16,
    error: &'static str,
}

impl Attempts {
    /// The request goes out: to a server, or once more.
    pub(super) fn begin(
        &mut self,
        incoming: &Incoming,
        method: &Method,
        (upstream, server): (&Arc<Upstream>, &Arc<Address>),
    ) {
        let Some(step) = incoming.begin_step() else { return };
        let resend = self.0.as_ref().map_or(0, |attempt| attempt.resend.saturating_add(1));
        self.end(incoming, method);
        let (upstream, server) = (upstream.clone(), server.clone());
        let attempt = Attempt { step, upstream, server, resend, status: 0, error: "" };
        self.0 = Some(Box::new(attempt));
    }

    /// Names the attempt to the server that gets the request, where a trace context goes there.
    pub(super) fn name_to(&self, headers: &mut HeaderMap) {
        if let Some(attempt) = &self.0
            && headers.contains_key(TRACEPARENT)
        {
            headers.insert(TRACEPARENT, attempt.step.traceparent());
        }
    }

    pub(super) fn answered(&mut self, status: u16) {
        if let Some(attempt) = &mut self.0 {
            attempt.status = status;
        }
    }

    /// A client that has gone does not count against the app.
    pub(super) fn failed(&mut self, error: &Error) {
        if let Some(attempt) = &mut self.0
            && *error.esource() != ErrorSource::Downstream
        {
            attempt.error = error.etype().as_str();
        }
    }

    /// The app's answer is over, or there is none.
    pub(super) fn end(&mut self, incoming: &Incoming, method: &Method) {
        let Some(attempt) = self.0.take() else { return };
        let Attempt { step, upstream, server, resend, status, error } = *attempt;
        let server = match &*server {
            Address::Tcp { host, port, .. } => Some((host.as_str(), *port)),
            Address::Unix(_) => None,
        };
        let upstream = if upstream.name.is_empty() { "default" } else { &upstream.name };
        let method = method.as_str();
        let what = StepKind::Attempt { method, upstream, server, resend, status, error };
        incoming.end_step(Some(step), what);
    }
}
