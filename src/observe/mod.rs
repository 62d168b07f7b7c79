//! Telemetry of the process: one access line and a few counters per
//! request, an audit log of tokens, and diagnostics.
//!
//! `Event` lists everything that is reported, `Telemetry` holds the sinks that receive it.
//! Never in any of them: cookies, tokens, secrets, query strings. A user's id appears as a
//! keyed hash unless the operator asks for it.

mod access;
mod audit;
mod diagnostics;
mod escape;
mod event;
mod metrics;
mod recent;
mod registry;
mod shard;
mod telemetry;
mod traces;

pub use access::{AccessLog, Sink};
pub use audit::AuditLog;
pub use diagnostics::forward_libraries;
pub(crate) use diagnostics::{level, set_level, start as start_diagnostics};
pub(crate) use event::{
    AuditEntry, CachedOrMinted, CallPurpose, CallResult, ConnectionEvent, ConnectionRefusal,
    DifferenceKind, Event, LatePart, Line, Outcome, ReloadResult, RequestEvent, SessionChecked,
    ShadowResult, StepEnded, StepKind, TokenDecision, TokenEvent, TokenPlace, UpstreamEvent,
};
pub(crate) use metrics::{CircuitState, Gauges, ServerGauge};
pub(crate) use recent::{
    Followed, Histogram, ReasonCount, Recent, RouteCounts, STEP_SECONDS, Slot, Snapshot,
    TokenCounts,
};
pub(crate) use shard::ShardedCount;
pub(crate) use telemetry::{Telemetry, UserName};
