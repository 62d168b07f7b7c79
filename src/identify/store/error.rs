//! Why a store does not answer.
//!
//! Settings hold addresses with passwords, and databases repeat ids in their messages: an
//! error says only what kind of thing went wrong. Tables and columns are those that the
//! settings name.

use std::fmt;

use crate::base::store_url::BadStoreUrl;
use crate::session::StoreSettings;

/// Largest session read, in bytes; the verifier refuses one of this size.
pub(super) const MAX_SESSION: usize = 1024 * 1024 + 1;

/// The reason a store gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The address cannot be used at all, with the reason.
    BadAddress(BadStoreUrl),
    /// The store answered with an error: its own code, never its message.
    Failed(String),
    /// A table lacks one of these columns.
    NoColumn(Vec<NamedColumn>),
    /// The user of Redis may not run these commands, or not on these keys.
    NoCommands(&'static str),
    /// The server has no database of that name.
    NoDatabase,
    /// The user may not read the database, or this table in it.
    NoRights(Option<NamedColumn>),
    /// The database lacks this table.
    NoTable(Option<NamedColumn>),
    /// The store refuses the user or password.
    NotAllowed,
    TimedOut,
    Unreachable,
    /// The server or its certificate is not what the address says.
    Unusable(String),
}

/// A table or column, and the setting that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedColumn {
    key: &'static str,
    name: String,
}

impl NamedColumn {
    pub(super) fn table(store: &StoreSettings, name: &str) -> Self {
        Self { key: store.key_of(name).unwrap_or("table"), name: name.to_owned() }
    }

    pub(super) fn column(store: &StoreSettings, name: &str) -> Self {
        Self { key: store.key_of(name).unwrap_or("id_column"), name: name.to_owned() }
    }
}

impl StoreError {
    /// The same, with the table and the columns that the question was about.
    pub(super) fn about<'n>(
        self,
        store: &StoreSettings,
        table: &str,
        columns: impl Iterator<Item = &'n str>,
    ) -> Self {
        match self {
            Self::NoColumn(named) if named.is_empty() => {
                Self::NoColumn(columns.map(|name| NamedColumn::column(store, name)).collect())
            }
            Self::NoRights(None) => Self::NoRights(Some(NamedColumn::table(store, table))),
            Self::NoTable(None) => Self::NoTable(Some(NamedColumn::table(store, table))),
            other => other,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAddress(why) => why.fmt(f),
            Self::Failed(code) => write!(f, "the store answered with error {code}"),
            Self::NoColumn(columns) => no_column(f, columns),
            Self::NoCommands(rights) => write!(
                f,
                "the user in `url` may not read sessions; grant it {rights}, and the keys by `~` \
                 and the prefix"
            ),
            Self::NoDatabase => f.write_str(
                "the server has no database with the name in `url`; write the app's database after \
                 the last `/` of the address",
            ),
            Self::NoRights(Some(NamedColumn { name, .. })) => write!(
                f,
                "the user in `url` may not read table `{name}`; let the table's owner grant it: \
                 GRANT SELECT ON {name} TO that user"
            ),
            Self::NoRights(None) => f.write_str(
                "the user in `url` may not use the database named there; write the app's own \
                 database, or grant it to the user",
            ),
            Self::NoTable(Some(NamedColumn { key, name })) => write!(
                f,
                "the database has no table `{name}`; write the app's name for it as `{key}` in \
                 [session.store], with its schema if it has one, such as {key} = \"auth.sessions\""
            ),
            Self::NoTable(None) => {
                f.write_str("the database lacks a table that [session.store] names")
            }
            Self::NotAllowed => f.write_str("the store does not accept the user or password"),
            Self::TimedOut => f.write_str("the store did not answer in time"),
            Self::Unreachable => f.write_str("cannot connect to the store"),
            Self::Unusable(why) => write!(f, "the store cannot be used: {why}"),
        }
    }
}

fn no_column(f: &mut fmt::Formatter<'_>, columns: &[NamedColumn]) -> fmt::Result {
    let listed = |part: fn(&NamedColumn) -> &str| {
        let parts: Vec<_> = columns.iter().map(|it| format!("`{}`", part(it))).collect();
        parts.join(" or ")
    };
    if columns.is_empty() {
        return f.write_str("a table lacks a column that [session.store] names");
    }
    let (names, keys) = (listed(|it| &it.name), listed(|it| it.key));
    write!(
        f,
        "the table has no column {names}; write the app's name for it as {keys} in \
         [session.store]"
    )
}

impl std::error::Error for StoreError {}

impl From<BadStoreUrl> for StoreError {
    fn from(bad: BadStoreUrl) -> Self {
        Self::BadAddress(bad)
    }
}
