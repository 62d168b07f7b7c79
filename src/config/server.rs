//! The settings of the process: its listeners, and what a connection may cost.

use std::net::SocketAddr;
use std::time::Duration;

use super::listen::Listen;
use crate::request::view::RequestLimits;

/// Settings of the process. A change needs a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    pub listen: Vec<Listen>,
    /// Questions of the proxy in front; empty is off.
    pub auth: Vec<Listen>,
    /// Health, readiness and metrics; `None` is off.
    pub admin: Option<Listen>,
    /// Plain HTTP, redirected to HTTPS.
    pub redirect: Vec<Listen>,
    /// The port redirects lead to; `None` is that of the first TLS listener.
    pub redirect_port: Option<u16>,
    /// Worker threads; zero is one per core.
    pub threads: usize,
    /// HTTP/2: negotiated over TLS, with prior knowledge elsewhere.
    pub http2: bool,
    /// Most open requests of one HTTP/2 connection.
    pub max_streams: u32,
    /// Streams an HTTP/2 client may reset before they are handled.
    pub max_resets: usize,
    /// Most octets of a request's head.
    pub max_header: usize,
    /// Longest time for the whole head of a request to arrive.
    pub header_timeout: Duration,
    /// Time for which an idle client connection is kept.
    pub idle_timeout: Duration,
    /// How often files are checked for changes; `None` is never.
    pub watch: Option<Duration>,
    /// After SIGTERM: not ready, but still serving.
    pub lame_duck: Duration,
    /// After that: longest time for requests in flight.
    pub drain: Duration,
}

impl ServerSettings {
    /// The settings in which another one differs.
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        // Whole, so that a new setting cannot be forgotten here.
        let Self {
            listen,
            auth,
            admin,
            redirect,
            redirect_port,
            threads,
            http2,
            max_streams,
            max_resets,
            max_header,
            header_timeout,
            idle_timeout,
            watch,
            lame_duck,
            drain,
        } = self;
        let all = [
            ("server.listen", *listen != other.listen),
            ("auth.listen", *auth != other.auth),
            ("server.admin", *admin != other.admin),
            ("server.redirect", *redirect != other.redirect),
            ("server.redirect_port", *redirect_port != other.redirect_port),
            ("server.threads", *threads != other.threads),
            ("server.http2", *http2 != other.http2),
            ("server.max_streams", *max_streams != other.max_streams),
            ("server.max_resets", *max_resets != other.max_resets),
            ("server.max_header", *max_header != other.max_header),
            ("server.header_timeout", *header_timeout != other.header_timeout),
            ("server.idle_timeout", *idle_timeout != other.idle_timeout),
            ("server.watch", *watch != other.watch),
            ("server.lame_duck", *lame_duck != other.lame_duck),
            ("server.drain", *drain != other.drain),
        ];
        all.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        let local = |port| Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], port)));
        Self {
            listen: vec![local(8080)],
            auth: Vec::new(),
            admin: Some(local(9090)),
            redirect: Vec::new(),
            redirect_port: None,
            threads: 0,
            http2: true,
            max_streams: 100,
            max_resets: 20,
            max_header: RequestLimits::default().header,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            watch: Some(Duration::from_secs(2)),
            lame_duck: Duration::ZERO,
            drain: Duration::from_secs(30),
        }
    }
}
