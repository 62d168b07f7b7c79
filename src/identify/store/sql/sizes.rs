//! The condition that a row is small enough to read.
//!
//! A database sends a row whole, and the client library reads whatever arrives. So columns
//! that may hold more than any session are measured by the database first. They are looked
//! up once per table; a column that is added later is measured once an error, or a new
//! connection of the gateway, has the table looked up again.

use crate::identify::store::error::MAX_SESSION;

/// Columns of types that end at 64 KiB need no measuring.
const LARGE_COLUMNS: &str = "SELECT CAST(column_name AS CHAR) \
    FROM information_schema.columns \
    WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND data_type IN \
    ('json', 'longblob', 'longtext', 'mediumblob', 'mediumtext')";

/// SQLite keeps any length in a column of any type.
const ALL_COLUMNS: &str = "SELECT name FROM pragma_table_info(?2, COALESCE(?1, 'main'))";

/// A condition on rows; empty where every row is small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::identify::store) struct SizeCondition(String);

impl SizeCondition {
    /// `lengths` are expressions, each the length of a column's value in bytes.
    pub(super) fn new(lengths: impl Iterator<Item = String>) -> Self {
        let is_small = |length: String| format!("COALESCE({length}, 0) <= {MAX_SESSION}");
        Self(lengths.map(is_small).collect::<Vec<_>>().join(" AND "))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// To be added to the conditions of a statement: small rows only.
    pub(super) fn of_small_rows(&self) -> String {
        if self.is_empty() { String::new() } else { format!(" AND {}", self.0) }
    }

    /// The same: all other rows.
    pub(super) fn of_large_rows(&self) -> String {
        format!(" AND NOT ({})", self.0)
    }
}

/// The columns of a table that are measured, and how.
pub(super) struct Measured {
    /// A statement with their names; its parameters are the schema, if any, and the table.
    pub(super) columns: &'static str,
    /// The function of the database.
    length: &'static str,
}

pub(super) const MYSQL: Measured = Measured { columns: LARGE_COLUMNS, length: "OCTET_LENGTH" };
pub(super) const SQLITE: Measured = Measured { columns: ALL_COLUMNS, length: "octet_length" };

impl Measured {
    pub(super) fn condition(&self, names: &[String]) -> SizeCondition {
        let length = |name: &String| format!("{}(`{}`)", self.length, name.replace('`', "``"));
        SizeCondition::new(names.iter().map(length))
    }
}

/// `schema.table`, or a table alone.
pub(super) fn parts(table: &str) -> (Option<&str>, &str) {
    table.split_once('.').map_or((None, table), |(schema, name)| (Some(schema), name))
}
