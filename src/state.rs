//! State of the process: the policy and the edge that a reload replaces, and the
//! owners of everything that must outlive them.
//!
//! Allowances and cached tokens survive a reload: fresh ones would hand each user a
//! new allowance and mint every token again at once. Two cells are swapped, which
//! need not agree: a connection loads the edge once, a request the policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Handle, Runtime};

use crate::base::clock::{Clock, Now};
use crate::base::lock::Lock;
use crate::base::replaced::Replaced;
use crate::config::{Config, EndStreams, SharedSettings};
use crate::edge::{Certificate, ConnectionCounts, Edge};
use crate::identify::{CurrentPolicy, Identifier};
use crate::issue::shadow::Shadows;
use crate::issue::{Issuer, SharedTokens};
use crate::limit::SharedLimits;
use crate::mint::identity_assertion::Assertions;
use crate::mint::well_known::Retired;
use crate::observe::{AccessLog, AuditLog, Gauges, Recent, ServerGauge, Telemetry};
use crate::outbound::Outbound;
use crate::outbound::redis::{Member, SharedStore, StoreCounts};
use crate::policy::{Policy, TokenRoute};
use crate::upstream::{Endpoint, Pools, Upstream};

/// The process, as its requests see it.
pub struct State {
    policy: ArcSwap<Policy>,
    edge: ArcSwap<Edge>,
    policies_before: Replaced<Policy>,
    edges_before: Replaced<Edge>,
    /// Whether someone is waiting for their last users.
    is_clearing: AtomicBool,
    pub identifier: Identifier,
    pub issuer: Issuer,
    /// Health and connections of the app's servers.
    pub pools: Pools,
    pub telemetry: Arc<Telemetry>,
    pub clock: Clock,
    pub connections: Arc<ConnectionCounts>,
    pub assertions: Assertions,
    /// The client for the gateway's own requests.
    pub outbound: Outbound,
    /// Published keys that are no longer in the settings.
    pub retired: Retired,
    /// Open tunnels and streams that end with their session.
    pub end_streams: EndStreams,
    /// The findings of shadow mode.
    pub(crate) shadows: Shadows,
    /// The shared store, with its settings.
    shared: Lock<Option<(SharedSettings, Arc<SharedStore>)>>,
    shared_counts: Arc<StoreCounts>,
    ready: AtomicBool,
    in_flight: AtomicUsize,
    background: Background,
}

impl State {
    pub fn new(config: Config, clock: Clock, access: AccessLog, audit: AuditLog) -> Self {
        let Config { server, log, revocations, shared, edge, policy, warnings: _ } = config;
        let background = Background::start();
        let runtime = background.handle();
        let recent = match server.admin {
            Some(_) => Recent::new(clock.clone()),
            None => Recent::default(),
        };
        let telemetry = Arc::new(Telemetry::new(access, audit, recent, log.user));
        let outbound = Outbound::new(runtime.clone());
        telemetry.follow(&log, &outbound);
        let caller = Box::new(outbound.clone());
        let state = Self {
            policy: ArcSwap::from_pointee(policy),
            edge: ArcSwap::from_pointee(edge),
            policies_before: Replaced::default(),
            edges_before: Replaced::default(),
            is_clearing: AtomicBool::new(false),
            pools: Pools::default(),
            identifier: Identifier::new(&runtime, clock.clone()),
            issuer: Issuer::new(caller, clock.clone(), telemetry.clone()),
            telemetry,
            clock,
            connections: Arc::default(),
            assertions: Assertions::default(),
            outbound,
            retired: Retired::default(),
            end_streams: revocations.end_streams,
            shadows: Shadows::default(),
            ready: AtomicBool::new(true),
            shared: Lock::new(None),
            shared_counts: Arc::default(),
            in_flight: AtomicUsize::new(0),
            background,
        };
        state.note_keys(&state.policy());
        state.share(shared);
        state
    }

