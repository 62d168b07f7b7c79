//! Requests, their limits and their sessions.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::gauges::Gauges;
use crate::observe::event::{Line, Outcome, RequestEvent, SessionChecked};
use crate::observe::registry::{DURATIONS, MetricRegistry, number};

/// Bounds below those of HTTP durations: a token minted here takes microseconds.
const MINTING: [f64; 5] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5];

pub(super) struct Requests {
    ended: IntCounterVec,
    refused: IntCounterVec,
    limited: IntCounterVec,
    upstream_seconds: Histogram,
    token_seconds: Histogram,
    sessions: IntCounterVec,
    session_lookups: IntCounterVec,
    session_errors: IntCounter,
    unkept_revocations: IntCounter,
    questions_held_back: IntCounter,
    in_flight: IntGauge,
    buckets: IntGauge,
}

impl Requests {
    pub(super) fn new(registry: &MetricRegistry) -> Self {
        Self {
            ended: registry.counters(
                "portcullis_requests_total",
                "Requests answered.",
                &["route", "status"],
            ),
            refused: registry.counters(
                "portcullis_refusals_total",
                "Requests refused, by code.",
                &["code"],
            ),
            limited: registry.counters(
                "portcullis_limited_total",
                "Requests refused by a limit.",
                &["route"],
            ),
            upstream_seconds: registry.seconds(
                "portcullis_upstream_seconds",
                "Time of forwarded requests, to the end of the answer.",
                &DURATIONS,
            ),
            token_seconds: registry.seconds(
                "portcullis_token_seconds",
                "Time of token requests.",
                &[&MINTING[..], &DURATIONS].concat(),
            ),
            sessions: registry.counters(
                "portcullis_sessions_total",
                "Sessions checked, by source and result.",
                &["source", "result"],
            ),
            unkept_revocations: registry.counter(
                "portcullis_revocation_file_failures_total",
                "Sign-outs and revocations written to their file only after a retry.",
            ),
            questions_held_back: registry.counter(
                "portcullis_session_questions_held_back_total",
                "Queries to session stores skipped because too many ids were unknown.",
            ),
            session_lookups: registry.counters(
                "portcullis_session_lookups_total",
                "Valid sessions, by whether they were remembered or verified.",
                &["result"],
            ),
            session_errors: registry.counter(
                "portcullis_session_errors_total",
                "Session queries that a store or the app did not answer.",
            ),
            in_flight: registry
                .gauge("portcullis_requests_in_flight", "Requests begun and not ended."),
            buckets: registry.gauge(
                "portcullis_limit_buckets",
                "Users and addresses whose requests are being counted.",
            ),
        }
    }

    pub(super) fn count(&self, event: RequestEvent<'_>) {
        match event {
            RequestEvent::Ended(line) => self.ended(line),
            RequestEvent::Limited { route } => self.limited.with_label_values(&[route]).inc(),
            RequestEvent::Redirected { status } => self.answered("redirect", status),
            RequestEvent::Refused { code } => {
                self.refused.with_label_values(&[code.as_str()]).inc()
            }
        }
    }

    pub(super) fn checked(&self, session: SessionChecked<'_>) {
        self.sessions.with_label_values(&[session.source, session.result]).inc();
    }

    pub(super) fn set(&self, gauges: &Gauges) {
        self.in_flight.set(number(gauges.in_flight));
        self.buckets.set(number(gauges.buckets));
        let (remembered, verified) = gauges.sessions;
        for (result, to) in [("remembered", remembered), ("verified", verified)] {
            let counter = self.session_lookups.with_label_values(&[result]);
            counter.inc_by(to.saturating_sub(counter.get()));
        }
        let counted = self.session_errors.get();
        self.session_errors.inc_by(gauges.session_errors.saturating_sub(counted));
        let counted = self.unkept_revocations.get();
        self.unkept_revocations.inc_by(gauges.unkept_revocations.saturating_sub(counted));
        let counted = self.questions_held_back.get();
        self.questions_held_back.inc_by(gauges.questions_held_back.saturating_sub(counted));
    }

    fn ended(&self, line: &Line<'_>) {
        self.answered(line.route, line.status);
        match line.outcome {
            Outcome::Forwarded => self.upstream_seconds.observe(line.took.as_secs_f64()),
            Outcome::Issued => self.token_seconds.observe(line.took.as_secs_f64()),
            Outcome::Aborted | Outcome::Answered | Outcome::Refused => {}
        }
    }

    fn answered(&self, route: &str, status: u16) {
        let mut buffer = [0; 3];
        self.ended.with_label_values(&[route, three_digits(status, &mut buffer)]).inc();
    }
}

fn three_digits(status: u16, buffer: &mut [u8; 3]) -> &str {
    let digit = |place: u16| u8::try_from(status / place % 10).map_or(b'0', |digit| b'0' + digit);
    *buffer = [digit(100), digit(10), digit(1)];
    std::str::from_utf8(buffer).unwrap_or("000")
}
