//! Sign-outs and revocations: decided, kept in memory and in a file, sent to the process
//! that takes over, and to all replicas by a stream.

mod entry;
mod journal;
mod journal_file;
mod renewal;
mod revoked;
mod shared;
mod stream;
mod stream_work;
mod stream_writer;
mod tables;

pub(crate) use entry::Entry;
pub(crate) use journal_file::{JournalError, probe};
pub(crate) use renewal::{Answered, CameWith};
pub use revoked::Revoked;
pub(crate) use stream_work::Settled;
pub(crate) use tables::RevokedBy;
