//! Every sink of the process: each event reaches them once, and each takes what it needs.

use std::hash::{BuildHasher as _, RandomState};
use std::io;

use super::access::AccessLog;
use super::audit::{AuditLog, Unwritten};
use super::event::{AuditEntry, Event};
use super::metrics::{Gauges, Metrics};
use super::recent::Recent;
use super::traces::Traces;
use crate::base::digest::Mark;
use crate::base::text::Hex;
use crate::config::{Log, UserField};
use crate::outbound::Outbound;
use crate::policy::AuditMode;
use crate::session::Identity;

/// Metrics, access log, audit log, the last hour and traces.
pub struct Telemetry {
    metrics: Metrics,
    access: AccessLog,
    audit: AuditLog,
    recent: Recent,
    traces: Traces,
    user_field: UserField,
    user_hash: RandomState,
}

/// A user as the access log names them.
pub enum UserName<'a> {
    Hash(Hex),
    Plain(&'a str),
}

impl UserName<'_> {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hash(hash) => hash.as_str(),
            Self::Plain(name) => name,
        }
    }
}

impl Telemetry {
    pub(crate) fn new(
        access: AccessLog,
        audit: AuditLog,
        recent: Recent,
        user_field: UserField,
    ) -> Self {
        let (metrics, traces) = (Metrics::default(), Traces::default());
        let user_hash = RandomState::new();
        Self { metrics, access, audit, recent, traces, user_field, user_hash }
    }

    /// Tells every sink.
    #[inline]
    pub fn emit(&self, event: Event<'_>) {
        self.metrics.count(event);
        self.access.record(event);
        self.audit.record(event);
        self.recent.record(event);
        self.traces.record(event);
    }

    pub(crate) fn traces(&self) -> &Traces {
        &self.traces
    }

    /// The last hour, for the admin listener.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Whether tokens are written down at all.
    pub fn audits(&self) -> bool {
        self.audit.is_on()
    }

    /// Writes down that a token is about to be handed out. Where the line is
    /// required, returns after it has been written.
    pub async fn audit_issued(
        &self,
        entry: &AuditEntry<'_>,
        mode: AuditMode,
    ) -> Result<(), Unwritten> {
        self.audit.write(entry, mode).await
    }

