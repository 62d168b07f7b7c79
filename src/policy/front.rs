//! `[auth]`, as far as it is about requests: the proxy in front of the app that asks here
//! about each of them.

use crate::document::Table;
use crate::edge::Trusted;
use crate::upstream::Prefixes;

/// The proxy that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Front {
    /// Addresses that may ask about a request and are believed.
    pub(crate) trusted: Trusted,
    /// Prefixes the app behind that proxy puts in front of its pages' paths.
    pub(crate) prefixes: Prefixes,
}

impl Front {
    pub(crate) fn from_table(table: &mut Table<'_>) -> Self {
        let trusted = table.get("trusted").unwrap_or_else(Trusted::this_machine);
        Self { trusted, prefixes: Prefixes::from_table(table) }
    }
}
