//! Errors of databases, by the codes of each.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::identify::store::error::StoreError;

pub(super) fn of_database(error: &dyn DatabaseError) -> StoreError {
    if let Some(named) = of_mysql(error).or_else(|| of_sqlite(error)) {
        return named;
    }
    match error.code().as_deref() {
        Some("28000" | "28P01") => StoreError::NotAllowed,
        Some("3D000") => StoreError::NoDatabase,
        Some("42501") => StoreError::NoRights(None),
        Some("42703") => StoreError::NoColumn(Vec::new()),
        Some("42P01") => StoreError::NoTable(None),
        // Starting up, shutting down, too many connections.
        Some(code) if code.starts_with("57P") || code.starts_with("53") => StoreError::Unreachable,
        // SQLite: cannot open the file.
        Some("14") => StoreError::Unreachable,
        Some(code) => StoreError::Failed(code.to_owned()),
        None => StoreError::Failed("without a code".to_owned()),
    }
}

/// One SQLSTATE covers many errors; the numbers distinguish them.
fn of_mysql(error: &dyn DatabaseError) -> Option<StoreError> {
    match error.try_downcast_ref::<MySqlDatabaseError>()?.number() {
        1044 | 1142 | 1143 => Some(StoreError::NoRights(None)),
        1049 => Some(StoreError::NoDatabase),
        1054 => Some(StoreError::NoColumn(Vec::new())),
        1146 => Some(StoreError::NoTable(None)),
        _ => None,
    }
}

/// It has one code for all errors in a statement.
fn of_sqlite(error: &dyn DatabaseError) -> Option<StoreError> {
    let message = error.try_downcast_ref::<SqliteError>()?.message();
    if message.starts_with("no such table") {
        Some(StoreError::NoTable(None))
    } else if message.starts_with("no such column") {
        Some(StoreError::NoColumn(Vec::new()))
    } else {
        None
    }
}
