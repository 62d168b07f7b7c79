//! Selects the cookies that go on to the app.
//!
//! The app could read another session than the one that was judged, or renew one that the
//! gateway refuses, and the cookies it sets would count. So it sees no other: of a
//! source's cookies only those go on that its verdict rests on, and none at all if that
//! session is over. Anything some parser could take for one of them (another letter case,
//! an escaped name, a second cookie of the same name, a chunk without a beginning) is not
//! told apart from it. Of a session that is over, the cookies with which the app would
//! sign its user in again are kept back too. Others stay as they came.

use std::collections::{HashMap, HashSet};

use memchr::{memchr, memchr2_iter};

use super::cookie::{Cookies, fold};
use super::cookie_names::is_plain_name;
use super::source::SessionReader;
use super::verdict::Standing;

/// A longer header is looked at more closely.
const MOST_PLAIN: usize = 32 * 1024;
/// A source reads fewer cookies than this of one request: chunks, and companions.
const MOST_OWN: usize = 24;

/// The `Cookie` header for the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Passing {
    #[default]
    AsCame,
    Nothing,
    Only(Vec<u8>),
}

/// One source's claim on one part of the header. Of the claims of two sources the later
/// one here counts: a session that is over takes its cookies along, one that verifies
/// keeps them, and a cookie is astray only if no source claims it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// None of its cookies, nor like one.
    None,
    /// Like one of its cookies, but its verdict does not rest on it.
    Stray,
    /// Its verdict rests on it.
    Kept,
    /// The app may read a session in it that is over, or another one than was verified.
    Respelled,
    /// Its session verifies.
    Verified,
    /// Of a session that is over.
    Over,
}

/// The `Cookie` header for the app; each source with its verdict.
pub(crate) fn passing<'s>(
    header: &[u8],
    mut sources: impl Iterator<Item = (&'s SessionReader, Standing)> + Clone,
) -> Passing {
    let passes = |standing| match standing {
        Standing::Accepted | Standing::Open => true,
        Standing::Over | Standing::Respelled => false,
    };
    if sources.clone().all(|(source, standing)| passes(standing) && is_plain(header, source)) {
        return Passing::AsCame;
    }
    select(header, &mut sources)
}

/// Whether everything like a cookie of this source is one that its verdict rests on, and
/// plainly so. True of nearly all requests, and told without allocating; where it is
/// false, `select` looks more closely.
fn is_plain(header: &[u8], source: &SessionReader) -> bool {
    if header.len() > MOST_PLAIN {
        return false;
    }
    let mut own: [&[u8]; MOST_OWN] = [&[]; MOST_OWN];
    let mut count = 0;
    let (mut start, mut is_first) = (0, true);
    let ends = memchr2_iter(b';', b',', header).chain([header.len()]);
    for end in ends {
        let piece = header.get(start..end).unwrap_or_default();
        let begins_part = std::mem::replace(&mut is_first, header.get(end) == Some(&b';'));
        start = end + 1;
        let Some(end) = memchr(b'=', piece) else { continue };
        let (name, value) = piece.split_at(end);
        let name = name.trim_ascii_start();
        if !is_plain_name(name) {
            return false;
        }
        if !source.resembles_plainly(name) {
            continue;
        }
        let is_empty = matches!(value.trim_ascii(), b"=" | b"=\"\"");
        let known = own.get(..count).unwrap_or_default();
        if !begins_part || is_empty || known.contains(&name) || !source.reads_cookie(name) {
            return false;
        }
        let Some(place) = own.get_mut(count) else { return false };
        *place = name;
        count += 1;
    }
    source.picks_plainly(own.get(..count).unwrap_or_default())
}

fn select(header: &[u8], sources: &mut dyn Iterator<Item = (&SessionReader, Standing)>) -> Passing {
    let parts: Vec<&[u8]> = header.split(|&b| b == b';').collect();
    let spelled: Vec<Vec<Vec<u8>>> = parts.iter().map(|part| spellings(part)).collect();
    let mut kept = vec![Claim::None; parts.len()];
    for (source, standing) in sources {
        let picked = picked_parts(source, header, &parts);
        let withheld = match standing {
            Standing::Accepted | Standing::Open => None,
            Standing::Over => Some(Claim::Over),
            Standing::Respelled => Some(Claim::Respelled),
        };
        for (index, (claim, spelled)) in kept.iter_mut().zip(&spelled).enumerate() {
            let is_picked = picked.contains(&index);
            let remembers = || spelled.iter().any(|name| source.remembers(name));
            let is_like = || spelled.iter().any(|name| source.resembles(name));
            let said = match (withheld, standing) {
                (Some(withheld), _) if is_picked || remembers() => withheld,
                (None, Standing::Accepted) if is_picked => Claim::Verified,
                (None, _) if is_picked => Claim::Kept,
                _ if !is_like() => Claim::None,
                (_, Standing::Over) => Claim::Over,
                _ => Claim::Stray,
            };
            *claim = said.max(*claim);
        }
    }
    let passes = |claim: &Claim| matches!(claim, Claim::Kept | Claim::None | Claim::Verified);
    if kept.iter().all(passes) {
        return Passing::AsCame;
    }
    let left = parts.iter().zip(&kept).filter(|(_, claim)| passes(claim));
    let left: Vec<&[u8]> = left.map(|(part, _)| *part).collect();
    let joined = left.join(&b";"[..]);
    let joined = joined.trim_ascii();
    if joined.is_empty() { Passing::Nothing } else { Passing::Only(joined.to_vec()) }
}

/// The parts the source's verdict rests on: of each name it picks, the one its
/// framework picks.
fn picked_parts(source: &SessionReader, header: &[u8], parts: &[&[u8]]) -> HashSet<usize> {
    let is_picked = source.picks(Cookies::new(header));
    let mut by_name: HashMap<&[u8], usize> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        let Some((name, _)) = Cookies::new(part).iter().next() else { continue };
        if !source.reads_cookie(name) || !is_picked(name) {
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

#[cfg(test)]
mod tests;
