//! Sessions that live in the app's own store: the question, and the answer.
//!
//! Nothing here fetches. A format verifies the cookie, checks the id's letters
//! and length, and asks a `Question`; `identify::store` answers it, and the format
//! judges the answer. Ids reach a query only as key or parameter.

use std::borrow::Cow;

use serde_json::Value;

use super::codec::{bytes, time};
use crate::document::shown;
use crate::session::identity::{Identity, OpenedSession};
use crate::session::rejected::{Reason, Rejected};

/// The outcome of looking at cookies: the user is known, or the store must be
/// asked first.
pub enum Check<T = Identity> {
    Ask(Question),
    Known(T),
}

/// A record to fetch before a session can be judged.
#[derive(Clone, Debug)]
pub struct Question {
    pub query: Query,
    /// The content of an earlier answer, for formats that ask twice.
    pub(super) carried: Value,
    /// The rules' verdict on an earlier row.
    pub(super) span: Option<RowSpan>,
    /// The store to ask.
    pub(super) rank: StoreRank,
    /// The question for the fallback, should this store not have the session.
    pub(super) fallback: Option<Box<Self>>,
}

/// The rules' verdict on a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowSpan {
    /// The time at which the session began, if a column tells it.
    pub began: Option<u64>,
    pub ends: Option<u64>,
}

/// One of a source's two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreRank {
    /// `[session.store.fallback]`.
    Fallback,
    /// `[session.store]`.
    First,
}

impl StoreRank {
    /// The place among a source's stores.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Fallback => 1,
        }
    }

    pub const fn table(self) -> &'static str {
        match self {
            Self::Fallback => "[session.store.fallback]",
            Self::First => "[session.store]",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The app's answer (200, JSON) to this request's cookies; any other status is a
    /// miss.
    App { url: String },
    /// The content of the file of this name in the store's folder, and when it
    /// was last modified. The name has letters, digits, `-` and `_` only.
    File { name: String },
    /// A public key at its own address, published for anyone.
    Key { url: String },
    /// The string under this key, and how long it still lives.
    Redis { key: String },
    /// The fields of the hash under this key, and how long it still lives.
    RedisHash { key: String },
    /// The one row in which every column has its value. Names are identifiers
    /// from the settings.
    Row { table: String, matching: Vec<(String, Cell)> },
}

/// The content of the store. `None` in place of an answer is a miss.
#[derive(Clone, Debug)]
pub enum StoreAnswer {
    App {
        body: Vec<u8>,
    },
    File {
        content: Vec<u8>,
        modified: u64,
    },
    Key {
        document: Vec<u8>,
    },
    Redis {
        value: Vec<u8>,
        seconds_left: Option<u64>,
    },
    RedisHash {
        fields: Fields,
        seconds_left: Option<u64>,
    },
    Row(Row),
    /// The session is there and was not read: no app keeps one of this size.
    TooLarge,
    /// The key is there, but Redis holds another type under it.
    WrongType,
}

/// Most columns named in a message.
const MAX_NAMES: usize = 12;

/// The fields of a hash, name and value.
#[derive(Clone, Debug, Default)]
pub struct Fields(pub Vec<(Vec<u8>, Vec<u8>)>);

/// The columns of a row by name.
#[derive(Clone, Debug, Default)]
pub struct Row(pub Vec<(String, Cell)>);

/// One column's value. Times are Unix seconds, or text as the database prints
/// it (UTC unless it says otherwise).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Bytes(Vec<u8>),
    Integer(i64),
    Null,
    Text(String),
    Time(u64),
}

/// The engine that keeps the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    File,
    Redis,
    Sql,
}

impl Engine {
    pub(super) const ALL: [Self; 3] = [Self::File, Self::Redis, Self::Sql];

    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Redis => "redis",
            Self::Sql => "sql",
        }
    }
}

impl Question {
    pub(super) fn new(query: Query) -> Self {
        Self { query, carried: Value::Null, span: None, rank: StoreRank::First, fallback: None }
    }

    /// The store it is for.
    pub fn rank(&self) -> StoreRank {
        self.rank
    }

    /// Whether it asks for the session itself, and not for what belongs to one.
    pub fn is_first(&self) -> bool {
        self.span.is_none() && !self.carried.is_object()
    }

    pub(super) fn redis<T>(prefix: &str, id: &str) -> Check<T> {
        Check::Ask(Self::new(Query::Redis { key: format!("{prefix}{id}") }))
    }

    pub(super) fn row<T>(table: &str, matching: &[(&str, Cell)]) -> Check<T> {
        let matching =
            matching.iter().map(|(column, cell)| ((*column).to_owned(), cell.clone())).collect();
        Check::Ask(Self::new(Query::Row { table: table.to_owned(), matching }))
    }
}

impl OpenedSession {
    /// The same, with an end that the app's own rules set.
    pub(super) fn ending(self, ends: Option<u64>) -> Self {
        let expires_at = self.expires_at.into_iter().chain(ends).min();
        Self { expires_at, ..self }
    }
}

impl<T> Check<T> {
    /// The same question, with something to remember for its answer.
    pub(super) fn carrying(self, carried: Value) -> Self {
        match self {
            Self::Ask(question) => Self::Ask(Question { carried, ..question }),
            Self::Known(_) => self,
        }
    }
}

