//! The app's own session stores: Redis, SQL databases, folders.

mod connections;
mod error;
mod file;
mod redis;
mod sql;

pub(crate) use connections::StoreConnections;