    /// Shares what replicas share as these settings say, or nothing. Counters here stay,
    /// so neither way hands out a fresh allowance.
    pub fn share(&self, settings: Option<SharedSettings>) {
        let mut shared = self.shared.lock();
        if shared.as_ref().map(|(before, _)| before) == settings.as_ref() {
            return;
        }
        let me = shared.as_ref().map_or_else(Member::new, |(_, before)| before.member());
        *shared = settings.map(|settings| {
            let runtime = self.background.handle();
            let SharedSettings { url, prefix, timeout, .. } = &settings;
            let counts = self.shared_counts.clone();
            let url = url.clone();
            let store = SharedStore::start(url, prefix, *timeout, counts, me, &runtime);
            (settings, store)
        });
        let limits = shared
            .as_ref()
            .map(|(settings, store)| SharedLimits::new(store.clone(), settings.on_error));
        self.issuer.share_limits(limits);
        let tokens = shared.as_ref().filter(|(settings, _)| settings.tokens);
        let tokens =
            tokens.map(|(settings, store)| SharedTokens::new(store.clone(), &settings.keys));
        self.issuer.share_tokens(tokens);
        let runtime = self.background.handle();
        let over = shared.as_ref().map(|(_, store)| (store, self.clock.clone(), &runtime));
        self.identifier.revoked.share(over);
    }

    /// Begins to fetch published keys. Nothing waits for them: `/readyz` says what is
    /// missing.
    pub fn watch_keys(self: &Arc<Self>) {
        let state = Arc::downgrade(self);
        let current: CurrentPolicy = Arc::new(move || state.upgrade().map(|state| state.policy()));
        self.identifier.watch_keys(&current);
    }

