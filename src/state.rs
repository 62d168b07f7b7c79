//! What the process keeps: one policy that a reload replaces, and the state that
//! must outlive it.
//!
//! Counters and cached tokens are not replaced on reload: fresh ones would hand
//! every user a new allowance and send everybody back to minting at once. Two
//! cells are swapped, which need not agree: a connection loads the settings of
//! the edge once, a request the policy.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use tokio::runtime::{Handle, Runtime};

use crate::base::clock::{Clock, Now};
use crate::base::digest::Mark;
use crate::base::text::Hex;
use crate::config::{Config, UserField};
use crate::edge::{ConnectionCounts, Edge};
use crate::identify::cache::Sessions;
use crate::identify::jwks::CurrentPolicy;
use crate::identify::resolve::Servers;
use crate::identify::revocation::{By, Revoked};
use crate::issue::cache::Tokens;
use crate::issue::circuit_breaker::Circuits;
use crate::limit::Limits;
use crate::mint::identity_assertion::Assertions;
use crate::mint::well_known::Retired;
use crate::observe::audit::AuditLog;
use crate::observe::{AccessLog, Metrics};
use crate::policy::{Policy, SessionSource};
use crate::session::Judged;
use crate::session::{Cookies, Identity};
use crate::upstream::{Pools, Upstream};

/// Everything requests share.
pub struct Live {
    policy: ArcSwap<Policy>,
    edge: ArcSwap<Edge>,
    pub connections: Arc<ConnectionCounts>,
    pub limits: Limits,
    pub tokens: Tokens,
    pub assertions: Assertions,
    pub circuits: Circuits,
    sessions: Sessions,
    pub revoked: Revoked,
    /// Published keys that are no longer in the settings.
    pub retired: Retired,
    /// What is known of the app's servers.
    pub pools: Pools,
    pub servers: Servers,
    pub clock: Clock,
    pub metrics: Metrics,
    pub access: AccessLog,
    pub audit: AuditLog,
    pub user_field: UserField,
    /// How long an idle client connection is kept, in seconds.
    pub idle_seconds: u64,
    user_hash: RandomState,
    ready: AtomicBool,
    in_flight: AtomicUsize,
    background: Background,
}

impl Live {
    pub fn new(config: Config, clock: Clock, access: AccessLog) -> Self {
        let Config { server, log, edge, policy } = config;
        let background = Background::start();
        let servers = Servers::new(&background.handle(), clock.clone());
        Self {
            policy: ArcSwap::from_pointee(policy),
            edge: ArcSwap::from_pointee(edge),
            connections: Arc::default(),
            limits: Limits::default(),
            tokens: Tokens::default(),
            assertions: Assertions::default(),
            circuits: Circuits::default(),
            sessions: Sessions::default(),
            revoked: Revoked::default(),
            retired: Retired::default(),
            pools: Pools::default(),
            servers,
            clock,
            metrics: Metrics::new(),
            access,
            audit: AuditLog::default(),
            user_field: log.user,
            idle_seconds: server.idle_timeout.as_secs().max(1),
            user_hash: RandomState::new(),
            ready: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
            background,
        }
    }

    /// With a log of the tokens issued and refused.
    #[must_use]
    pub fn audited(self, audit: AuditLog) -> Self {
        Self { audit, ..self }
    }

    /// Writes out what the logs hold: for the end of the process.
    pub fn flush(&self) {
        self.access.flush();
        self.audit.flush();
    }

    /// Begins to fetch what the policy needs from elsewhere. Nothing waits for
    /// it: `/readyz` says what is missing.
    pub fn start(self: &Arc<Self>) {
        self.servers.keys.watch(&self.current_policy());
    }

    /// What the policy needs and does not have now, a line each.
    pub async fn missing(&self) -> Vec<String> {
        let policy = self.policy();
        let now = self.clock.now();
        let problem = |upstream: &Arc<Upstream>| {
            Some(format!("{} {}", upstream.label(), self.pools.of(upstream).problem(now)?))
        };
        let mut missing: Vec<_> = policy.upstreams.iter().filter_map(problem).collect();
        for source in &policy.sources {
            let label = &source.label;
            if let Some(keys) = source.remote_keys().filter(|keys| !keys.is_supplied()) {
                let problem = self.servers.keys.problem(keys.url());
                let why = problem.as_deref().unwrap_or("not fetched yet");
                missing.push(format!("session {label}: published keys: {why}"));
            }
            if let Some(store) = source.store()
                && let Err(error) = self.servers.stores.probe(store).await
            {
                missing.push(format!("session {label}: {error}"));
            }
        }
        missing
    }

