//! Sign-outs and revocations: decided, kept in memory and in a file, and told to the
//! process that takes over.

mod entry;
mod journal;
mod journal_file;
mod revoked;
mod tables;

pub(crate) use entry::Entry;
pub(crate) use journal_file::{JournalError, probe};
pub(crate) use revoked::CameWith;
pub use revoked::Revoked;
pub(crate) use tables::RevokedBy;
