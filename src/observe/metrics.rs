//! Counters for Prometheus. Labels are names of the configuration and constants,
//! never a user, a path or an address.

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::upstream::UpstreamMetrics;
use crate::issue::cache::Origin;
use crate::issue::circuit_breaker::State;

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    decisions: IntCounterVec,
    sessions: IntCounterVec,
    mints: IntCounterVec,
    tokens: IntCounterVec,
    limited: IntCounterVec,
    reloads: IntCounterVec,
    upstream_seconds: Histogram,
    token_seconds: Histogram,
    exchange_seconds: HistogramVec,
    circuits: IntGaugeVec,
    pub upstream: UpstreamMetrics,
    connections: IntGauge,
    pub connections_refused: IntCounter,
    pub addresses_refused: IntCounter,
    pub proxy_headers_refused: IntCounter,
    slow_clients: IntCounterVec,
    handshakes: IntCounterVec,
    http2_ended: IntCounterVec,
    certificates: GaugeVec,
    in_flight: IntGauge,
    buckets: IntGauge,
    cached: IntGauge,
    session_errors: IntCounter,
    audit_failures: IntCounter,
}

/// What a client did not send in time.
#[derive(Clone, Copy, Debug)]
pub enum Slow {
    Body,
    Head,
}

/// Numbers that are read when somebody asks.
pub struct Gauges {
    pub connections: usize,
    pub in_flight: usize,
    /// Names of certificates, and the seconds they have left.
    pub certificates: Vec<(String, f64)>,
    pub buckets: usize,
    pub cached: u64,
    /// How the issuers of tokens are doing that others make.
    pub circuits: Vec<(String, State)>,
    /// Of the whole time the process runs.
    pub session_errors: u64,
    /// As above.
    pub audit_failures: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help));
        let counter = |name: &str, help: &str| register(&registry, IntCounter::new(name, help));
        let seconds = |name: &str, help: &str, buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            register(&registry, Histogram::with_opts(options))
        };
        Self {
            requests: counters(
                "portcullis_requests_total",
                "Requests answered.",
                &["route", "status"],
            ),
            decisions: counters(
                "portcullis_refusals_total",
                "Requests refused, by code.",
                &["code"],
            ),
            sessions: counters(
                "portcullis_sessions_total",
                "Sessions looked at, by the source that knew them and result.",
                &["source", "result"],
            ),
            mints: counters("portcullis_mints_total", "Tokens minted.", &["token"]),
            tokens: counters(
                "portcullis_tokens_total",
                "Tokens answered, minted or cached.",
                &["token", "origin"],
            ),
            limited: counters(
                "portcullis_limited_total",
                "Requests refused by a limit.",
                &["route"],
            ),
            reloads: counters(
                "portcullis_reloads_total",
                "Reloads of the configuration.",
                &["result"],
            ),
            upstream_seconds: seconds(
                "portcullis_upstream_seconds",
                "Time of forwarded requests, to the end of the answer.",
                &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0],
            ),
            token_seconds: seconds(
                "portcullis_token_seconds",
                "Time of token requests.",
                &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 1.0],
            ),
            exchange_seconds: register(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "portcullis_exchange_seconds",
                        "Time of calls to remote issuers, by whether they answered.",
                    )
                    .buckets(vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
                    &["token", "result"],
                ),
            ),
            circuits: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "portcullis_issuer_circuit",
                        "Remote issuers: 0 called, 1 left alone after failures, 2 being tried.",
                    ),
                    &["token"],
                ),
            ),
            upstream: UpstreamMetrics::new(&registry),
            connections: gauge("portcullis_connections", "Open client connections."),
            connections_refused: counter(
                "portcullis_connections_refused_total",
                "Connections over `max_connections`.",
            ),
            addresses_refused: counter(
                "portcullis_address_connections_refused_total",
                "Connections over `max_connections_per_address`.",
            ),
            proxy_headers_refused: counter(
                "portcullis_proxy_headers_refused_total",
                "Connections without the PROXY protocol header they must begin with.",
            ),
            slow_clients: counters(
                "portcullis_slow_clients_total",
                "Connections ended because the rest of a head or body did not come.",
                &["part"],
            ),
            handshakes: counters(
                "portcullis_tls_handshakes_total",
                "TLS handshakes of clients, by result.",
                &["result"],
            ),
            http2_ended: counters(
                "portcullis_http2_refused_total",
                "HTTP/2 streams refused, and connections ended for floods or errors.",
                &["reason"],
            ),
            certificates: register(
                &registry,
                GaugeVec::new(
                    Opts::new(
                        "portcullis_certificate_expiry_seconds",
                        "Time until a certificate expires, by its first name.",
                    ),
                    &["name"],
                ),
            ),
            in_flight: gauge("portcullis_requests_in_flight", "Requests begun and not ended."),
            buckets: gauge("portcullis_limit_buckets", "Users and addresses with a counter."),
            cached: gauge("portcullis_cached_tokens", "Tokens in the cache."),
            session_errors: counter(
                "portcullis_session_errors_total",
                "Questions about sessions that stores or the app did not answer.",
            ),
            audit_failures: register(
                &registry,
                IntCounter::new(
                    "portcullis_audit_failures_total",
                    "Lines of the audit log that could not be written.",
                ),
            ),
            registry,
        }
    }

    pub fn request(&self, route: &str, status: u16) {
        let mut buffer = [0; 3];
        self.requests.with_label_values(&[route, three_digits(status, &mut buffer)]).inc();
    }

    pub fn refused(&self, code: &str) {
        self.decisions.with_label_values(&[code]).inc();
    }

    /// `source` is empty where no source knew anybody.
    pub fn session(&self, source: &str, result: &str) {
        self.sessions.with_label_values(&[source, result]).inc();
    }

    pub fn minted(&self, token: &str) {
        self.mints.with_label_values(&[token]).inc();
    }

    pub fn issued(&self, token: &str, origin: Origin) {
        let origin = match origin {
            Origin::Cached => "cached",
            Origin::Minted => "minted",
        };
        self.tokens.with_label_values(&[token, origin]).inc();
    }

    pub fn limited(&self, route: &str) {
        self.limited.with_label_values(&[route]).inc();
    }

    pub fn reloaded(&self, result: &str) {
        self.reloads.with_label_values(&[result]).inc();
    }

    pub fn slow_client(&self, part: Slow) {
        let part = match part {
            Slow::Body => "body",
            Slow::Head => "head",
        };
        self.slow_clients.with_label_values(&[part]).inc();
    }

    pub fn handshake(&self, result: &str) {
        self.handshakes.with_label_values(&[result]).inc();
    }

    pub fn http2_refused(&self, reason: &str) {
        self.http2_ended.with_label_values(&[reason]).inc();
    }

    pub fn token_took(&self, seconds: f64) {
        self.token_seconds.observe(seconds);
    }

    pub fn upstream_took(&self, seconds: f64) {
        self.upstream_seconds.observe(seconds);
    }

    /// A call to a remote issuer has ended.
    pub fn exchanged(&self, token: &str, result: &str, seconds: f64) {
        self.exchange_seconds.with_label_values(&[token, result]).observe(seconds);
    }

    /// The Prometheus text exposition format.
    pub fn render(&self, gauges: &Gauges) -> String {
        let set = |gauge: &IntGauge, value: i64| gauge.set(value);
        set(&self.connections, i64::try_from(gauges.connections).unwrap_or(i64::MAX));
        // Those a reload has taken away must not stay.
        self.certificates.reset();
        for (name, seconds) in &gauges.certificates {
            self.certificates.with_label_values(&[name.as_str()]).set(*seconds);
        }
        set(&self.in_flight, i64::try_from(gauges.in_flight).unwrap_or(i64::MAX));
        set(&self.buckets, i64::try_from(gauges.buckets).unwrap_or(i64::MAX));
        set(&self.cached, i64::try_from(gauges.cached).unwrap_or(i64::MAX));
        self.circuits.reset();
        for (token, state) in &gauges.circuits {
            let number = match state {
                State::Closed => 0,
                State::Open => 1,
                State::Trying => 2,
            };
            self.circuits.with_label_values(&[token.as_str()]).set(number);
        }
        let seen = self.audit_failures.get();
        self.audit_failures.inc_by(gauges.audit_failures.saturating_sub(seen));
        let seen = self.session_errors.get();
        self.session_errors.inc_by(gauges.session_errors.saturating_sub(seen));
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Names are constants of this file, valid and used once each, so neither step
/// can fail; a test renders every metric.
#[expect(clippy::expect_used, reason = "constants of this file, covered by a test")]
pub(super) fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> C {
    let metric = metric.expect("metric names in this file are valid");
    registry.register(Box::new(metric.clone())).expect("metric names in this file are unique");
    metric
}

fn three_digits(status: u16, buffer: &mut [u8; 3]) -> &str {
    let digit = |place: u16| u8::try_from(status / place % 10).map_or(b'0', |digit| b'0' + digit);
    *buffer = [digit(100), digit(10), digit(1)];
    std::str::from_utf8(buffer).unwrap_or("000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_rendered_once() {
        let metrics = Metrics::new();
        metrics.request("token.portive", 200);
        metrics.refused("not_signed_in");
        metrics.session("next-auth", "accepted");
        metrics.minted("portive");
        metrics.issued("portive", Origin::Cached);
        metrics.limited("token.portive");
        metrics.reloaded("ok");
        metrics.exchanged("openai", "answered", 0.3);
        let text = metrics.render(&Gauges {
            connections: 1,
            in_flight: 2,
            certificates: vec![("app.example".into(), 60.0)],
            buckets: 3,
            cached: 4,
            circuits: vec![("openai".to_owned(), State::Open)],
            session_errors: 5,
            audit_failures: 6,
        });
        assert!(text.contains("portcullis_issuer_circuit{token=\"openai\"} 1"));
        assert!(text.contains("result=\"answered\",token=\"openai\",le=\"0.5\"} 1"), "{text}");
        assert!(
            text.contains("portcullis_requests_total{route=\"token.portive\",status=\"200\"} 1")
        );
        assert!(text.contains("portcullis_mints_total{token=\"portive\"} 1"));
        assert!(text.contains("portcullis_connections 1"));
        assert!(text.contains("portcullis_certificate_expiry_seconds{name=\"app.example\"} 60"));
        assert!(text.contains("portcullis_requests_in_flight 2"));
        assert!(text.contains("portcullis_session_errors_total 5"));
    }
}
