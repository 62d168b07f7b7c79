//! What the process tells about itself: one access line and a few counters per
//! request, and diagnostics of its own.
//!
//! Never in any of them: cookies, tokens, secrets, query strings. A user's id
//! appears as a keyed hash unless the operator asks for it.

mod access;
pub mod audit;
mod diagnostics;
mod metrics;
mod upstream;

pub use access::{AccessLog, Line, Sink};
pub use diagnostics::start as start_diagnostics;
pub use metrics::{Gauges, Metrics, Slow};
pub use upstream::UpstreamMetrics;
