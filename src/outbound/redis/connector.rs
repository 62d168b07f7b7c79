//! The connector: sends a request to the right server, over a connection that works.
//!
//! Every call ends by its deadline, whatever the server does. A command is sent again
//! only where it cannot have run; reads may ask for a second attempt.

use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Handle;

use super::breaker::Place;
use super::cluster::Cluster;
use super::dial::DialTarget;
use super::failure::Failure;
use super::link::{Link, UsedConnection};
use super::request::RedisRequest;
use super::slots::slot_of;
use crate::base::redis_url::{RedisNode, RedisServers, RedisUrl};

/// Connections to one Redis; cheap to clone.
#[derive(Clone)]
pub(crate) struct Redis(Kind);

#[derive(Clone)]
enum Kind {
    Cluster(Cluster),
    One(Link, Box<RedisUrl>),
}

impl Redis {
    /// Connects to nothing yet; connections will live in `runtime`. `longest_pause` is the
    /// ceiling of the pauses between attempts to connect.
    pub(crate) fn new(url: RedisUrl, longest_pause: Duration, runtime: Handle) -> Self {
        Self(match &url.servers {
            RedisServers::Cluster(seeds) => {
                let seeds = seeds.clone();
                Kind::Cluster(Cluster::new((url, seeds), longest_pause, runtime))
            }
            RedisServers::One(_) | RedisServers::Sentinel(_) | RedisServers::Socket(_) => {
                let link = Link::new(DialTarget::Primary(url.clone()), longest_pause, runtime);
                Kind::One(link, Box::new(url))
            }
        })
    }

    /// The answers to all commands, within `deadline`. Never sends what may have run.
    pub(crate) async fn send(
        &self,
        request: &RedisRequest,
        deadline: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let mut used = None;
        let sent = tokio::time::timeout(deadline, self.attempt(request, &mut used)).await;
        sent.unwrap_or_else(|_| self.timed_out(used))
    }

    /// As `send`, for commands that change nothing: a connection that turns out to be
    /// closed is replaced and asked once more.
    pub(crate) async fn read(
        &self,
        request: &RedisRequest,
        deadline: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let mut used = None;
        let twice = async {
            match self.attempt(request, &mut used).await {
                Err(Failure::Lost | Failure::ReadOnly) => self.attempt(request, &mut used).await,
                other => other,
            }
        };
        let asked = tokio::time::timeout(deadline, twice).await;
        asked.unwrap_or_else(|_| self.timed_out(used))
    }

    /// A connection of the caller's own to the server of `key`, for commands that block.
    /// Must run in the runtime of the connections.
    pub(crate) async fn dedicated(&self, key: &[u8]) -> Result<MultiplexedConnection, Failure> {
        match &self.0 {
            Kind::Cluster(cluster) => {
                let target = cluster.target(slot_of(key)).await?;
                target.dial().await.inspect_err(|_| cluster.refresh())
            }
            Kind::One(_, url) => DialTarget::Primary((**url).clone()).dial().await,
        }
    }

    /// A new connection to each primary, with its name, for `check --online`.
    pub(crate) async fn everywhere(&self) -> Result<Vec<(String, MultiplexedConnection)>, Failure> {
        match &self.0 {
            Kind::Cluster(cluster) => {
                let mut all = Vec::new();
                for node in cluster.primaries().await? {
                    let connection = cluster.target_of(&node).dial().await?;
                    all.push((format!("{}:{}", node.host, node.port), connection));
                }
                Ok(all)
            }
            Kind::One(_, url) => {
                let connection = DialTarget::Primary((**url).clone()).dial().await?;
                Ok(vec![(String::new(), connection)])
            }
        }
    }

    /// The server of a slot, where there are several and as far as is known.
    pub(super) fn known_owner(&self, slot: u16) -> Option<RedisNode> {
        match &self.0 {
            Kind::Cluster(cluster) => cluster.known_owner(slot),
            Kind::One(..) => None,
        }
    }

    /// Whether a server is a primary of the Cluster, as far as is known.
    pub(super) fn has_primary(&self, node: &RedisNode) -> bool {
        match &self.0 {
            Kind::Cluster(cluster) => cluster.known_primaries().contains(node),
            Kind::One(..) => false,
        }
    }

    /// Asks one server of a Cluster for nothing but an answer.
    pub(super) async fn ping(&self, node: &RedisNode, deadline: Duration) -> Result<(), Failure> {
        let Kind::Cluster(cluster) = &self.0 else { return Err(Failure::Unreachable) };
        let mut used = None;
        let asked = tokio::time::timeout(deadline, cluster.ping(node, &mut used)).await;
        asked.unwrap_or_else(|_| self.timed_out(used))
    }

    /// Asks the sentinels or the cluster for the primary, in the background, and connects to
    /// another one than before.
    pub(super) fn look_for_primary(&self) {
        match &self.0 {
            Kind::Cluster(cluster) => cluster.refresh(),
            Kind::One(link, _) => link.look_for_primary(),
        }
    }

    /// The next caller may connect to a place at once, although an attempt has failed lately.
    pub(super) fn allow_attempt(&self, place: &Place) {
        match (&self.0, place) {
            (Kind::One(link, _), _) => link.allow_attempt(),
            (Kind::Cluster(cluster), Place::Server(node)) => cluster.link(node).allow_attempt(),
            (Kind::Cluster(cluster), Place::Whole) => cluster.allow_attempts(),
        }
    }

    /// Waits for a new connection to the server of `key`.
    pub(crate) async fn renewed_for(&self, key: &[u8]) {
        let place = self.known_owner(slot_of(key)).map_or(Place::Whole, Place::Server);
        self.renewed(&place).await;
    }

    /// Waits for a new connection.
    pub(super) async fn renewed(&self, place: &Place) {
        let link = match (&self.0, place) {
            (Kind::One(link, _), _) => link.clone(),
            (Kind::Cluster(cluster), Place::Server(node)) => cluster.link(node),
            (Kind::Cluster(_), Place::Whole) => return std::future::pending().await,
        };
        link.renewed().await;
    }

    /// `used` is the connection that an answer is awaited from.
    async fn attempt(
        &self,
        request: &RedisRequest,
        used: &mut UsedConnection,
    ) -> Result<Vec<Value>, Failure> {
        match &self.0 {
            Kind::Cluster(cluster) => cluster.send(request, used).await,
            Kind::One(link, _) => {
                let live = link.live().await?;
                *used = Some((link.clone(), live.clone()));
                let sent = request.send(live.connection.clone()).await;
                sent.inspect_err(|failure| {
                    if failure.ends_connection() {
                        link.broke(&live);
                    }
                })
            }
        }
    }

    /// Without a connection, nothing was sent.
    fn timed_out<T>(&self, used: UsedConnection) -> Result<T, Failure> {
        let Some((link, live)) = used else { return Err(Failure::Unreachable) };
        link.fell_silent(&live);
        match &self.0 {
            Kind::Cluster(cluster) => cluster.refresh(),
            Kind::One(..) => {}
        }
        Err(Failure::TimedOut)
    }
}
