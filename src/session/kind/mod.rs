//! The session formats, one file each.
//!
//! A format is found by its name in `KINDS`; a new one is a file and a row. They
//! stand behind a trait, not in an enum: nothing outside ever asks which one it
//! is, and twenty-three arms in every method would say nothing.

mod authjs;
mod jwt;
mod next_auth;

use super::codec::keys::RemoteKeys;
use super::jar::Jar;
use super::settings::Settings;
use super::{Cookies, Opened, Rejected};
use crate::document::Table;

/// One compiled format: keys and rules, no state.
pub(crate) trait Format: Send + Sync {
    /// Finds the cookie, verifies it and reads it.
    fn open(&self, cookies: Cookies<'_>, now: u64) -> Result<Opened, Rejected>;

    fn jar(&self) -> &Jar;

    /// Where sessions of this kind keep the user's id, if they agree on a place.
    fn user_id(&self) -> Option<&'static str>;

    /// Whether a cookie of this name can change what `open` returns.
    fn looks_at(&self, name: &[u8]) -> bool {
        self.jar().looks_at(name)
    }

    fn remote_keys(&self) -> Option<&RemoteKeys> {
        None
    }
}

/// What a kind file hands over: the compiled format, or `None` with problems
/// noted.
type Read = fn(&mut Settings<'_, '_>) -> Option<Box<dyn Format>>;

pub(crate) struct Kind {
    pub name: &'static str,
    pub read: Read,
}

const KINDS: &[Kind] = &[
    Kind { name: "authjs", read: authjs::read },
    Kind { name: "jwt", read: jwt::read },
    Kind { name: "next-auth", read: next_auth::read },
];

/// The kind a table names, or a problem that lists them all.
pub(crate) fn read(table: &mut Table<'_>) -> Option<&'static Kind> {
    let at = table.take_needed("kind", "the name of the app's session format")?;
    let name = at.text("the name of a session format")?;
    let kind = KINDS.iter().find(|kind| kind.name == name);
    if kind.is_none() {
        let all: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        at.wrong(&crate::document::one_of(name, &all));
    }
    kind
}

#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}
