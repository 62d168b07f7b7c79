//! The admin listener: liveness, readiness, metrics, and ending sessions.

mod door;
mod listener;
mod revoke;
mod router;

pub(super) use listener::service;
