//! Notes on an accepted session, for `portcullis session`: what its row says of an end, or
//! of a sign-out, and no setting reads.
//!
//! Apps keep rows after a sign-out and after their end, and name the columns that tell as
//! they like; a name is only guessed at here. Notes hold names, never values.

use serde_json::Value;

use super::codec::time_value;
use super::identity::Identity;
use super::rejected::{Reason, Rejected};
use super::store::{Cell, Row};
use super::store_settings::StoreSettings;
use crate::base::text;

/// Times before this one stand for "never": rows hold 0, or a number of seconds.
const EARLIEST_END: u64 = 366 * 86400;
/// The rest would be guesses.
const MAX_NOTES: usize = 6;

/// Beginnings of names that say a session is over.
const OVER: [&str; 8] = [
    "destroyed",
    "invalidated",
    "loggedout",
    "loggedoff",
    "logout",
    "revoked",
    "signedout",
    "signout",
];
/// The same, alone or with a word for a time or a person behind.
const ENDED: [&str; 13] = [
    "blacklisted",
    "blocked",
    "cancelled",
    "canceled",
    "closed",
    "deactivated",
    "deleted",
    "disabled",
    "ended",
    "inactive",
    "invalid",
    "removed",
    "terminated",
];
const TIME_WORDS: [&str; 7] = ["", "at", "on", "date", "time", "timestamp", "by"];
/// Names that say the opposite.
const HOLDS: [&str; 5] = ["active", "alive", "enabled", "live", "valid"];
/// Names of the time at which a session ends.
const END: [&str; 17] = [
    "expiration",
    "expirationdate",
    "expirationtime",
    "expire",
    "expireat",
    "expiredate",
    "expiredat",
    "expires",
    "expiresat",
    "expiresatutc",
    "expiresdate",
    "expireson",
    "expiretime",
    "expiry",
    "expirydate",
    "expirytime",
    "validuntil",
];
/// Names of the time at which it began, and of its last use.
const BEGAN: [&str; 8] = [
    "createdat",
    "created",
    "createdon",
    "creationtime",
    "datecreated",
    "insertedat",
    "issuedat",
    "loggedinat",
];
const USED: [&str; 11] = [
    "accessedat",
    "lastaccess",
    "lastaccessed",
    "lastaccessedat",
    "lastactive",
    "lastactiveat",
    "lastactivity",
    "lastactivityat",
    "lastseenat",
    "lastusedat",
    "timestamp",
];

/// The meaning of a column, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    Began,
    End,
    Holds,
    Over,
    Used,
}

impl Sense {
    fn of(column: &str) -> Option<Self> {
        if !column.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return None;
        }
        let name = plain(column);
        let name = name.as_str();
        let state = name.strip_prefix("is").unwrap_or(name);
        let is_ended =
            |stem: &&str| state.strip_prefix(*stem).is_some_and(|rest| TIME_WORDS.contains(&rest));
        let is_over = OVER.iter().any(|stem| state.starts_with(stem))
            || ENDED.iter().any(is_ended)
            || state == "expired";
        if is_over {
            Some(Self::Over)
        } else if HOLDS.contains(&state) {
            Some(Self::Holds)
        } else if END.contains(&name) {
            Some(Self::End)
        } else if BEGAN.contains(&name) {
            Some(Self::Began)
        } else {
            USED.contains(&name).then_some(Self::Used)
        }
    }
}

/// The letters of a name, small.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Refuses a row whose own end lies in the past and is read by no setting.
pub(super) fn check_unread_end(store: &StoreSettings, row: &Row, now: u64) -> Result<(), Rejected> {
    for (column, cell) in &row.0 {
        if !is_name_of_end(column) || store.reads(column) {
            continue;
        }
        let Some(end) = cell.time().filter(|&end| is_over(end, now)) else { continue };
        let ago = text::span(now - end);
        let cure = end_cure(store, column);
        let detail = format!(
            "expired {ago} ago by column `{column}` of the row, which no setting reads; write \
             {cure}, or require = {{ {column} = true }} in [session.store] if it is not the end \
             of the session"
        );
        return Err(Rejected { ended: Some(end), ..Rejected::new(Reason::Expired, detail) });
    }
    Ok(())
}

fn is_over(end: u64, now: u64) -> bool {
    (EARLIEST_END..=now).contains(&end)
}

/// As `Sense::of(name) == Some(Sense::End)`, without allocating: requests ask it.
fn is_name_of_end(name: &str) -> bool {
    let letters =
        || name.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    END.iter().any(|end| letters().eq(end.bytes()))
}

/// The setting that reads a column as the end.
fn end_cure(store: &StoreSettings, column: &str) -> String {
    if store.names.has("expires_column") {
        format!("expires_column = {column:?} in [session.store]")
    } else {
        format!("expires_at = \"/{column}\" in [session]")
    }
}