impl StoreAnswer {
    /// Bytes of the answer: one larger than any session is not read.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::App { body } => body.len(),
            Self::File { content, .. } => content.len(),
            Self::Key { document } => document.len(),
            Self::Redis { value, .. } => value.len(),
            Self::RedisHash { fields, .. } => {
                fields.0.iter().map(|(name, value)| name.len() + value.len()).sum()
            }
            Self::Row(row) => row.0.iter().map(|(_, cell)| cell.size()).sum(),
            Self::TooLarge => usize::MAX,
            Self::WrongType => 0,
        }
    }

    pub(super) fn redis(self, now: u64) -> Result<(Vec<u8>, Option<u64>), Rejected> {
        match self {
            Self::Redis { value, seconds_left } => {
                Ok((value, seconds_left.map(|left| now.saturating_add(left))))
            }
            Self::App { .. }
            | Self::File { .. }
            | Self::Key { .. }
            | Self::RedisHash { .. }
            | Self::Row(_)
            | Self::TooLarge
            | Self::WrongType => Err(mismatch()),
        }
    }

    pub(super) fn redis_hash(self, now: u64) -> Result<(Fields, Option<u64>), Rejected> {
        match self {
            Self::RedisHash { fields, seconds_left } => {
                Ok((fields, seconds_left.map(|left| now.saturating_add(left))))
            }
            Self::App { .. }
            | Self::File { .. }
            | Self::Key { .. }
            | Self::Redis { .. }
            | Self::Row(_)
            | Self::TooLarge
            | Self::WrongType => Err(mismatch()),
        }
    }

    pub(super) fn row(self) -> Result<Row, Rejected> {
        match self {
            Self::Row(row) => Ok(row),
            Self::App { .. }
            | Self::File { .. }
            | Self::Key { .. }
            | Self::Redis { .. }
            | Self::RedisHash { .. }
            | Self::TooLarge
            | Self::WrongType => Err(mismatch()),
        }
    }
}

/// The refusal of a format without a store, should one answer.
pub(super) fn not_asked() -> Rejected {
    Rejected::new(Reason::Unavailable, "this source has no store to ask")
}

pub(super) fn mismatch() -> Rejected {
    Rejected::new(Reason::Unavailable, "the answer is not from the store that was asked")
}

impl Row {
    pub(super) fn get(&self, column: &str) -> Result<&Cell, Rejected> {
        let cell = self.0.iter().find(|(name, _)| name == column).map(|(_, cell)| cell);
        cell.ok_or_else(|| {
            let names: Vec<_> =
                self.0.iter().take(MAX_NAMES).map(|(name, _)| shown(name)).collect();
            let names = names.join(", ");
            Rejected::malformed(format!("the row has no column `{column}`; it has {names}"))
        })
    }

    /// The time in a column that must hold one.
    pub(super) fn time(&self, column: &str) -> Result<u64, Rejected> {
        let cell = self.get(column)?;
        cell.time().ok_or_else(|| {
            let why = if *cell == Cell::Null { " in this row" } else { "; name the one that does" };
            Rejected::malformed(format!("column `{column}` does not hold a time{why}"))
        })
    }

    /// The row as a session: columns by name.
    pub(super) fn into_session(self) -> Value {
        let members = self.0.into_iter().map(|(column, cell)| (column, cell.into_json()));
        Value::Object(members.collect())
    }
}

impl Cell {
    fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
            Self::Integer(_) | Self::Null | Self::Time(_) => 8,
        }
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Text(text) => Some(text.as_bytes()),
            Self::Integer(_) | Self::Null | Self::Time(_) => None,
        }
    }

    /// The value in words.
    pub(super) fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Null => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Time(seconds) => Cow::Owned(seconds.to_string()),
        }
    }

    /// Null, 0, false, an empty text, or the date of MySQL that stands for none.
    pub(super) fn is_nothing(&self) -> bool {
        let text = self.as_text();
        ["", "f", "false"].contains(&&*text)
            || text.starts_with("0000-00-00")
            || text.parse::<f64>() == Ok(0.0)
    }

    /// Unix seconds. Integers too large for seconds are JavaScript's
    /// milliseconds.
    pub(super) fn time(&self) -> Option<u64> {
        match self {
            Self::Time(seconds) => Some(*seconds),
            Self::Integer(number) => Some(time::from_number(u64::try_from(*number).ok()?)),
            Self::Text(text) => time::from_text(text),
            Self::Bytes(_) | Self::Null => None,
        }
    }

    fn into_json(self) -> Value {
        match self {
            Self::Bytes(bytes) => bytes::column(&bytes),
            Self::Integer(number) => Value::from(number),
            Self::Null => Value::Null,
            Self::Text(text) => Value::String(text),
            Self::Time(seconds) => Value::from(seconds),
        }
    }
}

/// Refuses a text no framework uses as a session id, because the id becomes a key
/// or a parameter. A shorter one could be guessed.
pub(super) fn check_id(id: &str) -> Result<(), Rejected> {
    const SHORTEST: usize = 8;
    if id.len() < SHORTEST {
        return Err(Rejected::malformed("the session id is shorter than any framework's"));
    }
    check_signed_id(id)
}

/// As `check_id`, for an unsigned id that becomes part of a key in Redis, where other
/// things have keys too: `more` are the characters some framework's ids have beside
/// letters, digits, `-` and `_`.
pub(super) fn check_key_id(id: &str, more: &str) -> Result<(), Rejected> {
    check_id(id)?;
    if id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c) || more.contains(c)) {
        return Ok(());
    }
    Err(Rejected::malformed(
        "the session id has characters other than letters, digits, `-` and `_`",
    ))
}

/// As `check_id`, for an id the app has signed: it may be as short as the app
/// likes.
pub(super) fn check_signed_id(id: &str) -> Result<(), Rejected> {
    const LENGTH: std::ops::RangeInclusive<usize> = 1..=256;
    if LENGTH.contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Rejected::malformed("the session id has a length or characters no framework uses"))
}

/// As `check_id`, for frameworks whose ids are letters and digits.
pub(super) fn check_plain_id(id: &str) -> Result<(), Rejected> {
    check_id(id)?;
    if id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Rejected::malformed("the session id has characters other than letters and digits"))
}
