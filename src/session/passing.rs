//! Which cookies go on to the app once any session is revoked.
//!
//! The app could renew a session that the gateway refuses, and what it sets would
//! count. So the app is to see no session but the one that was judged: of a
//! source's cookies only those go on that its verdict rests on, and none at all if
//! that session is over. Whatever some parser could take for one of them (another
//! letter case, an escaped name, a second cookie of the same name, a chunk without
//! a beginning) is not told apart from it. Other cookies stay as they came.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use memchr::memchr;

use super::{Cookies, Source};
use crate::base::text::percent_decode;

/// The `Cookie` header for the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Passing {
    #[default]
    AsCame,
    Nothing,
    Only(Vec<u8>),
}

/// What one source makes of one part of the header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Its verdict rests on it.
    Kept,
    /// None of its cookies, nor like one.
    None,
    /// Of a session that is over.
    Over,
    /// Like one of its cookies, but its verdict does not rest on it.
    Stray,
}

/// What passes of a `Cookie` header; each source with whether its session is over.
pub fn passing<'s>(header: &[u8], sources: impl Iterator<Item = (&'s Source, bool)>) -> Passing {
    let parts: Vec<&[u8]> = header.split(|&b| b == b';').collect();
    let spelled: Vec<Vec<Vec<u8>>> = parts.iter().map(|part| spellings(part)).collect();
    let mut kept = vec![Claim::None; parts.len()];
    for (source, is_over) in sources {
        let picked = picked_parts(source, header, &parts);
        for (index, (claim, spelled)) in kept.iter_mut().zip(&spelled).enumerate() {
            let said = match (picked.contains(&index), is_over) {
                (true, false) => Claim::Kept,
                (true, true) => Claim::Over,
                (false, _) if !spelled.iter().any(|name| source.resembles(name)) => Claim::None,
                (false, true) => Claim::Over,
                (false, false) => Claim::Stray,
            };
            *claim = claim.and(said);
        }
    }
    let passes = |claim: &Claim| matches!(claim, Claim::Kept | Claim::None);
    if kept.iter().all(passes) {
        return Passing::AsCame;
    }
    let left = parts.iter().zip(&kept).filter(|(_, claim)| passes(claim));
    let left: Vec<&[u8]> = left.map(|(part, _)| *part).collect();
    let joined = left.join(&b";"[..]);
    let joined = joined.trim_ascii();
    if joined.is_empty() { Passing::Nothing } else { Passing::Only(joined.to_vec()) }
}

impl Claim {
    /// What two sources make of it: one that is over takes its cookies along, and a
    /// cookie is astray only if it is nobody's.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Over, _) | (_, Self::Over) => Self::Over,
            (Self::Kept, _) | (_, Self::Kept) => Self::Kept,
            (Self::Stray, _) | (_, Self::Stray) => Self::Stray,
            (Self::None, Self::None) => Self::None,
        }
    }
}

/// The parts the source's verdict rests on: of each name it picks, the one its
/// framework picks.
fn picked_parts(source: &Source, header: &[u8], parts: &[&[u8]]) -> HashSet<usize> {
    let is_picked = source.picks(Cookies::new(header));
    let mut by_name: HashMap<&[u8], usize> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        let Some((name, _)) = Cookies::new(part).iter().next() else { continue };
        if !source.looks_at(name) || !is_picked(name) {
            continue;
        }
        if source.takes_the_last() {
            by_name.insert(name, index);
        } else {
            by_name.entry(name).or_insert(index);
        }
    }
    by_name.into_values().collect()
}

/// The names some parser could read in one part, folded. Parsers disagree about
/// blanks, quotes, escapes, a name that is empty, and commas.
fn spellings(part: &[u8]) -> Vec<Vec<u8>> {
    let names = part.split(|&b| b == b',').filter_map(|piece| {
        let piece = piece.trim_ascii_start();
        let start = piece.iter().position(|&b| b != b'=')?;
        let piece = piece.get(start..)?;
        Some(fold(piece.get(..memchr(b'=', piece)?)?))
    });
    names.collect()
}

/// One spelling of a cookie's name for all: unescaped, in lower case, without
/// what surrounds it.
pub(super) fn fold(name: &[u8]) -> Vec<u8> {
    let mut name: Cow<'_, [u8]> = Cow::Borrowed(name);
    for _ in 0..2 {
        name = Cow::Owned(percent_decode(&name).into_owned());
    }
    let junk = |b: &u8| !b.is_ascii_graphic() || *b == b'"';
    let start = name.iter().position(|b| !junk(b)).unwrap_or(name.len());
    let end = name.iter().rposition(|b| !junk(b)).map_or(start, |last| last + 1);
    let inner = name.get(start..end).unwrap_or_default().iter();
    inner.map(u8::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests;
