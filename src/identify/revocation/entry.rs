//! One revocation as a line of text: for the file, and for the process
//! that takes over. Pure.
//!
//! A line holds digests and times, never a cookie or a user id. Each of its parts has a
//! fixed form, so that a line cut short by a crash can be told from a whole one.

use std::collections::HashMap;

use crate::base::digest::Digest;
use crate::base::text::{from_hex, hex};

/// Browsers keep no cookie longer than 400 days.
pub(super) const KEPT_MS: u64 = 400 * 24 * 3600 * 1000;

/// The kind of entry: revoked, signed out, taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The app has signed the session's user in again.
    SessionReadmitted,
    /// By the operator.
    SessionRevoked,
    /// By the app.
    SessionSignedOut,
    /// The app has begun this session since its user was revoked.
    SignedIn,
    UserPardoned,
    UserRevoked,
}

/// The things that a mark names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Table {
    Revoked,
    SignIn,
    SignedOut,
    User,
}

/// One event about one session or user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub what: What,
    pub mark: Digest,
    /// In milliseconds since the epoch.
    pub at_ms: u64,
}

impl What {
    const ALL: [(Self, &'static str); 6] = [
        (Self::SessionReadmitted, "readmitted"),
        (Self::SessionRevoked, "revoked"),
        (Self::SessionSignedOut, "signed-out"),
        (Self::SignedIn, "signed-in"),
        (Self::UserPardoned, "user-pardoned"),
        (Self::UserRevoked, "user-revoked"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(what, _)| *what == self).map_or("", |(_, word)| word)
    }

    fn table(self) -> Table {
        match self {
            Self::SessionReadmitted | Self::SessionSignedOut => Table::SignedOut,
            Self::SessionRevoked => Table::Revoked,
            Self::SignedIn => Table::SignIn,
            Self::UserPardoned | Self::UserRevoked => Table::User,
        }
    }

    /// Whether it withdraws an earlier entry.
    pub(super) fn lifts(self) -> bool {
        match self {
            Self::SessionReadmitted | Self::UserPardoned => true,
            Self::SessionRevoked | Self::SessionSignedOut | Self::SignedIn | Self::UserRevoked => {
                false
            }
        }
    }
}

impl Entry {
    /// As a line, without its end.
    pub fn line(&self) -> String {
        format!("{} {} {:013}", self.what.word(), hex(self.mark.bytes()), self.at_ms)
    }

    /// Reads a line; `None` if it is not complete.
    pub fn read(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let word = parts.next()?;
        let (what, _) = What::ALL.into_iter().find(|(_, known)| *known == word)?;
        let mark = Digest::from_bytes(&from_hex(parts.next()?.as_bytes())?)?;
        let at_ms = parts.next().filter(|at| at.len() == 13)?.parse().ok()?;
        parts.next().is_none().then_some(Self { what, mark, at_ms })
    }
}

/// Compacts many entries: keeps the latest word on each session and user, unless it is
/// too old or takes back an earlier one; of each table the newest `most`.
#[derive(Default)]
pub(super) struct Fold(HashMap<(Table, Digest), Entry>);

impl Fold {
    pub(super) fn add(&mut self, entry: Entry) {
        let latest = self.0.entry((entry.what.table(), entry.mark)).or_insert(entry);
        // As `Tables`: of the same time, the revocation.
        let rank = |entry: &Entry| (entry.at_ms, !entry.what.lifts());
        if rank(&entry) > rank(latest) {
            *latest = entry;
        }
    }

    /// In the order of their times.
    pub(super) fn left(self, now_ms: u64, most: usize) -> Vec<Entry> {
        let is_left =
            |entry: &Entry| !entry.what.lifts() && entry.at_ms.saturating_add(KEPT_MS) > now_ms;
        let mut left: Vec<Entry> = self.0.into_values().filter(is_left).collect();
        left.sort_by_key(|entry| std::cmp::Reverse(entry.at_ms));
        let mut count: HashMap<Table, usize> = HashMap::new();
        left.retain(|entry| {
            let count = count.entry(entry.what.table()).or_default();
            *count += 1;
            *count <= most
        });
        left.reverse();
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(what: What, name: &str, at_ms: u64) -> Entry {
        Entry { what, mark: Digest::new(name.as_bytes()), at_ms }
    }

    #[test]
    fn a_line_is_read_back_and_no_beginning_of_it_is() {
        for (what, _) in What::ALL {
            let entry = entry(what, "a", 1_790_000_000_123);
            let line = entry.line();
            assert_eq!(Entry::read(&line), Some(entry));
            for end in 0..line.len() {
                let part = line.get(..end).unwrap();
                assert_eq!(Entry::read(part), None, "{part}");
            }
            for also in [format!("{line} x"), format!("{line} "), format!(" {line}")] {
                assert_eq!(Entry::read(&also), None, "{also}");
            }
        }
    }

    #[test]
    fn the_last_entry_for_each_is_left() {
        let mut fold = Fold::default();
        for entry in [
            entry(What::SessionSignedOut, "a", 1),
            entry(What::SessionReadmitted, "a", 2),
            entry(What::SessionSignedOut, "b", 3),
            entry(What::SessionRevoked, "c", 4),
            entry(What::SessionReadmitted, "c", 5),
            entry(What::UserRevoked, "u", 6),
            entry(What::UserPardoned, "u", 7),
            entry(What::UserRevoked, "v", 8),
            entry(What::UserRevoked, "c", 9),
        ] {
            fold.add(entry);
        }
        let left: Vec<_> = fold.left(10, 9).iter().map(|entry| (entry.what, entry.at_ms)).collect();
        let expected = [
            (What::SessionSignedOut, 3),
            (What::SessionRevoked, 4),
            (What::UserRevoked, 8),
            (What::UserRevoked, 9),
        ];
        assert_eq!(left, expected);
    }

    #[test]
    fn old_entries_go_and_each_table_has_its_own_bound() {
        let mut fold = Fold::default();
        for at in 1..=5 {
            fold.add(entry(What::SessionSignedOut, &at.to_string(), at));
        }
        fold.add(entry(What::UserRevoked, "u", 1));
        fold.add(entry(What::SessionRevoked, "5", 2));
        let left = fold.left(KEPT_MS + 1, 2);
        let left: Vec<_> = left.iter().map(|entry| (entry.what, entry.at_ms)).collect();
        let signed_out = [(What::SessionSignedOut, 4), (What::SessionSignedOut, 5)];
        assert_eq!(left, [&[(What::SessionRevoked, 2)], &signed_out[..]].concat());
    }
}