    /// Runs a task that no request waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.background.handle().spawn(task);
    }

    /// Missing dependencies of the policy, a line each.
    pub async fn unready(&self) -> Vec<String> {
        let policy = self.policy();
        let now = self.clock.now();
        let problem = |upstream: &Arc<Upstream>| {
            Some(format!("{} {}", upstream.label(), self.pools.of(upstream).problem(now)?))
        };
        let mut unready: Vec<_> = policy.upstreams.iter().filter_map(problem).collect();
        unready.extend(self.identifier.unready(&policy).await);
        if self.identifier.revoked.lacks_others() {
            unready.push("shared store: it has not sent the revocations of other replicas".into());
        }
        unready
    }

    /// Blocks until nothing is missing, at most for `limit`.
    pub fn wait_until_complete(&self, limit: Duration) {
        const STEP: Duration = Duration::from_millis(50);
        let complete = async {
            while !self.unready().await.is_empty() {
                tokio::time::sleep(STEP).await;
            }
        };
        let within = async { tokio::time::timeout(limit, complete).await };
        if self.background.handle().block_on(within).is_err() {
            tracing::warn!("serving although something is missing; see /readyz");
        }
    }

    /// Blocks until what other replicas have revoked is known here, at most for `limit`;
    /// whether it is.
    pub fn wait_until_heard(&self, limit: Duration) -> bool {
        let heard = self.identifier.revoked.is_heard();
        let within = async { tokio::time::timeout(limit, heard).await };
        let is_heard = self.background.handle().block_on(within).is_ok();
        if !is_heard {
            tracing::warn!("serving before the shared store has sent its revocations");
        }
        is_heard
    }

    /// The policy as of now; a request keeps it to its end.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Replaces the policy for requests that start from now on. Published keys,
    /// connections to stores and the state of the app's servers carry over.
    pub fn replace(self: &Arc<Self>, policy: Policy) {
        self.drop_unused();
        let before = self.policy();
        self.pools.prepare(&policy.upstreams);
        self.identifier.supply(&policy);
        self.retired.replace(&before.discovery, &policy.discovery, self.clock.now());
        self.note_keys(&policy);
        self.policy.store(Arc::new(policy));
        self.policies_before.keep(before);
        self.pools.retain_used();
        self.issuer.forget_failures();
        self.shadows.forget();
        self.identifier.keep_only_stores(&self.policy());
        self.watch_keys();
        self.clear();
    }

    /// The edge as of now; a connection keeps it until its first request.
    pub fn edge(&self) -> Arc<Edge> {
        self.edge.load_full()
    }

    /// Replaces the edge for connections that arrive from now on.
    pub fn replace_edge(&self, edge: Edge) {
        self.edges_before.keep(self.edge.swap(Arc::new(edge)));
    }

    /// Drops what was replaced and nothing uses any more; whether something is left.
    fn drop_unused(&self) -> bool {
        let policies = self.policies_before.drop_unused();
        self.edges_before.drop_unused() || policies
    }

    /// Drops what was replaced as soon as nothing uses it any more, on no thread that serves.
    fn clear(self: &Arc<Self>) {
        const SOON: Duration = Duration::from_millis(500);
        const LATER: Duration = Duration::from_secs(30);
        if self.is_clearing.swap(true, Ordering::SeqCst) {
            return;
        }
        let state = Arc::downgrade(self);
        self.spawn(async move {
            let mut pause = SOON;
            loop {
                tokio::time::sleep(pause).await;
                pause = LATER.min(pause * 2);
                let Some(state) = state.upgrade() else { return };
                // Cleared first: whatever is replaced from now on has its own waiter.
                state.is_clearing.store(false, Ordering::SeqCst);
                let clearing = state.clone();
                let is_left = tokio::task::spawn_blocking(move || clearing.drop_unused()).await;
                if !is_left.unwrap_or(false) || state.is_clearing.swap(true, Ordering::SeqCst) {
                    return;
                }
            }
        });
    }

    /// The metrics, with the gauges read now.
    pub fn metrics(&self) -> String {
        self.telemetry.render(&self.gauges())
    }

    /// Numbers that are read now, not counted.
    pub fn gauges(&self) -> Gauges {
        let (policy, edge, now) = (self.policy(), self.edge(), self.clock.now());
        let remote = policy.tokens.iter().filter(|token| token.minter.is_remote());
        let certificates = edge.tls.iter().flat_map(|tls| &tls.certificates);
        let left = |certificate: &Certificate| {
            let seconds = certificate.expires_at.saturating_sub(now.unix());
            (certificate.label().to_owned(), seconds as f64)
        };
        Gauges {
            connections: self.connections.open(),
            in_flight: self.in_flight(),
            certificates: certificates.map(left).collect(),
            buckets: self.issuer.buckets(),
            cached_tokens: self.issuer.cached_tokens(),
            circuits: remote
                .map(|token| (token.name.clone(), self.issuer.circuit(&token.name)))
                .collect(),
            sessions: self.identifier.session_counts(),
            session_errors: self.identifier.failures(),
            unkept_revocations: self.identifier.revoked.unkept(),
            questions_held_back: self.identifier.held_back(),
            audit_failures: self.telemetry.audit_failures(),
            access_lines_dropped: self.telemetry.access_dropped(),
            spans_sent: self.telemetry.traces().counts().sent(),
            spans_dropped: self.telemetry.traces().counts().dropped(),
            shared: self.shared.lock().as_ref().map(|(_, store)| store.numbers()),
            servers: servers(&policy, &self.pools, now),
        }
    }

    /// Notes which keys sign from now on, for their ages.
    fn note_keys(&self, policy: &Policy) {
        let of_token = |token: &Arc<TokenRoute>| {
            let kids = token.minter.kids().iter().enumerate();
            let named = |(index, kid): (usize, &Option<String>)| {
                (token.name.clone(), key_name(index, kid.as_deref()))
            };
            kids.map(named).collect::<Vec<_>>()
        };
        self.telemetry.recent().note_keys(policy.tokens.iter().flat_map(of_token));
    }

    /// Whether new requests are welcome: false as soon as shutting down begins, while
    /// serving continues.
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

/// A key for people: one without a name is known by its place in the list.
pub(crate) fn key_name(index: usize, kid: Option<&str>) -> String {
    kid.map_or_else(|| format!("{}.", index + 1), str::to_owned)
}

fn servers(policy: &Policy, pools: &Pools, now: Now) -> Vec<ServerGauge> {
    let of_upstream = |upstream: &Arc<Upstream>| {
        let endpoints = pools.of(upstream).endpoints();
        let gauge = |endpoint: &Arc<Endpoint>| ServerGauge {
            upstream: upstream.name.clone(),
            server: endpoint.server.to_string(),
            state: endpoint.state(now),
            in_use: endpoint.in_use(),
        };
        endpoints.iter().map(gauge).collect::<Vec<_>>()
    };
    policy.upstreams.iter().flat_map(of_upstream).collect()
}

/// The runtime for outbound connections. The proxy framework has a runtime per
/// service; these connections must belong to one that outlives them all.
struct Background(Option<Runtime>);

/// Two are enough: they only wait for responses.
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
pub(crate) struct InFlight(Arc<State>);

impl InFlight {
    pub(crate) fn begin(state: &Arc<State>) -> Self {
        state.in_flight.fetch_add(1, Ordering::SeqCst);
        Self(state.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
