//! The endpoints of one upstream, and whose turn it is.
//!
//! State, as opposed to `Upstream`, which is settings: a reload brings new settings,
//! and the pool made for them keeps every endpoint whose server stays. Names are
//! resolved in the background, never on the request path, and the last good answer
//! is kept when the resolver fails.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use super::address::Address;
use super::endpoint::{Endpoint, EndpointState, InUse, Target};
use super::options::Balance;
use super::settings::Upstream;
use crate::base::clock::Now;
use crate::base::lock::Lock;

/// The pools of every upstream in use.
///
/// A pool belongs to one reading of the settings, so a request that began before a
/// reload still goes where its own policy says.
#[derive(Default)]
pub struct Pools {
    all: ArcSwap<Vec<Arc<Pool>>>,
    /// Held while `all` is replaced.
    changing: Lock<()>,
}

impl Pools {
    /// The pool of these settings, made if it is not there yet: then it goes on with the
    /// knowledge of the pool of the same name.
    pub fn of(&self, upstream: &Arc<Upstream>) -> Arc<Pool> {
        self.find(upstream).unwrap_or_else(|| self.add(upstream))
    }

    fn find(&self, upstream: &Arc<Upstream>) -> Option<Arc<Pool>> {
        self.all.load().iter().find(|pool| Arc::ptr_eq(&pool.upstream, upstream)).cloned()
    }

    fn add(&self, upstream: &Arc<Upstream>) -> Arc<Pool> {
        let _changing = self.changing.lock();
        if let Some(pool) = self.find(upstream) {
            return pool;
        }
        let mut all = self.all.load_full().to_vec();
        let before = all.iter().rev().find(|pool| pool.upstream.name == upstream.name);
        let pool = Arc::new(Pool::new(upstream, before.map(|pool| &**pool)));
        all.push(pool.clone());
        self.all.store(Arc::new(all));
        pool
    }

    /// Makes the pools of new settings, while what the pools before them know is still
    /// there.
    pub fn prepare(&self, upstreams: &[Arc<Upstream>]) {
        for upstream in upstreams {
            drop(self.of(upstream));
        }
    }

    /// Forgets the pools of settings that nothing uses any more.
    pub fn retain_used(&self) {
        let _changing = self.changing.lock();
        let mut all = self.all.load_full().to_vec();
        all.retain(|pool| Arc::strong_count(&pool.upstream) > 1);
        self.all.store(Arc::new(all));
    }
}

/// The endpoints of one upstream.
pub struct Pool {
    pub(super) upstream: Arc<Upstream>,
    /// Replaced as a whole when names resolve to something new.
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    turn: AtomicUsize,
}

/// Why a request cannot be sent anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Every healthy server is at its limit of requests.
    Full,
    /// No name has been resolved.
    Unresolved,
}

impl Pool {
    pub(super) fn new(upstream: &Arc<Upstream>, before: Option<&Self>) -> Self {
        let pool = Self {
            upstream: upstream.clone(),
            endpoints: ArcSwap::default(),
            turn: AtomicUsize::new(0),
        };
        match before {
            Some(before) => pool.inherit(before),
            None => pool.rebuild_endpoints(&[], |_| Vec::new()),
        }
        pool
    }

