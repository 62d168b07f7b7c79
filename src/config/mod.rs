//! The whole of `gateway.toml`, and the tables that belong to the process: listeners
//! and logging.

mod auth;
mod file;
mod listen;
mod listen_overlap;
mod log;
mod otlp;
mod revocations;
mod route_warnings;
mod server;
mod server_table;
mod shared;
mod shared_warnings;
#[cfg(test)]
mod tests;
mod warnings;

pub use file::Config;
pub(crate) use file::Sources;
pub(crate) use listen::Listen;
pub use log::Format;
pub(crate) use log::{AuditDestination, Lines, Log, UserField};
pub(crate) use otlp::Otlp;
pub(crate) use revocations::{EndStreams, Revocations};
pub(crate) use server::ServerSettings;
pub(crate) use shared::SharedSettings;
