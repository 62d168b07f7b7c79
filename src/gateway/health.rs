//! Asking the app's servers whether they are well, beside the requests.
//!
//! A probe is a request of its own on a connection of its own: what it finds is
//! one flag of the endpoint, which is all that requests look at. The list of
//! endpoints is read anew each round, so a reload and the resolver need not tell
//! anybody here.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, header};
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::prelude::Result;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::time::Instant;

use super::peer::{self, Purpose};
use crate::base::crypto_provider;
use crate::state::Live;
use crate::upstream::{Address, Endpoint, EndpointState, Health, ProbeResult, Upstream};

/// How long a new endpoint may go unnoticed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Probes every upstream that says how.
pub struct Probes {
    live: Arc<Live>,
    connector: Arc<Connector>,
}

/// By the endpoint's place in memory, which is not given to another one while
/// there is a weak pointer to it.
type Plan = HashMap<usize, ProbeSchedule>;

/// When an endpoint is asked next.
struct ProbeSchedule {
    endpoint: Weak<Endpoint>,
    at: Instant,
}

impl Probes {
    pub fn new(live: &Arc<Live>) -> Self {
        crypto_provider::install();
        Self { live: live.clone(), connector: Arc::new(Connector::new(None)) }
    }

    /// Asks whoever is due; returns when somebody is due again.
    fn round(&self, plan: &mut Plan) -> Instant {
        let now = Instant::now();
        let mut wake = now + LOOK_EVERY;
        plan.retain(|_, due| due.endpoint.strong_count() > 0);
        for upstream in &self.live.policy().upstreams {
            let Some(health) = &upstream.health else { continue };
            for endpoint in self.live.pools.of(upstream).endpoints().iter() {
                let new = || ProbeSchedule { endpoint: Arc::downgrade(endpoint), at: now };
                let due = plan.entry(Arc::as_ptr(endpoint).addr()).or_insert_with(new);
                if due.at <= now {
                    due.at = now + health.every;
                    self.ask(upstream, endpoint, health);
                }
                wake = wake.min(due.at);
            }
        }
        wake
    }

    fn ask(&self, upstream: &Arc<Upstream>, endpoint: &Arc<Endpoint>, health: &Health) {
        let (live, connector) = (self.live.clone(), self.connector.clone());
        let (upstream, endpoint, health) = (upstream.clone(), endpoint.clone(), health.clone());
        tokio::spawn(async move {
            let asked = status(&connector, &upstream, &endpoint, &health);
            let outcome = match tokio::time::timeout(health.timeout, asked).await {
                Ok(Ok(status)) if (200..400).contains(&status) => ProbeResult::Good,
                Ok(Ok(_) | Err(_)) | Err(_) => ProbeResult::Failed,
            };
            live.metrics.upstream.probed(&upstream, outcome);
            let server = endpoint.server.to_string();
            match endpoint.probed(outcome, &health) {
                Some(EndpointState::Up) => {
                    tracing::info!(upstream = upstream.name, server, "server is healthy again");
                }
                Some(EndpointState::Down | EndpointState::Ejected) => {
                    tracing::warn!(upstream = upstream.name, server, "server fails its probes");
                }
                None => {}
            }
        });
    }
}

async fn status(
    connector: &Connector,
    upstream: &Upstream,
    endpoint: &Endpoint,
    health: &Health,
) -> Result<u16> {
    let peer = peer::build(upstream, &endpoint.target, Purpose::Request)?;
    let (mut session, _) = connector.get_http_session(&peer).await?;
    let mut request = RequestHeader::build(Method::GET, health.path.as_bytes(), None)?;
    match (&upstream.host, &*endpoint.server) {
        (Some(host), _) => request.insert_header(header::HOST, host)?,
        (None, server @ Address::Tcp { .. }) => {
            let address = server.to_string();
            let authority = address.split_once("://").map_or("", |(_, authority)| authority);
            request.insert_header(header::HOST, authority)?;
        }
        (None, Address::Unix(_)) => request.insert_header(header::HOST, "localhost")?,
    }
    request.insert_header(header::USER_AGENT, "portcullis-health")?;
    session.write_request_header(Box::new(request)).await?;
    session.finish_request_body().await?;
    session.read_response_header().await?;
    let status = session.response_header().map_or(0, |head| head.status.as_u16());
    // The answer's body may be anything: the connection is not used again.
    session.shutdown().await;
    Ok(status)
}

#[async_trait]
impl BackgroundService for Probes {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut plan = Plan::new();
        loop {
            let wake = self.round(&mut plan);
            tokio::select! {
                _ = shutdown.changed() => return,
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }
}
