//! Sessions in PostgreSQL, MySQL, MariaDB and SQLite.

mod cell;
mod database;
mod failure;
mod postgres_table;
mod sizes;

pub(super) use database::Database;
