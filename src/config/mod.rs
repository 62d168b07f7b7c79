//! The whole of `gateway.toml`, and the tables that belong to the process: listeners
//! and logging.

mod file;
mod listen;
mod log;
mod server;
mod server_table;
#[cfg(test)]
mod tests;

pub use file::{Config, secrets_beside};
pub use listen::Listen;
pub use log::{AuditDestination, Format, Log, UserField};
pub use server::Server;
