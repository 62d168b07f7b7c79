//! Sessions in PostgreSQL, MySQL, MariaDB and SQLite.

mod cell;
mod database;

pub(super) use database::Database;
