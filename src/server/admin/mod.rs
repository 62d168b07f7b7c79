//! The admin listener: liveness, readiness, metrics, status, the dashboard, and ending
//! sessions.

mod assets;
mod door;
mod events;
mod history;
mod level;
mod listener;
mod refusals;
mod revoke;
mod router;
mod shadow;
mod status;

pub(super) use listener::service;
