//! Client connections, before and around requests.

use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge};

use super::gauges::Gauges;
use crate::observe::event::{ConnectionEvent, ConnectionRefusal, LatePart};
use crate::observe::registry::{MetricRegistry, number};

pub(super) struct Connections {
    open: IntGauge,
    refused: IntCounter,
    refused_by_admin: IntCounter,
    refused_by_address: IntCounter,
    refused_by_proxy_header: IntCounter,
    late: IntCounterVec,
    handshakes: IntCounterVec,
    http2_refused: IntCounterVec,
    certificates: GaugeVec,
}

impl Connections {
    pub(super) fn new(registry: &MetricRegistry) -> Self {
        let late = registry.counters(
            "portcullis_slow_clients_total",
            "Connections ended because the rest of a head or body did not arrive.",
            &["part"],
        );
        // Set from the start, or the first one would not be an increase.
        for part in ["body", "head"] {
            late.with_label_values(&[part]);
        }
        Self {
            open: registry.gauge("portcullis_connections", "Open client connections."),
            refused: registry.counter(
                "portcullis_connections_refused_total",
                "Connections over `max_connections`.",
            ),
            refused_by_admin: registry.counter(
                "portcullis_admin_connections_refused_total",
                "Connections over the limit of the admin listener.",
            ),
            refused_by_address: registry.counter(
                "portcullis_address_connections_refused_total",
                "Connections over `max_connections_per_address`.",
            ),
            refused_by_proxy_header: registry.counter(
                "portcullis_proxy_headers_refused_total",
                "Connections without the PROXY protocol header they must begin with.",
            ),
            late,
            handshakes: registry.counters(
                "portcullis_tls_handshakes_total",
                "TLS handshakes of clients, by result.",
                &["result"],
            ),
            http2_refused: registry.counters(
                "portcullis_http2_refused_total",
                "HTTP/2 streams refused, and connections ended for floods or errors.",
                &["reason"],
            ),
            certificates: registry.float_gauges(
                "portcullis_certificate_expiry_seconds",
                "Time until a certificate expires, by its first name.",
                &["name"],
            ),
        }
    }

    pub(super) fn count(&self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Handshake { result } => {
                self.handshakes.with_label_values(&[result]).inc();
            }
            ConnectionEvent::Http2Refused { reason } => {
                self.http2_refused.with_label_values(&[reason]).inc();
            }
            ConnectionEvent::Late(part) => {
                let part = match part {
                    LatePart::Body => "body",
                    LatePart::Head => "head",
                };
                self.late.with_label_values(&[part]).inc();
            }
            ConnectionEvent::Refused(ConnectionRefusal::AdminFull) => self.refused_by_admin.inc(),
            ConnectionEvent::Refused(ConnectionRefusal::AddressFull) => {
                self.refused_by_address.inc();
            }
            ConnectionEvent::Refused(ConnectionRefusal::Full) => self.refused.inc(),
            ConnectionEvent::Refused(ConnectionRefusal::ProxyHeader) => {
                self.refused_by_proxy_header.inc();
            }
        }
    }

    pub(super) fn set(&self, gauges: &Gauges) {
        self.open.set(number(gauges.connections));
        // Certificates that a reload has removed must not stay.
        self.certificates.reset();
        for (name, seconds) in &gauges.certificates {
            self.certificates.with_label_values(&[name.as_str()]).set(*seconds);
        }
    }
}
