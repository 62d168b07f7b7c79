//! Redis and Valkey: one server, a Unix socket, Sentinel or a Cluster, for the app's
//! sessions and for what replicas share.
//!
//! `Redis` is the connector. `dial` opens one connection, `link` replaces it when it
//! breaks, `cluster` finds the server of a key. `SharedStore` adds what replicas need: one
//! deadline, a `breaker` for each server and its `recovery`, scripts, and how many replicas
//! there are.

mod breaker;
mod cluster;
mod connector;
mod dial;
mod failure;
mod heartbeat;
mod link;
mod pauses;
mod recovery;
mod request;
mod script;
mod shared_store;
mod slots;
mod store_counts;

pub(crate) use connector::Redis;
pub(crate) use failure::Failure;
pub(crate) use heartbeat::Member;
pub(crate) use pauses::{LONGEST_UNREACHED, Pauses};
pub(crate) use request::RedisRequest;
pub(crate) use script::Script;
pub(crate) use shared_store::SharedStore;
pub(crate) use store_counts::{StoreCounts, StoreNumbers};