/// Ends in an accepted session that no setting names yet. `has_ends` tells whether the
/// session has rules on its end, `row` is what the store answered.
pub(super) fn notes(
    identity: &Identity,
    has_ends: bool,
    row: Option<(&StoreSettings, &Row)>,
    now: u64,
) -> Vec<String> {
    let mut notes = rests(&identity.session()).filter(|_| !has_ends).into_iter().collect();
    match row {
        Some((store, row)) => {
            let has_end = has_ends || identity.expires_at().is_some();
            Columns { store, row, has_end, now }.note(&mut notes);
        }
        None if !has_ends && identity.expires_at().is_none() => {
            notes.extend(unread_member(&identity.session()));
        }
        None => {}
    }
    notes.truncate(MAX_NOTES);
    notes
}

/// Devise's `:timeoutable` keeps the time in a member of each scope of Warden.
fn rests(session: &Value) -> Option<String> {
    let members = session.as_object().into_iter().flatten();
    let (name, _) = members
        .filter(|(name, _)| name.starts_with("warden.user."))
        .find(|(_, value)| value.get("last_request_at").is_some())?;
    Some(format!(
        "the session holds the time of the last request; if the app ends idle sessions (Devise \
         `timeout_in`), write idle = {{ at = \"/{name}/last_request_at\", limit = \"30m\" }}"
    ))
}

/// A session without an end, which holds the time of one.
fn unread_member(session: &Value) -> Option<String> {
    let mut members = session.as_object().into_iter().flatten();
    let is_end = |name: &str| Sense::of(name) == Some(Sense::End);
    let (name, _) =
        members.find(|(name, value)| is_end(name) && time_value::from_json(value).is_ok())?;
    Some(format!(
        "no setting says when the session ends; if the app uses its member `{name}`, write \
         expires_at = \"/{name}\" in [session]"
    ))
}

/// A row, and what is read of it.
struct Columns<'r> {
    store: &'r StoreSettings,
    row: &'r Row,
    /// The session ends by some setting.
    has_end: bool,
    now: u64,
}

impl Columns<'_> {
    fn note(&self, notes: &mut Vec<String>) {
        let unread = |sense: Sense| {
            let is = move |name: &str| Sense::of(name) == Some(sense) && !self.store.reads(name);
            self.row.0.iter().filter(move |(name, _)| is(name))
        };
        notes.extend(unread(Sense::Over).map(|(name, cell)| over(name, cell)));
        notes.extend(unread(Sense::Holds).map(|(name, cell)| holds(name, cell)));
        let before = notes.len();
        notes.extend(unread(Sense::End).filter_map(|(name, cell)| self.end(name, cell)));
        if self.has_end || notes.len() > before {
            return;
        }
        let times = |sense| unread(sense).find(|(_, cell)| cell.time().is_some());
        notes.extend(times(Sense::Began).map(|(name, _)| {
            format!(
                "no setting says when the session ends; if the app counts from column `{name}`, \
                 write created_column = {name:?} and lifetime = \"14d\", or the app's own, in \
                 [session.store]"
            )
        }));
        notes.extend(times(Sense::Used).map(|(name, _)| {
            format!(
                "if the app ends idle sessions by column `{name}`, write idle_column = {name:?} \
                 and idle = \"30m\", or the app's own, in [session.store]"
            )
        }));
    }

    fn end(&self, name: &str, cell: &Cell) -> Option<String> {
        let end = cell.time()?;
        let cure = end_cure(self.store, name);
        if is_over(end, self.now) {
            let ago = text::span(self.now - end);
            return Some(format!(
                "column `{name}` of the row, which no setting reads, lies {ago} in the past; if \
                 that is the end of the session, write {cure}"
            ));
        }
        (!self.has_end && end >= EARLIEST_END).then(|| {
            format!(
                "no setting reads column `{name}` of the row; if that is the end of the session, \
                 write {cure}"
            )
        })
    }
}

fn over(name: &str, cell: &Cell) -> String {
    let write = format!("require = {{ {name} = false }} in [session.store]");
    if cell.is_nothing() {
        return format!(
            "if the app sets column `{name}` when a user is signed out, and keeps the row, write {write}"
        );
    }
    format!(
        "column `{name}` of the row is set, and no setting reads it; if that means signed out, \
         write {write}"
    )
}

fn holds(name: &str, cell: &Cell) -> String {
    let write = format!("require = {{ {name} = true }} in [session.store]");
    if cell.is_nothing() {
        return format!(
            "column `{name}` of the row is false or empty, and no setting reads it; if that means \
             signed out, write {write}"
        );
    }
    format!("if the app clears column `{name}` when a user is signed out, write {write}")
}
