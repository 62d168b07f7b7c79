//! Sessions in PostgreSQL, MySQL, MariaDB and SQLite.

mod cell;
mod database;
mod failure;
mod postgres_table;

pub(super) use database::Database;
