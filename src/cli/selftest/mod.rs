//! `portcullis selftest URL`: the harmless part of an attack, against one's own deployment.
//!
//! Each request is one that any stranger could send; none changes anything, none is repeated
//! to break something. What comes back is judged by pure functions.

mod caching;
mod command;
mod finding;
mod headers;
mod paths;
mod probe;
mod report;
mod target;
mod tokens;
mod transport;

pub(super) use command::{Options, selftest};
