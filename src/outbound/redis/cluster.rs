//! A Redis Cluster: one link per server, and the table of who has which slot.
//!
//! The client library has this too, but it sends a command again when its connection
//! breaks, which counts twice what may have run, and holds every request back while it
//! reconnects to one server. Here a command is sent again only where the server says
//! that it has not run (`MOVED`, `ASK`), and servers do not wait for each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dial::DialTarget;
use super::failure::{Failure, Redirect};
use super::link::{Link, UsedConnection};
use super::request::RedisRequest;
use super::slots::SlotTable;
use crate::base::lock::Lock;
use crate::base::redis_url::{RedisNode, RedisUrl};

/// Redirections followed for one request; while slots move, one follows another.
const MAX_REDIRECTS: usize = 16;
/// Pause before a server is asked again that has asked for that.
const AGAIN_PAUSE: Duration = Duration::from_millis(2);
/// Longest wait for a server that is asked for the table, and pause between two tables.
const TABLE_TIMEOUT: Duration = Duration::from_millis(500);
const TABLE_PAUSE: Duration = Duration::from_millis(100);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Cluster(Arc<Inner>);

struct Inner {
    url: RedisUrl,
    seeds: Vec<RedisNode>,
    /// Between two attempts to connect to one server.
    longest_pause: Duration,
    runtime: Handle,
    links: Lock<HashMap<RedisNode, Link>>,
    table: watch::Sender<Table>,
    refreshing: AtomicBool,
}

#[derive(Clone, Default)]
struct Table {
    slots: Arc<SlotTable>,
    /// Why the last attempt to read it failed.
    failure: Option<Failure>,
}

impl Cluster {
    pub(super) fn new(
        (url, seeds): (RedisUrl, Vec<RedisNode>),
        longest_pause: Duration,
        runtime: Handle,
    ) -> Self {
        let (table, _) = watch::channel(Table::default());
        let (links, refreshing) = (Lock::default(), AtomicBool::new(false));
        let shared = Inner { url, seeds, longest_pause, runtime, links, table, refreshing };
        Self(Arc::new(shared))
    }

    /// Sends the request to its key's server, even if the key moves meanwhile.
    pub(super) async fn send(
        &self,
        request: &RedisRequest,
        used: &mut UsedConnection,
    ) -> Result<Vec<Value>, Failure> {
        let mut at = self.owner(request.slot()).await?;
        let (mut redirect, mut asked) = (Redirect::Moved, Instant::now());
        let mut redirects = 0;
        while redirects <= MAX_REDIRECTS {
            let link = self.link(&at);
            let live = link.live().await.inspect_err(|_| self.refresh())?;
            *used = Some((link.clone(), live.clone()));
            let sent = match redirect {
                Redirect::Ask => request.send_asking(live.connection.clone(), asked).await,
                Redirect::Moved => {
                    asked = Instant::now();
                    request.send(live.connection.clone()).await
                }
            };
            match sent {
                Err(Failure::Redirected { to, kind }) => {
                    if kind == Redirect::Moved {
                        self.refresh();
                    }
                    let host = if to.host.is_empty() { at.host.clone() } else { to.host };
                    (at, redirect) = (RedisNode { host, port: to.port }, kind);
                    redirects += 1;
                }
                // Nothing has run: the owner knows best where the key is now. Only the
                // caller's deadline ends this.
                Err(Failure::TryAgain) => {
                    redirects = 0;
                    tokio::time::sleep(AGAIN_PAUSE).await;
                    (at, redirect) = (self.owner(request.slot()).await?, Redirect::Moved);
                }
                Err(failure) => {
                    if failure.ends_connection() {
                        link.broke(&live);
                        self.refresh();
                    }
                    return Err(failure);
                }
                Ok(answers) => return Ok(answers),
            }
        }
        Err(Failure::Server("too many redirections".to_owned()))
    }

    /// The server of a slot, as far as is known without asking.
    pub(super) fn known_owner(&self, slot: u16) -> Option<RedisNode> {
        self.0.table.borrow().slots.owner(slot).cloned()
    }

    /// Asks one server for nothing but an answer.
    pub(super) async fn ping(
        &self,
        node: &RedisNode,
        used: &mut UsedConnection,
    ) -> Result<(), Failure> {
        let link = self.link(node);
        let live = link.live().await?;
        *used = Some((link.clone(), live.clone()));
        let sent = RedisRequest::one(b"", redis::cmd("PING")).send(live.connection.clone()).await;
        sent.map(|_| ()).inspect_err(|failure| {
            if failure.ends_connection() {
                link.broke(&live);
            }
        })
    }

