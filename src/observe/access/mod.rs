//! The access log: one line per request, in one of four formats.
//!
//! `log` keeps the lines and writes them out; each format is a file. Whatever a client
//! sends, a line stays one line and its fields stay apart.

mod combined;
#[cfg(test)]
mod example;
mod json;
mod log;
mod logfmt;
mod numbers;
mod plain;
mod stamp;

pub use log::{AccessLog, Sink};
