//! What the process keeps: one policy that a reload replaces, and the state that
//! must outlive it.
//!
//! Counters and cached tokens are not replaced on reload: fresh ones would hand
//! every user a new allowance and send everybody back to minting at once. There
//! is exactly one swap cell; a request loads it once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use crate::cache::Tokens;
use crate::clock::Clock;
use crate::config::{Config, UserField};
use crate::limit::Limits;
use crate::memo::Sessions;
use crate::observe::{AccessLog, Metrics};
use crate::policy::Policy;

/// Everything requests share.
pub struct Live {
    policy: ArcSwap<Policy>,
    pub limits: Limits,
    pub tokens: Tokens,
    pub sessions: Sessions,
    pub clock: Clock,
    pub metrics: Metrics,
    pub access: AccessLog,
    pub user_field: UserField,
    /// How long an idle client connection is kept, in seconds.
    pub idle_seconds: u64,
    user_hash_key: [u8; 32],
    ready: AtomicBool,
    in_flight: AtomicUsize,
}

impl Live {
    pub fn new(config: Config, clock: Clock, access: AccessLog) -> Self {
        let Config { server, log, policy } = config;
        let mut user_hash_key = [0; 32];
        // Without randomness the hash is merely unkeyed.
        let _ = aws_lc_rs::rand::fill(&mut user_hash_key);
        Self {
            policy: ArcSwap::from_pointee(policy),
            limits: Limits::default(),
            tokens: Tokens::default(),
            sessions: Sessions::default(),
            clock,
            metrics: Metrics::new(),
            access,
            user_field: log.user,
            idle_seconds: server.idle_timeout.as_secs().max(1),
            user_hash_key,
            ready: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// The policy as of now; a request keeps it to its end.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Replaces the policy for requests that start from now on.
    pub fn replace(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
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