    /// Where a connection of the caller's own to the slot's server leads.
    pub(super) async fn target(&self, slot: u16) -> Result<DialTarget, Failure> {
        Ok(DialTarget::Node(self.0.url.clone(), self.owner(slot).await?))
    }

    /// The primaries known now.
    pub(super) async fn primaries(&self) -> Result<Vec<RedisNode>, Failure> {
        self.owner(0).await?;
        Ok(self.known_primaries())
    }

    pub(super) fn known_primaries(&self) -> Vec<RedisNode> {
        self.0.table.borrow().slots.primaries()
    }

    pub(super) fn target_of(&self, node: &RedisNode) -> DialTarget {
        DialTarget::Node(self.0.url.clone(), node.clone())
    }

    async fn owner(&self, slot: u16) -> Result<RedisNode, Failure> {
        if let Some(node) = self.0.table.borrow().slots.owner(slot) {
            return Ok(node.clone());
        }
        let mut tables = self.0.table.subscribe();
        self.refresh();
        tables.changed().await.map_err(|_| Failure::Unreachable)?;
        let table = tables.borrow();
        let missing =
            || table.failure.clone().unwrap_or_else(|| Failure::Server("CLUSTERDOWN".to_owned()));
        table.slots.owner(slot).cloned().ok_or_else(missing)
    }

    pub(super) fn link(&self, node: &RedisNode) -> Link {
        let mut links = self.0.links.lock();
        let Inner { longest_pause, runtime, .. } = &*self.0;
        let link = || Link::new(self.target_of(node), *longest_pause, runtime.clone());
        links.entry(node.clone()).or_insert_with(link).clone()
    }

    /// The next caller may connect to any server at once.
    pub(super) fn allow_attempts(&self) {
        self.0.links.lock().values().for_each(Link::allow_attempt);
    }

    /// Begins to read the table, unless that is under way.
    pub(super) fn refresh(&self) {
        if self.0.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let cluster = self.clone();
        self.0.runtime.spawn(async move {
            let read = cluster.read_table().await;
            cluster.0.table.send_modify(|table| match read {
                Ok(slots) => *table = Table { slots: Arc::new(slots), failure: None },
                Err(failure) => table.failure = Some(failure),
            });
            cluster.forget_links();
            cluster.connect_to_all();
            tokio::time::sleep(TABLE_PAUSE).await;
            cluster.0.refreshing.store(false, Ordering::Release);
        });
    }

    /// Asks every server that is known and takes the first table.
    async fn read_table(&self) -> Result<SlotTable, Failure> {
        let mut nodes = self.0.table.borrow().slots.primaries();
        nodes.extend(self.0.seeds.iter().cloned());
        let mut attempts = JoinSet::new();
        for node in nodes {
            let link = self.link(&node);
            attempts.spawn(async move {
                let asked = async {
                    let live = link.live().await?;
                    let slots = redis::cmd("CLUSTER").arg("SLOTS").take();
                    let sent = RedisRequest::one(b"", slots).send(live.connection.clone()).await;
                    sent.inspect_err(|failure| {
                        if failure.ends_connection() {
                            link.broke(&live);
                        }
                    })
                };
                let answer = tokio::time::timeout(TABLE_TIMEOUT, asked).await;
                let answer = answer.unwrap_or(Err(Failure::Unreachable))?;
                let table = answer.first().and_then(|answer| SlotTable::read(answer, &node));
                table.ok_or_else(|| Failure::Server("no slots".to_owned()))
            });
        }
        let mut failure = Failure::Unreachable;
        while let Some(attempt) = attempts.join_next().await {
            match attempt {
                Ok(Ok(table)) => return Ok(table),
                Ok(Err(Failure::Unreachable)) | Err(_) => {}
                Ok(Err(other)) => failure = other,
            }
        }
        Err(failure)
    }

    /// Begins to connect to every primary, so that no request has to wait for that.
    fn connect_to_all(&self) {
        for node in self.known_primaries() {
            let link = self.link(&node);
            self.0.runtime.spawn(async move { link.live().await.map(|_| ()) });
        }
    }

    /// Closes the connections to servers that have left.
    fn forget_links(&self) {
        let mut nodes = self.0.table.borrow().slots.primaries();
        nodes.extend(self.0.seeds.iter().cloned());
        self.0.links.lock().retain(|node, _| nodes.contains(node));
    }
}
