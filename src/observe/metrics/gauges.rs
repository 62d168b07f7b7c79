//! Numbers that are read when the metrics are asked for, not counted.

use crate::outbound::redis::StoreNumbers;
use crate::upstream;

/// The state of the process at one moment.
#[derive(Default)]
pub struct Gauges {
    /// Open client connections.
    pub connections: usize,
    pub in_flight: usize,
    /// Names of certificates, with the seconds until each expires.
    pub certificates: Vec<(String, f64)>,
    /// Users and addresses whose requests are being counted.
    pub buckets: usize,
    pub cached_tokens: u64,
    /// Tokens of remote issuers, by name.
    pub circuits: Vec<(String, CircuitState)>,
    /// Since the process started.
    pub session_errors: u64,
    /// Sessions that were remembered, and those that were verified, since the start.
    pub sessions: (u64, u64),
    /// Questions about sessions that were not asked, because too many ids were unknown.
    pub questions_held_back: u64,
    /// Since the process started.
    pub unkept_revocations: u64,
    /// Since the process started.
    pub audit_failures: u64,
    /// Since the process started.
    pub access_lines_dropped: u64,
    /// Since the process started.
    pub spans_sent: u64,
    /// Since the process started.
    pub spans_dropped: u64,
    /// The store that replicas share.
    pub shared: Option<StoreNumbers>,
    pub servers: Vec<ServerGauge>,
}

/// Whether a remote issuer is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    Closed,
    /// Not called after failures.
    Open,
    /// One call tries whether it has recovered.
    Trying,
}

/// One address of an upstream's server.
pub struct ServerGauge {
    /// The name of the `[upstream]` table.
    pub upstream: String,
    /// The server as written in the settings; an address the resolver found is
    /// never a label.
    pub server: String,
    pub state: upstream::EndpointState,
    pub in_use: usize,
}
