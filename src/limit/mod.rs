//! How many answers one user may take, per limit.
//!
//! `gcra` decides and is pure; `memory` keeps the counters and is bounded.

mod gcra;
mod memory;

pub(crate) use gcra::{Admitted, Exceeded, Limit, MAX_RATES};
pub(crate) use memory::Limits;
