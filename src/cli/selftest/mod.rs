//! `portcullis selftest URL`: the harmless part of an attack on your own deployment.
//!
//! Each request is one that any stranger could send; none changes or breaks anything. Pure
//! functions judge the answers.

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
