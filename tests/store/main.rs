//! Stores as operators run them: real Redis, PostgreSQL, MariaDB, SQLite and folders,
//! started for each test, killed and frozen in the middle; with sessions in them, and with
//! what replicas share.
//!
//! The servers come from Debian's packages (`tests/run` installs them); without
//! one, its tests fail and say so. Nothing is shared between tests but the
//! programs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "helpers of tests may fail the test they serve, wait by the real clock and say what they measured"
)]

#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "shared with tests/it, which uses all of it")]
mod support;

mod access;
mod app;
mod columns;
mod fallback;
mod kept_id;
mod keys;
mod outage;
mod replicated;
mod servers;
mod shared;
mod sizes;
mod time_zones;
mod topologies;
mod vectors;
mod wrong_names;
