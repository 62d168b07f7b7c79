//! What the process keeps: one policy that a reload replaces, and the state that
//! must outlive it.
//!
//! Counters and cached tokens are not replaced on reload: fresh ones would hand
//! every user a new allowance and send everybody back to minting at once. There
//! is exactly one swap cell; a request loads it once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use tokio::runtime::{Handle, Runtime};

use crate::ask::Servers;
use crate::assertion::Assertions;
use crate::cache::Tokens;
use crate::clock::{Clock, Now};
use crate::config::{Config, UserField};
use crate::decide::Verdict;
use crate::keys::CurrentPolicy;
use crate::limit::Limits;
use crate::memo::Sessions;
use crate::observe::{AccessLog, Metrics};
use crate::policy::{Policy, SessionSource};
use crate::revoke::Revoked;
use crate::session::{Cookies, Identity};
use crate::upstream::Upstream;

/// Everything requests share.
pub struct Live {
    policy: ArcSwap<Policy>,
    pub limits: Limits,
    pub tokens: Tokens,
    pub assertions: Assertions,
    sessions: Sessions,
    pub revoked: Revoked,
    pub servers: Servers,
    pub clock: Clock,
    pub metrics: Metrics,
    pub access: AccessLog,
    pub user_field: UserField,
    /// How long an idle client connection is kept, in seconds.
    pub idle_seconds: u64,
    user_hash_key: [u8; 32],
    ready: AtomicBool,
    in_flight: AtomicUsize,
    _background: Background,
}

impl Live {
    pub fn new(config: Config, clock: Clock, access: AccessLog) -> Self {
        let Config { server, log, policy } = config;
        let mut user_hash_key = [0; 32];
        // Without randomness the hash is merely unkeyed.
        let _ = aws_lc_rs::rand::fill(&mut user_hash_key);
        let background = Background::start();
        let servers = Servers::new(&background.handle(), clock.clone());
        Self {
            policy: ArcSwap::from_pointee(policy),
            limits: Limits::default(),
            tokens: Tokens::default(),
            assertions: Assertions::default(),
            sessions: Sessions::default(),
            revoked: Revoked::default(),
            servers,
            clock,
            metrics: Metrics::new(),
            access,
            user_field: log.user,
            idle_seconds: server.idle_timeout.as_secs().max(1),
            user_hash_key,
            ready: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
            _background: background,
        }
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
            Some(format!("{} {}", upstream.label(), upstream.problem(now)?))
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
        let before = self.policy();
        for upstream in &policy.upstreams {
            let same = before.upstreams.iter().find(|before| before.name == upstream.name);
            same.into_iter().for_each(|before| upstream.inherit(before));
        }
        self.servers.keys.supply(&policy);
        self.policy.store(Arc::new(policy));
        let policy = self.policy();
        self.servers.stores.keep_only(policy.sources.iter().filter_map(|source| source.store()));
        self.start();
    }

    /// Who the cookies say is asking.
    pub async fn verify(&self, policy: &Policy, cookies: Cookies<'_>, now: Now) -> Verdict {
        self.sessions.verify(policy, &self.servers, &self.revoked, cookies, now).await
    }

    /// The app has ended this session: it is not accepted any more, nor is
    /// anything remembered of it.
    pub async fn end_session(
        &self,
        source: &SessionSource,
        cookies: Cookies<'_>,
        identity: &Identity,
    ) {
        self.revoked.end_session(source, cookies, identity);
        self.sessions.forget(source, cookies).await;
    }

    /// A user's id for the log: tells users apart while the process runs, and
    /// says nothing to whoever reads the log.
    pub fn user_hash(&self, user_id: &str) -> String {
        let keyed = [&self.user_hash_key, user_id.as_bytes()].concat();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &keyed);
        let (head, _) = digest.as_ref().split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        format!("{:016x}", u64::from_be_bytes(*head))
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
