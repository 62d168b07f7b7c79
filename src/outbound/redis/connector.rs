//! The connector: sends a request to the right server, over a connection that works.
//!
//! Every call ends by its deadline, whatever the server does. A command is sent again
//! only where it cannot have run; reads may ask for a second attempt.

use std::time::Duration;

use redis::Value;
use tokio::runtime::Handle;

use super::cluster::Cluster;
use super::dial::Target;
use super::failure::Failure;
use super::link::{Link, Used};
use super::request::Request;
use crate::base::redis_url::{RedisUrl, Servers};

/// Connections to one Redis; cheap to clone.
#[derive(Clone)]
pub(crate) struct Redis(Kind);

#[derive(Clone)]
enum Kind {
    Cluster(Cluster),
    One(Link),
}

impl Redis {
    /// Connects to nothing yet; connections will live in `runtime`.
    pub(crate) fn new(url: RedisUrl, runtime: Handle) -> Self {
        Self(match &url.servers {
            Servers::Cluster(seeds) => {
                let seeds = seeds.clone();
                Kind::Cluster(Cluster::new(url, seeds, runtime))
            }
            Servers::One(_) | Servers::Sentinel(_) | Servers::Socket(_) => {
                Kind::One(Link::new(Target::Primary(url), runtime))
            }
        })
    }

    /// The answers to commands that change nothing, within `deadline`: a connection that
    /// turns out to be closed is replaced and asked once more.
    pub(crate) async fn read(
        &self,
        request: &Request,
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

    /// `used` is the connection that an answer is awaited from.
    async fn attempt(&self, request: &Request, used: &mut Used) -> Result<Vec<Value>, Failure> {
        match &self.0 {
            Kind::Cluster(cluster) => cluster.send(request, used).await,
            Kind::One(link) => {
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
    fn timed_out<T>(&self, used: Used) -> Result<T, Failure> {
        let Some((link, live)) = used else { return Err(Failure::Unreachable) };
        link.fell_silent(&live);
        match &self.0 {
            Kind::Cluster(cluster) => cluster.refresh(),
            Kind::One(_) => {}
        }
        Err(Failure::TimedOut)
    }
}
