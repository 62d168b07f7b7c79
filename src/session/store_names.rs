//! The tables and columns that a kind reads in a database, by the settings that name them:
//! for a note on what else a row says, and for a message on what is not there.

/// Settings of `[session.store]`, and the names they give.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreNames {
    /// An empty name is that of a column which the settings may name and do not.
    named: Vec<(&'static str, String)>,
}

/// Settings that name a time at which a session ends, or from which its end is counted.
const ENDS: [&str; 4] =
    ["activity_column", "expires_column", "expires_spelling", "inserted_column"];

/// A table, and what is read of it.
pub(crate) struct TableNames<'n> {
    pub table: &'n str,
    /// The column that finds a row.
    pub id: &'n str,
    pub columns: Vec<&'n str>,
}

impl StoreNames {
    pub(super) fn add(&mut self, key: &'static str, name: &str) {
        self.named.push((key, name.to_owned()));
    }

    /// Whether the kind has a setting of this name.
    pub(super) fn has(&self, key: &str) -> bool {
        self.named.iter().any(|(own, _)| *own == key)
    }

    /// The kind has this setting, but does not read the column it names.
    pub(super) fn forget(&mut self, key: &str) {
        self.named.retain(|(own, _)| *own != key);
    }

    pub(super) fn reads(&self, column: &str) -> bool {
        self.named.iter().any(|(_, name)| name == column)
    }

    /// Whether some column tells when a session ends.
    pub(super) fn tell_an_end(&self) -> bool {
        let mut named = self.named.iter().filter(|(_, name)| !name.is_empty());
        named.any(|(key, _)| ENDS.contains(key))
    }

    /// The setting that gives this name.
    pub(super) fn key_of(&self, name: &str) -> Option<&'static str> {
        self.named.iter().find(|(_, own)| own == name).map(|(key, _)| *key)
    }

    /// The tables; a second one is that of the users.
    pub(super) fn tables(&self) -> Vec<TableNames<'_>> {
        let users = |key: &str| key.starts_with("user_id_");
        let of = |key: &'static str, is_own: &dyn Fn(&str) -> bool| {
            let table = self.named.iter().find(|(own, _)| *own == key)?;
            let columns: Vec<_> = self
                .named
                .iter()
                .filter(|(key, name)| key.ends_with("_column") && is_own(key) && !name.is_empty())
                .collect();
            let id = columns
                .iter()
                .find(|(key, _)| ["id_column", "token_column", "user_id_column"].contains(key))?;
            let columns = columns.iter().map(|(_, name)| name.as_str()).collect();
            Some(TableNames { table: &table.1, id: &id.1, columns })
        };
        let all = [of("table", &|key| !users(key)), of("user_table", &users)];
        all.into_iter().flatten().collect()
    }
}