    /// The user's name for the access log, if it has any.
    pub fn user_name<'a>(&self, identity: &'a Identity) -> Option<UserName<'a>> {
        match self.user_field {
            UserField::Hash => Some(UserName::Hash(self.user_hash(identity.mark()))),
            UserField::Off => None,
            UserField::Plain => Some(UserName::Plain(identity.user_id())),
        }
    }

    /// A user's id by a keyed hash: tells users apart while the process runs, and
    /// reveals nothing to readers of the log.
    pub fn user_hash(&self, user: Mark) -> Hex {
        Hex::new(self.user_hash.hash_one(user))
    }

    /// The metrics, for the admin listener.
    pub fn render(&self, gauges: &Gauges) -> String {
        self.metrics.render(gauges)
    }

    /// Lines of the audit log that could not be written so far.
    pub fn audit_failures(&self) -> u64 {
        self.audit.failed()
    }

    /// Opens the audit log's file again, which may have been moved away.
    pub fn reopen(&self) -> io::Result<()> {
        self.audit.reopen()
    }

    /// Applies what may change while the process runs: which requests have a line, and
    /// where traces go.
    pub(crate) fn follow(&self, log: &Log, outbound: &Outbound) {
        self.access.keep(log.lines);
        self.traces.follow(log.otlp.as_ref(), outbound);
    }

    /// Lines of the access log dropped because its reader stalled.
    pub(crate) fn access_dropped(&self) -> u64 {
        self.access.dropped()
    }

    /// Writes out the logs, at the end of the process.
    pub fn flush(&self) {
        self.access.flush();
        self.audit.flush();
        self.traces.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use http::Version;

    use super::*;
    use crate::base::lock::Lock;
    use crate::config::Format;
    use crate::observe::access::Sink;
    use crate::observe::event::{
        CachedOrMinted, CallResult, ConnectionEvent, ConnectionRefusal, DifferenceKind, LatePart,
        Line, Outcome, ReloadResult, RequestEvent, SessionChecked, ShadowResult, TokenEvent,
        UpstreamEvent,
    };
    use crate::observe::metrics::{CircuitState, ServerGauge};
    use crate::outbound::redis::StoreNumbers;
    use crate::request::code::Code;
    use crate::upstream;

    const LINE: Line<'_> = Line {
        unix_ms: 1_767_225_600_042,
        took: Duration::from_millis(20),
        request_id: "r1",
        trace_id: "0af7651916cd43dd8448eb211c80319c",
        method: "GET",
        version: Version::HTTP_11,
        host: "app.example",
        path: "/api/token",
        headers: None,
        route: "token.portive",
        client: None,
        user: None,
        source: "next-auth",
        outcome: Outcome::Issued,
        reason: "cached",
        code: None,
        status: 200,
        bytes: 0,
        scheme: "http",
        recorded: None,
    };

    /// Telemetry, and what its access log has written.
    fn telemetry(user_field: UserField) -> (Telemetry, Arc<Lock<Vec<u8>>>) {
        let memory = Arc::new(Lock::new(Vec::new()));
        let access = AccessLog::start(Format::Json, Sink::Memory(memory.clone())).unwrap();
        (Telemetry::new(access, AuditLog::default(), Recent::default(), user_field), memory)
    }

    #[test]
    fn every_metric_is_rendered_once() {
        let (telemetry, _) = telemetry(UserField::Off);
        let (token, upstream, took) = ("openai", "", Duration::from_millis(300));
        for event in [
            Event::Connection(ConnectionEvent::Handshake { result: "done" }),
            Event::Connection(ConnectionEvent::Http2Refused { reason: "flood" }),
            Event::Connection(ConnectionEvent::Late(LatePart::Body)),
            Event::Connection(ConnectionEvent::Late(LatePart::Head)),
            Event::Connection(ConnectionEvent::Refused(ConnectionRefusal::AddressFull)),
            Event::Connection(ConnectionEvent::Refused(ConnectionRefusal::Full)),
            Event::Connection(ConnectionEvent::Refused(ConnectionRefusal::ProxyHeader)),
            Event::Reloaded { result: ReloadResult::Done, problems: &[] },
            Event::Reloaded { result: ReloadResult::Refused, problems: &[] },
            Event::Request(RequestEvent::Ended(&LINE)),
            Event::Request(RequestEvent::Ended(&Line { outcome: Outcome::Forwarded, ..LINE })),
            Event::Request(RequestEvent::Limited { route: "token.portive" }),
            Event::Request(RequestEvent::Redirected { status: 308 }),
            Event::Request(RequestEvent::Refused { code: Code::NotSignedIn }),
            Event::Session(SessionChecked { source: "next-auth", result: "accepted" }),
            Event::Token(TokenEvent::Called { token, result: CallResult::Answered, took }),
            Event::Token(TokenEvent::Called { token, result: CallResult::Failed, took }),
            Event::Token(TokenEvent::Compared { token, result: ShadowResult::Different }),
            Event::Token(TokenEvent::Differs { token, kind: DifferenceKind::Ttl }),
            Event::Token(TokenEvent::Issued { token, origin: CachedOrMinted::Cached }),
            Event::Token(TokenEvent::Minted { token }),
            Event::Upstream(UpstreamEvent::Ejected { upstream }),
            Event::Upstream(UpstreamEvent::Failed { upstream }),
            Event::Upstream(UpstreamEvent::Probed {
                upstream,
                outcome: upstream::ProbeResult::Good,
            }),
        ] {
            telemetry.emit(event);
        }
        let servers =
            [upstream::EndpointState::Up, upstream::EndpointState::Up].map(|state| ServerGauge {
                upstream: String::new(),
                server: "http://app:3000".to_owned(),
                state,
                in_use: 2,
            });
        let shared = StoreNumbers {
            calls: [1, 2, 0, 0, 0, 0, 3],
            failures: 4,
            scripts: 1,
            uncounted: 2,
            denied_here: 3,
            unreplicated: 1,
            stream_lag_ms: 20,
            is_resting: true,
            replicas: 8,
        };
        let gauges = Gauges {
            connections: 1,
            in_flight: 2,
            certificates: vec![("app.example".into(), 60.0)],
            buckets: 3,
            cached_tokens: 4,
            circuits: vec![("openai".to_owned(), CircuitState::Open)],
            sessions: (20, 4),
            session_errors: 5,
            unkept_revocations: 7,
            questions_held_back: 3,
            audit_failures: 6,
            access_lines_dropped: 8,
            spans_sent: 10,
            spans_dropped: 11,
            shared: Some(shared),
            servers: servers.into(),
        };
        telemetry.render(&gauges);
        let text = telemetry.render(&gauges);
        for line in [
            "portcullis_access_lines_dropped_total 8",
            "portcullis_address_connections_refused_total 1",
            "portcullis_audit_failures_total 6",
            "portcullis_cached_tokens 4",
            "portcullis_certificate_expiry_seconds{name=\"app.example\"} 60",
            "portcullis_config_last_reload_successful 0",
            "portcullis_connections 1",
            "portcullis_connections_refused_total 1",
            "portcullis_exchange_seconds_bucket{result=\"answered\",token=\"openai\",le=\"0.5\"} 1",
            "portcullis_exchange_seconds_bucket{result=\"failed\",token=\"openai\",le=\"0.25\"} 0",
            "portcullis_http2_refused_total{reason=\"flood\"} 1",
            "portcullis_issuer_circuit{token=\"openai\"} 1",
            "portcullis_limit_buckets 3",
            "portcullis_limited_total{route=\"token.portive\"} 1",
            "portcullis_mints_total{token=\"openai\"} 1",
            "portcullis_proxy_headers_refused_total 1",
            "portcullis_refusals_total{code=\"not_signed_in\"} 1",
            "portcullis_reloads_total{result=\"ok\"} 1",
            "portcullis_reloads_total{result=\"refused\"} 1",
            "portcullis_requests_in_flight 2",
            "portcullis_requests_total{route=\"redirect\",status=\"308\"} 1",
            "portcullis_requests_total{route=\"token.portive\",status=\"200\"} 2",
            "portcullis_revocation_file_failures_total 7",
            "portcullis_session_errors_total 5",
            "portcullis_session_lookups_total{result=\"remembered\"} 20",
            "portcullis_session_lookups_total{result=\"verified\"} 4",
            "portcullis_session_questions_held_back_total 3",
            "portcullis_sessions_total{result=\"accepted\",source=\"next-auth\"} 1",
            "portcullis_shadow_answers_total{result=\"different\",token=\"openai\"} 1",
            "portcullis_shadow_differences_total{kind=\"ttl\",token=\"openai\"} 1",
            "portcullis_slow_clients_total{part=\"body\"} 1",
            "portcullis_slow_clients_total{part=\"head\"} 1",
            "portcullis_spans_dropped_total 11",
            "portcullis_spans_sent_total 10",
            "portcullis_tls_handshakes_total{result=\"done\"} 1",
            "portcullis_token_seconds_count 1",
            "portcullis_tokens_total{origin=\"cached\",token=\"openai\"} 1",
            "portcullis_upstream_ejections_total{upstream=\"default\"} 1",
            "portcullis_upstream_failures_total{upstream=\"default\"} 1",
            "portcullis_upstream_probes_total{result=\"ok\",upstream=\"default\"} 1",
            "portcullis_upstream_requests{server=\"http://app:3000\",upstream=\"default\"} 4",
            "portcullis_upstream_seconds_count 1",
            "portcullis_upstream_servers{server=\"http://app:3000\",state=\"down\",upstream=\"default\"} 0",
            "portcullis_upstream_servers{server=\"http://app:3000\",state=\"up\",upstream=\"default\"} 2",
        ] {
            assert_eq!(text.lines().filter(|known| *known == line).count(), 1, "{line}\n{text}");
        }
    }

    #[test]
    fn only_the_end_of_a_request_is_a_line_of_the_access_log() {
        let (telemetry, written) = telemetry(UserField::Off);
        telemetry.emit(Event::Request(RequestEvent::Refused { code: Code::NotSignedIn }));
        telemetry.emit(Event::Token(TokenEvent::Minted { token: "portive" }));
        telemetry.emit(Event::Request(RequestEvent::Ended(&LINE)));
        telemetry.flush();
        let written = String::from_utf8(written.lock().clone()).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        assert!(written.contains(r#""outcome":"issued""#), "{written}");
    }

    #[test]
    fn users_are_hashed_unless_the_operator_asks_for_their_names() {
        let identity = Identity::assumed("u1".into(), serde_json::Value::Null, None);
        let name = |field| {
            let (telemetry, _) = telemetry(field);
            telemetry.user_name(&identity).map(|name| name.as_str().to_owned())
        };
        assert_eq!(name(UserField::Off), None);
        assert_eq!(name(UserField::Plain).as_deref(), Some("u1"));
        let hash = name(UserField::Hash).unwrap();
        assert_eq!(hash.len(), 16);
        assert_ne!(name(UserField::Hash), Some(hash), "the key is the process's own");
    }
}
