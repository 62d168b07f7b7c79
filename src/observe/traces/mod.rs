//! Traces: spans of requests, sent to a collector by OTLP over HTTP.
//!
//! A sink like the others. A span goes into a bounded queue, which a task sends in
//! batches. Nothing here waits for the collector: spans that do not fit are dropped and
//! counted. Never in a span: a query, a cookie, a token, a user.

mod attributes;
mod exporter;
mod messages;
mod sink;
mod spans;

pub(crate) use sink::Traces;
