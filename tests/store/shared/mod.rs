//! Shared state of replicas: limits, revocations and tokens in a real Redis, while it is
//! frozen, killed, emptied and fails over.

mod again;
mod door;
pub(crate) mod fault_proxy;
mod limits;
mod moving;
mod online;
mod outage;
mod pages;
mod parts;
mod paused;
mod replicas;
mod revocations;
mod rules;
mod simulation;
mod soak;
mod tokens;
mod valkey;
