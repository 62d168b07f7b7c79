//! One place to connect to, and its recent failures.
//!
//! The state is a few atomics: nothing here waits. It outlives a reload and a new
//! answer of the resolver, as long as the place stays the same.
//!
//! Two things take an endpoint out. Failing probes do until they succeed again. Failed
//! connections do for a time that doubles with each ejection; when it is over, one
//! request tries, and the others follow if it is answered.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::address::Address;
use super::options::{Health, RequestsAtOnce};
use crate::base::clock::{Now, milliseconds};

/// Failed connections in a row that eject an endpoint.
const EJECT_AFTER: u32 = 3;
/// The first ejection, and the longest.
const EJECT_FOR: Duration = Duration::from_secs(1);
const EJECT_AT_MOST: Duration = Duration::from_secs(30);
/// Time for which the endpoint stays out for others while one request tries it.
const TRIAL: Duration = Duration::from_secs(1);

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// With TLS, `server_name` is the name that the certificate must cover.
    Tcp {
        address: SocketAddr,
        server_name: Option<String>,
    },
    Unix(PathBuf),
}

pub struct Endpoint {
    /// The server it belongs to, as written in the settings.
    pub server: Arc<Address>,
    pub target: Target,
    in_use: AtomicUsize,
    /// Failed connections in a row, while it takes part.
    failures: AtomicU32,
    /// Ejections in a row without an answer in between.
    ejections: AtomicU32,
    /// Zero, or when it may be tried again, in ticks.
    out_until: AtomicU64,
    /// The verdict of the probes, and the number in a row that contradict it.
    down: AtomicBool,
    contradicting: AtomicU32,
}

/// How an endpoint is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    Down,
    Ejected,
    Up,
}

/// The outcome of a probe, or of an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    Failed,
    Good,
}

impl Endpoint {
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match &self.target {
            Target::Tcp { address, .. } => Some(*address),
            Target::Unix(_) => None,
        }
    }

    pub(super) fn new(server: Arc<Address>, target: Target) -> Self {
        Self {
            server,
            target,
            in_use: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            down: AtomicBool::new(false),
            contradicting: AtomicU32::new(0),
        }
    }

    pub fn state(&self, now: Now) -> EndpointState {
        if self.down.load(Ordering::Relaxed) {
            EndpointState::Down
        } else if self.out_until.load(Ordering::Relaxed) > ticks(now) {
            EndpointState::Ejected
        } else {
            EndpointState::Up
        }
    }

    /// Requests in flight.
    pub fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// A place, if there is room; `None` also while another request tries whether it is
    /// back.
    pub(super) fn enter(self: &Arc<Self>, limit: RequestsAtOnce, now: Now) -> Option<InUse> {
        let attempt = self.attempt(now)?;
        self.take_place(limit, attempt)
    }

    /// A place in any state, for when nothing better is left.
    pub(super) fn enter_anyway(self: &Arc<Self>, limit: RequestsAtOnce) -> Option<InUse> {
        self.take_place(limit, Attempt::Usual)
    }

    fn take_place(self: &Arc<Self>, limit: RequestsAtOnce, attempt: Attempt) -> Option<InUse> {
        let before = self.in_use.fetch_add(1, Ordering::Relaxed);
        let place = InUse { endpoint: self.clone(), attempt };
        (before < limit.0).then_some(place)
    }

    fn attempt(&self, now: Now) -> Option<Attempt> {
        let until = self.out_until.load(Ordering::Relaxed);
        if until == 0 {
            return Some(Attempt::Usual);
        }
        if until > ticks(now) {
            return None;
        }
        let others = ticks(now) + milliseconds(TRIAL);
        let claimed =
            self.out_until.compare_exchange(until, others, Ordering::Relaxed, Ordering::Relaxed);
        claimed.is_ok().then_some(Attempt::Trial)
    }

    /// Notes a probe; the new state if it turned.
    pub fn probed(&self, outcome: ProbeResult, health: &Health) -> Option<EndpointState> {
        let down = self.down.load(Ordering::Relaxed);
        if down == (outcome == ProbeResult::Failed) {
            self.contradicting.store(0, Ordering::Relaxed);
            return None;
        }
        let needed = if down { health.healthy_after } else { health.unhealthy_after };
        let contradicting = self.contradicting.fetch_add(1, Ordering::Relaxed) + 1;
        if contradicting < needed {
            return None;
        }
        self.contradicting.store(0, Ordering::Relaxed);
        self.down.store(!down, Ordering::Relaxed);
        Some(if down { EndpointState::Up } else { EndpointState::Down })
    }

    /// Forgets the verdict: without probes nothing would find it healthy again.
    pub(super) fn forget_probes(&self) {
        self.down.store(false, Ordering::Relaxed);
    }

    fn eject(&self, from: u64, now: Now) -> Option<Duration> {
        let before = self.ejections.load(Ordering::Relaxed);
        let time = EJECT_FOR.saturating_mul(1 << before.min(10)).min(EJECT_AT_MOST);
        let until = ticks(now) + milliseconds(time);
        self.out_until.compare_exchange(from, until, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        self.ejections.store(before.saturating_add(1), Ordering::Relaxed);
        Some(time)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// The one request that tries whether an endpoint is back.
    Trial,
    Usual,
}

/// A request's place at an endpoint, given back when dropped.
pub struct InUse {
    pub endpoint: Arc<Endpoint>,
    attempt: Attempt,
}

impl InUse {
    /// The endpoint has begun to answer.
    pub fn answered(&self) {
        let endpoint = &self.endpoint;
        // Nearly always nothing to change: reading keeps the line shared.
        if endpoint.failures.load(Ordering::Relaxed) != 0 {
            endpoint.failures.store(0, Ordering::Relaxed);
        }
        if endpoint.out_until.load(Ordering::Relaxed) != 0 {
            endpoint.out_until.store(0, Ordering::Relaxed);
            endpoint.ejections.store(0, Ordering::Relaxed);
        }
    }

    /// Notes a failed connection. Returns the ejection time if this failure ejected it.
    pub fn failed(&self, now: Now) -> Option<Duration> {
        let endpoint = &self.endpoint;
        match self.attempt {
            Attempt::Trial => endpoint.eject(endpoint.out_until.load(Ordering::Relaxed), now),
            Attempt::Usual => {
                let failures = endpoint.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                // When several fail at once, only the first ejects it.
                if failures >= EJECT_AFTER { endpoint.eject(0, now) } else { None }
            }
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.endpoint.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Milliseconds on the monotonic clock; never zero, which means "not out".
fn ticks(now: Now) -> u64 {
    milliseconds(now.ticks()).saturating_add(1)
}
