//! The admin listener: liveness, readiness, metrics, and ending sessions.

mod revoke;
mod router;

pub(super) use router::service;
