//! Columns to cells and back, for every database's own types.

use sqlx::mysql::MySql;
use sqlx::postgres::Postgres;
use sqlx::query::Query;
use sqlx::sqlite::Sqlite;
use sqlx::types::Uuid;
use sqlx::types::time::{Date, OffsetDateTime, PrimitiveDateTime};
use sqlx::{Column as _, ColumnIndex, Database, Decode, Encode, Row as _, Type, TypeInfo as _};

use crate::session::{Cell, Row};

/// A cell as a statement's parameter.
pub(super) trait Encoded<D: Database> {
    fn bind<'q>(&self, query: Query<'q, D, D::Arguments>) -> Query<'q, D, D::Arguments>;
}

/// A row's column as a cell; `None` for a type no session needs.
pub(super) trait Decoded<D: Database>: Sized {
    fn read(row: &D::Row, index: usize) -> Option<Self>;
}

/// Types that only one database has.
pub(super) trait Dialect: Database {
    fn own_type(_row: &Self::Row, _index: usize) -> Option<Cell> {
        None
    }
}

impl Dialect for Postgres {}

impl Dialect for Sqlite {}

impl Dialect for MySql {
    /// Unsigned numbers, which would pass for truth values otherwise.
    fn own_type(row: &Self::Row, index: usize) -> Option<Cell> {
        let number = row.try_get::<Option<u64>, _>(index).ok()?;
        let unsigned = row.column(index).type_info().name().ends_with("UNSIGNED");
        unsigned.then(|| match number {
            Some(number) => {
                i64::try_from(number).map_or_else(|_| Cell::Text(number.to_string()), Cell::Integer)
            }
            None => Cell::Null,
        })
    }
}

impl<D: Database> Encoded<D> for Cell
where
    i64: for<'q> Encode<'q, D> + Type<D>,
    String: for<'q> Encode<'q, D> + Type<D>,
    Vec<u8>: for<'q> Encode<'q, D> + Type<D>,
    Option<String>: for<'q> Encode<'q, D> + Type<D>,
{
    fn bind<'q>(&self, query: Query<'q, D, D::Arguments>) -> Query<'q, D, D::Arguments> {
        match self {
            Self::Bytes(bytes) => query.bind(bytes.clone()),
            Self::Integer(number) => query.bind(*number),
            Self::Null => query.bind(None::<String>),
            Self::Text(text) => query.bind(text.clone()),
            Self::Time(seconds) => query.bind(i64::try_from(*seconds).unwrap_or(i64::MAX)),
        }
    }
}

impl<D: Dialect> Decoded<D> for Cell
where
    usize: ColumnIndex<D::Row>,
    bool: for<'r> Decode<'r, D> + Type<D>,
    i16: for<'r> Decode<'r, D> + Type<D>,
    i32: for<'r> Decode<'r, D> + Type<D>,
    i64: for<'r> Decode<'r, D> + Type<D>,
    f64: for<'r> Decode<'r, D> + Type<D>,
    String: for<'r> Decode<'r, D> + Type<D>,
    Vec<u8>: for<'r> Decode<'r, D> + Type<D>,
    Uuid: for<'r> Decode<'r, D> + Type<D>,
    OffsetDateTime: for<'r> Decode<'r, D> + Type<D>,
    PrimitiveDateTime: for<'r> Decode<'r, D> + Type<D>,
    Date: for<'r> Decode<'r, D> + Type<D>,
{
    fn read(row: &D::Row, index: usize) -> Option<Self> {
        let time = |time: OffsetDateTime| {
            u64::try_from(time.unix_timestamp()).map_or(Self::Null, Self::Time)
        };
        if let Some(cell) = D::own_type(row, index) {
            return Some(cell);
        }
        if let Ok(value) = row.try_get::<Option<i64>, _>(index) {
            return Some(value.map_or(Self::Null, Self::Integer));
        }
        if let Ok(value) = row.try_get::<i32, _>(index) {
            return Some(Self::Integer(value.into()));
        }
        if let Ok(value) = row.try_get::<i16, _>(index) {
            return Some(Self::Integer(value.into()));
        }
        if let Ok(value) = row.try_get::<bool, _>(index) {
            return Some(Self::Integer(value.into()));
        }
        if let Ok(value) = row.try_get::<Option<String>, _>(index) {
            return Some(value.map_or(Self::Null, Self::Text));
        }
        if let Ok(value) = row.try_get::<Option<Vec<u8>>, _>(index) {
            return Some(value.map_or(Self::Null, Self::Bytes));
        }
        if let Ok(value) = row.try_get::<Option<OffsetDateTime>, _>(index) {
            return Some(value.map_or(Self::Null, time));
        }
        if let Ok(value) = row.try_get::<Option<PrimitiveDateTime>, _>(index) {
            return Some(value.map_or(Self::Null, |value| time(value.assume_utc())));
        }
        if let Ok(value) = row.try_get::<Option<Date>, _>(index) {
            return Some(value.map_or(Self::Null, |value| Self::Text(value.to_string())));
        }
        if let Ok(value) = row.try_get::<Option<Uuid>, _>(index) {
            return Some(value.map_or(Self::Null, |value| Self::Text(value.to_string())));
        }
        if let Ok(value) = row.try_get::<Option<f64>, _>(index) {
            return Some(value.map_or(Self::Null, |value| Self::Text(value.to_string())));
        }
        // Enumerations and other types whose value is a text; binary JSON of
        // PostgreSQL begins with the number of its version. The binary form of another
        // type would pass for a text by chance.
        let Some(text) = row.try_get_unchecked::<Option<String>, _>(index).ok()? else {
            return Some(Self::Null);
        };
        let text = text.trim_start_matches('\u{1}');
        let is_text = !text.contains(|c: char| c.is_control() && !c.is_ascii_whitespace());
        is_text.then(|| Self::Text(text.to_owned()))
    }
}

pub(super) fn read<R: sqlx::Row>(row: &R) -> Row
where
    Cell: Decoded<R::Database>,
    R::Database: Database<Row = R>,
{
    let cell = |column: &<R::Database as Database>::Column| {
        Some((column.name().to_owned(), Cell::read(row, column.ordinal())?))
    };
    Row(row.columns().iter().filter_map(cell).collect())
}

/// Whether the row found is exactly the row asked for.
pub(super) fn is_as_asked(row: &Row, matching: &[(String, Cell)]) -> bool {
    matching.iter().all(|(column, asked)| {
        let found = row.0.iter().find(|(name, _)| name == column);
        found.is_some_and(|(_, found)| is_same(asked, found))
    })
}

/// `CHAR` columns come back padded with spaces.
fn is_same(asked: &Cell, found: &Cell) -> bool {
    let text = |cell: &Cell| match cell {
        Cell::Bytes(bytes) => bytes.clone(),
        Cell::Integer(number) => number.to_string().into_bytes(),
        Cell::Null => Vec::new(),
        Cell::Text(text) => text.trim_end_matches(' ').as_bytes().to_vec(),
        Cell::Time(seconds) => seconds.to_string().into_bytes(),
    };
    *asked != Cell::Null && text(asked) == text(found)
}
