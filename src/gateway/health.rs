//! Health probes of the app's servers, in the background.
//!
//! A probe is a separate request on a separate connection. Its result is one flag of
//! the endpoint, which is all that requests look at. Each round reads the list of
//! endpoints again, so reloads and the resolver need not report changes.

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

use super::peer;
use super::purpose::Purpose;
use crate::base::crypto_provider;
use crate::observe::{Event, UpstreamEvent};
use crate::state::State;
use crate::upstream::{Address, Endpoint, EndpointState, Health, ProbeResult, Upstream};

/// Longest time until a new endpoint is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Probes each upstream that has a `health` table.
pub(crate) struct Probes {
    state: Arc<State>,
    connector: Arc<Connector>,
}

/// By the endpoint's address in memory, which is not reused while a weak pointer to
/// it exists.
type Plan = HashMap<usize, ProbeSchedule>;

/// When an endpoint is probed next.
struct ProbeSchedule {
    endpoint: Weak<Endpoint>,
    at: Instant,
}

impl Probes {
    pub(crate) fn new(state: &Arc<State>) -> Self {
        crypto_provider::install();
        Self { state: state.clone(), connector: Arc::new(Connector::new(None)) }
    }

    /// Probes the endpoints that are due; returns when the next one is.
    fn round(&self, plan: &mut Plan) -> Instant {
        let now = Instant::now();
        let mut wake = now + LOOK_EVERY;
        plan.retain(|_, due| due.endpoint.strong_count() > 0);
        for upstream in &self.state.policy().upstreams {
            let Some(health) = &upstream.health else { continue };
            for endpoint in self.state.pools.of(upstream).endpoints().iter() {
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
        let (state, connector) = (self.state.clone(), self.connector.clone());
        let (upstream, endpoint, health) = (upstream.clone(), endpoint.clone(), health.clone());
        tokio::spawn(async move {
            let asked = status(&connector, &upstream, &endpoint, &health);
            let outcome = match tokio::time::timeout(health.timeout, asked).await {
                Ok(Ok(status)) if (200..400).contains(&status) => ProbeResult::Good,
                Ok(Ok(_) | Err(_)) | Err(_) => ProbeResult::Failed,
            };
            let probed = UpstreamEvent::Probed { upstream: &upstream.name, outcome };
            state.telemetry.emit(Event::Upstream(probed));
            let server = endpoint.server.to_string();
            match endpoint.probed(outcome, &health) {
                Some(EndpointState::Up) => {
                    tracing::info!(upstream = upstream.name, server, "the server is healthy again");
                }
                Some(EndpointState::Down | EndpointState::Ejected) => {
                    tracing::warn!(
                        upstream = upstream.name,
                        server,
                        "the server fails its health checks"
                    );
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
    let read_timeout = Some(upstream.timeouts.read);
    let peer = peer::build(upstream, &endpoint.target, Purpose::Request, read_timeout)?;
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
    // The body is not read, so the connection cannot be used again.
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
