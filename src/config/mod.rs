//! The whole of `gateway.toml`, and the tables that belong to the process: listeners
//! and logging.

mod file;
mod log;
mod server;
#[cfg(test)]
mod tests;

pub use file::{Config, secrets_beside};
pub use log::{AuditDestination, Format, Log, UserField};
pub use server::{Listen, Server};
