//! The last hour in memory: what `/status` and the dashboard of the admin listener show.
//!
//! A sink of events like the metrics, but with reasons and over time: counts in slots of
//! half a minute; a new slot pushes the oldest out. Bounded in every direction, at most
//! about 6 MiB. Without an admin listener it is off.

mod histogram;
mod history;
mod live;
mod sink;
mod slot;

pub(crate) use histogram::Histogram;
pub(crate) use history::STEP_SECONDS;
pub(crate) use live::Followed;
pub(crate) use sink::{Recent, Snapshot};
pub(crate) use slot::{ReasonCount, RouteCounts, Slot, TokenCounts};
