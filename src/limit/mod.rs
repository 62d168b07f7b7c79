//! How many answers one user may take, per limit.
//!
//! `gcra` decides and is pure; `memory` keeps the counters and is bounded; `shared` counts
//! over all replicas, in a store.

mod gcra;
mod lease;
mod memory;
mod question;
mod setting;
mod shared;
mod used;

pub(crate) use gcra::{Admitted, Exceeded, Limit, MAX_RATES};
pub(crate) use memory::Limits;
pub(crate) use setting::{OnError, Sharing};
pub(crate) use shared::{Denied, SharedLimits};
pub(crate) use used::UsedAllowance;
