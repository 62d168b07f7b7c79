//! Traces: spans of requests, sent to a collector by OTLP over HTTP.
//!
//! A sink like the others. A span is put into a queue that has an end; a task sends what
//! is there in batches. Nothing here waits for the collector: what does not fit is
//! dropped and counted. Never in a span: a query, a cookie, a token, a user.

mod attributes;
mod exporter;
mod messages;
mod sink;
mod spans;

pub(crate) use sink::Traces;
