//! Redis and Valkey: one server, a Unix socket, Sentinel or a Cluster, for the app's
//! sessions and for what replicas share.
//!
//! `Redis` is the connector. `dial` opens one connection, `link` replaces it when it
//! breaks, `cluster` finds the server of a key.

mod cluster;
mod connector;
mod dial;
mod failure;
mod link;
mod request;
mod slots;

pub(crate) use connector::Redis;
pub(crate) use failure::Failure;
pub(crate) use request::Request;