    /// Blocks until nothing is missing, or the time is over.
    pub fn wait_until_complete(&self, limit: Duration) {
        const STEP: Duration = Duration::from_millis(50);
        let complete = async {
            while !self.missing().await.is_empty() {
                tokio::time::sleep(STEP).await;
            }
        };
        let within = async { tokio::time::timeout(limit, complete).await };
        if self.background.handle().block_on(within).is_err() {
            tracing::warn!("going on although something is missing; /readyz says what");
        }
    }

    fn current_policy(self: &Arc<Self>) -> CurrentPolicy {
        let live = Arc::downgrade(self);
        Arc::new(move || live.upgrade().map(|live| live.policy()))
    }

    /// The policy as of now; a request keeps it to its end.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Replaces the policy for requests that start from now on. Published keys,
    /// connections to stores and what is known of the app's servers go on serving
    /// it.
    pub fn replace(self: &Arc<Self>, policy: Policy) {
        self.pools.prepare(&policy.upstreams);
        self.servers.keys.supply(&policy);
        self.retired.replace(&self.policy().discovery, &policy.discovery, self.clock.now());
        self.policy.store(Arc::new(policy));
        self.pools.retain_used();
        self.circuits.forget();
        let policy = self.policy();
        self.servers.stores.keep_only(policy.sources.iter().filter_map(|source| source.store()));
        self.start();
    }

    /// The edge as of now; a connection keeps it until its first request.
    pub fn edge(&self) -> Arc<Edge> {
        self.edge.load_full()
    }

    /// Replaces the edge for connections that come from now on.
    pub fn replace_edge(&self, edge: Edge) {
        self.edge.store(Arc::new(edge));
    }

    /// Who the cookies say is asking.
    pub async fn verify(&self, policy: &Policy, cookies: Cookies<'_>, now: Now) -> Judged {
        self.sessions.verify(policy, &self.servers, &self.revoked, cookies, now).await
    }

    /// This session has been ended: it is not accepted any more, nor is anything
    /// remembered of it.
    pub async fn end_session(
        &self,
        source: &SessionSource,
        cookies: Cookies<'_>,
        identity: &Identity,
        by: By,
    ) {
        self.revoked.end_session(source, cookies, identity, by, self.clock.now());
        self.sessions.forget(source, cookies).await;
    }

    /// A user's id for the log, by a keyed hash: tells users apart while the
    /// process runs, and says nothing to whoever reads the log.
    pub fn user_hash(&self, user: Mark) -> Hex {
        Hex::new(self.user_hash.hash_one(user))
    }

    /// Whether new requests are welcome: false from the first moment of
    /// shutting down, while serving goes on.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    pub fn set_unready(&self) {
        self.ready.store(false, Ordering::SeqCst);
    }

    /// Requests that have begun and not ended, upgraded connections included.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }
}

/// The runtime of everything that asks other servers. The proxy framework has a
/// runtime per service; connections must belong to one that outlives them all.
struct Background(Option<Runtime>);

/// Waiting for answers is no work.
const BACKGROUND_THREADS: usize = 2;

impl Background {
    #[expect(clippy::expect_used, reason = "without threads there is no gateway at all")]
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(BACKGROUND_THREADS)
            .thread_name("outbound")
            .enable_all()
            .build();
        Self(Some(runtime.expect("the system gives a new process threads")))
    }

    #[expect(clippy::expect_used, reason = "taken in `drop` only")]
    fn handle(&self) -> Handle {
        self.0.as_ref().expect("the runtime is there until dropped").handle().clone()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Waiting here would panic where the last owner is a task.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Counts a request as in flight until dropped.
pub struct InFlight(Arc<Live>);

impl InFlight {
    pub fn begin(live: &Arc<Live>) -> Self {
        live.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(live.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