    /// A request's place at the endpoint whose turn it is. Endpoints that are out are
    /// skipped; if all are, all take part, because a wrong probe or a short outage must
    /// not take the whole site down.
    pub fn acquire(&self, now: Now) -> Result<InUse, Unreachable> {
        let endpoints = self.endpoints.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let is_up = |endpoint: &&Arc<Endpoint>| endpoint.state(now) == EndpointState::Up;
        let in_turn = || {
            let (before, after) = endpoints.split_at(turn % endpoints.len().max(1));
            after.iter().chain(before)
        };
        if endpoints.is_empty() {
            return Err(Unreachable::Unresolved);
        }
        if self.upstream.balance == Balance::LeastConnections
            && let Some(idlest) = in_turn().filter(is_up).min_by_key(|endpoint| endpoint.in_use())
            && let Some(place) = idlest.enter(self.upstream.limit, now)
        {
            return Ok(place);
        }
        if let Some(place) = in_turn().filter(is_up).find_map(|e| e.enter(self.upstream.limit, now))
        {
            return Ok(place);
        }
        // Looked at again: a request that tries an endpoint takes it out for the others.
        if in_turn().any(|endpoint| is_up(&endpoint)) {
            return Err(Unreachable::Full);
        }
        in_turn().find_map(|e| e.enter_anyway(self.upstream.limit)).ok_or(Unreachable::Full)
    }

    /// The endpoints as of now.
    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Why no request can be answered, if none can.
    pub fn problem(&self, now: Now) -> Option<&'static str> {
        let endpoints = self.endpoints.load();
        if endpoints.is_empty() {
            return Some("has no address");
        }
        endpoints
            .iter()
            .all(|e| e.state(now) != EndpointState::Up)
            .then_some("has no healthy server")
    }

    /// Resolves every name; blocking, for a thread that may block. Returns the
    /// hosts that could not be resolved.
    pub fn resolve(&self) -> Vec<String> {
        let mut failed = Vec::new();
        let known = self.endpoints();
        self.rebuild_endpoints(&known, |name| {
            let found: Vec<_> = name.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
            if found.is_empty() {
                failed.push(name.0.to_owned());
            }
            found
        });
        failed
    }

    /// Takes over endpoints that stay, and the addresses of names that are not resolved
    /// yet.
    fn inherit(&self, before: &Self) {
        self.rebuild_endpoints(&before.endpoints(), |_| Vec::new());
        if self.upstream.health.is_none() {
            self.endpoints().iter().for_each(|endpoint| endpoint.forget_probes());
        }
    }

    /// Lists the endpoints of all servers, keeping those that are `known`. A name
    /// without an answer keeps its addresses.
    pub(super) fn rebuild_endpoints(
        &self,
        known: &[Arc<Endpoint>],
        mut find: impl FnMut((&str, u16)) -> Vec<SocketAddr>,
    ) {
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
        for server in &self.upstream.servers {
            let of_server = |endpoint: &&Arc<Endpoint>| endpoint.server == *server;
            let mut targets = match server.name() {
                Some(name) => self.targets(server, find(name)),
                None => self.fixed_target(server).into_iter().collect(),
            };
            if targets.is_empty() {
                let before = known.iter().filter(of_server);
                let before = before.filter_map(|endpoint| endpoint.address()).collect();
                targets = self.targets(server, before);
            }
            endpoints.extend(targets.into_iter().map(|target| {
                let before = known.iter().filter(of_server).find(|e| e.target == target);
                let new = || Arc::new(Endpoint::new(server.clone(), target.clone()));
                before.cloned().unwrap_or_else(new)
            }));
        }
        self.endpoints.store(Arc::new(endpoints));
    }

    fn fixed_target(&self, server: &Address) -> Option<Target> {
        match server {
            Address::Tcp { host, port, .. } => {
                let address = SocketAddr::new(host.parse::<IpAddr>().ok()?, *port);
                self.targets(server, vec![address]).pop()
            }
            Address::Unix(path) => Some(Target::Unix(path.clone())),
        }
    }

    /// Sorted, because resolvers shuffle their answers.
    fn targets(&self, server: &Address, mut addresses: Vec<SocketAddr>) -> Vec<Target> {
        let Address::Tcp { host, tls, .. } = server else { return Vec::new() };
        addresses.sort();
        addresses.dedup();
        let server_name =
            tls.then(|| self.upstream.tls.sni.clone().unwrap_or_else(|| host.clone()));
        let target = |address| Target::Tcp { address, server_name: server_name.clone() };
        addresses.into_iter().map(target).collect()
    }
}
