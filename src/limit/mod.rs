//! How many answers one user may take, per limit.
//!
//! `gcra` decides and is pure; `memory` keeps the counters and is bounded.

mod gcra;
mod memory;

pub use gcra::{Admitted, BucketKey, Exceeded, Limit, MAX_RATES};
pub use memory::Limits;
