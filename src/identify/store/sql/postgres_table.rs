//! Facts to ask PostgreSQL once about a table before asking it for a row:
//! the types of its columns, and the time zone of times without one.
//!
//! It compares a text with a `uuid` only after a cast. A library that lets the
//! database convert its times writes them in the zone of the app's connection, while the
//! client here always uses UTC. Values come in the binary form of their type: those of
//! types that are not read here are asked for as texts, and times beyond the calendar
//! (`infinity`) as the last or the first one that can be read.

use sqlx::PgConnection;

use super::sizes::SizeCondition;
use crate::session::NaiveTimes;

/// The catalogue's own spelling of each type, which is safe in a statement; without
/// lengths, to which a value would be cut. Then the same of the type that a domain is over.
const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, -1), \
        format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), -1) \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY a.attnum";

/// The zone that the database gives the connections of the table's owner, which is the
/// app's user: that of the role, else of the database, else of the server. The last cannot
/// be asked for; initdb writes the same one as `log_timezone`.
const ZONE: &str = "SELECT coalesce( \
    (SELECT substr(s.setting, 10) \
     FROM pg_catalog.pg_db_role_setting d CROSS JOIN LATERAL unnest(d.setconfig) AS s(setting) \
     WHERE lower(s.setting) LIKE 'timezone=%' \
       AND d.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) \
       AND d.setrole IN (0, (SELECT relowner FROM pg_catalog.pg_class WHERE oid = to_regclass($1))) \
     ORDER BY d.setrole = 0, d.setdatabase = 0 LIMIT 1), \
    current_setting('log_timezone'))";

/// Fails if the zone does not exist.
const IS_ZONE: &str = "SELECT (now() AT TIME ZONE $1) IS NOT NULL";

/// The beginnings of types whose values are small.
const SMALL: [&str; 17] = [
    "bigint",
    "bit",
    "boolean",
    "cidr",
    "date",
    "double precision",
    "inet",
    "integer",
    "interval",
    "macaddr",
    "money",
    "name",
    "numeric",
    "real",
    "smallint",
    "time",
    "uuid",
];

/// The type whose values have no zone.
const NAIVE: &str = "timestamp without time zone";
/// Its values are instants.
const INSTANT: &str = "timestamp with time zone";
/// Other types whose binary form is read here.
const READ: [&str; 12] = [
    "bigint",
    "boolean",
    "bytea",
    "character",
    "character varying",
    "double precision",
    "integer",
    "json",
    "jsonb",
    "smallint",
    "text",
    "uuid",
];

/// The first and the last time asked for: the client's calendar ends with the year 9999,
/// PostgreSQL's far later, and it has `infinity`.
const TIMES: [&str; 2] = ["0001-01-02", "9999-12-30"];

struct Column {
    /// As in a statement.
    quoted: String,
    name: String,
    kind: String,
    /// The type of its values: that which a domain is over.
    base: String,
}

/// A table as it was when it was first asked.
pub(in crate::identify::store) struct KnownTable {
    columns: Vec<Column>,
    /// The zone of naive times, if it is not UTC.
    zone: Option<String>,
}

impl KnownTable {
    /// `table` is quoted as in a statement.
    pub(super) async fn read(
        connection: &mut PgConnection,
        table: &str,
        times: &NaiveTimes,
    ) -> Result<Self, sqlx::Error> {
        let columns: Vec<(String, String, String)> =
            sqlx::query_as(COLUMNS).bind(table).fetch_all(&mut *connection).await?;
        let columns: Vec<Column> = columns.into_iter().map(Column::new).collect();
        let is_naive = columns.iter().any(|column| column.base == NAIVE);
        let zone = match times {
            NaiveTimes::OfDatabase if is_naive => {
                let zone: (String,) =
                    sqlx::query_as(ZONE).bind(table).fetch_one(&mut *connection).await?;
                Some(zone.0)
            }
            NaiveTimes::Zone(zone) if is_naive => Some(zone.clone()),
            NaiveTimes::OfDatabase | NaiveTimes::Utc | NaiveTimes::Zone(_) => None,
        };
        let zone =
            zone.map(|zone| zone.trim_matches(['\'', '"']).to_owned()).filter(|it| !is_utc(it));
        if let Some(zone) = &zone {
            let _: (bool,) = sqlx::query_as(IS_ZONE).bind(zone).fetch_one(connection).await?;
        }
        Ok(Self { columns, zone })
    }

    pub(super) fn is_missing(&self) -> bool {
        self.columns.is_empty()
    }

    /// The condition that a row is small enough to read.
    pub(super) fn sizes(&self) -> SizeCondition {
        SizeCondition::new(self.columns.iter().filter_map(|Column { quoted, base, .. }| {
            match base.as_str() {
                "bytea" | "character" | "character varying" | "text" => {
                    Some(format!("octet_length({quoted})"))
                }
                base if is_small(base) => None,
                _ => Some(format!("octet_length({quoted}::text)")),
            }
        }))
    }

    /// The parameter of a number, as the column's type.
    pub(super) fn parameter(&self, number: usize, name: &str) -> String {
        let column = self.columns.iter().find(|column| column.name == name);
        column.map_or_else(
            || format!("${number}"),
            |Column { kind, .. }| format!("CAST(${number} AS {kind})"),
        )
    }

    /// The selection: everything, in forms that are read here.
    pub(super) fn selection(&self) -> String {
        let zone = self.zone.as_deref();
        self.columns.iter().map(|column| column.selected(zone)).collect::<Vec<_>>().join(", ")
    }
}

impl Column {
    fn new((name, kind, base): (String, String, String)) -> Self {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        Self { quoted, name, kind, base }
    }

    /// `zone` is that of times without one, if it is not UTC.
    fn selected(&self, zone: Option<&str>) -> String {
        let Self { quoted, base, .. } = self;
        match base.as_str() {
            NAIVE => {
                let time = zone.map_or_else(
                    || quoted.clone(),
                    |zone| format!("({quoted} AT TIME ZONE '{}')", zone.replace('\'', "''")),
                );
                format!("{} AS {quoted}", within_calendar(&time))
            }
            INSTANT => format!("{} AS {quoted}", within_calendar(quoted)),
            base if READ.contains(&base) => quoted.clone(),
            _ => format!("{quoted}::text AS {quoted}"),
        }
    }
}

/// A time that the client can read; null stays null.
fn within_calendar(time: &str) -> String {
    let [first, last] = TIMES;
    format!(
        "CASE WHEN {time} > '{last}' THEN '{last}' WHEN {time} < '{first}' THEN '{first}' ELSE {time} END"
    )
}

fn is_small(kind: &str) -> bool {
    !kind.ends_with("[]") && SMALL.iter().any(|small| kind.starts_with(small))
}

fn is_utc(zone: &str) -> bool {
    ["utc", "etc/utc", "gmt", "etc/gmt", "zulu", "uct", "etc/uct", "universal"]
        .contains(&zone.to_ascii_lowercase().as_str())
}
