//! All readings of a path: every habit tried on every reading until nothing new comes of it.
//!
//! Bounded in number and in octets, because a client chooses the path. A path of letters,
//! digits, `-` and `_` has only itself as a reading, which costs one look at each octet.

use std::borrow::Cow;

use super::query_pages::Readers;
use super::step::Step;
use super::{address, spelling};
use crate::upstream::Prefixes;

/// Readings of one path, at most. Paths in use have one to ten.
const MOST: usize = 256;
/// Octets of all readings together, at most.
const MOST_OCTETS: usize = 256 * 1024;

/// The code that reads a path so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A framework that serves the page of this path under the one that came.
    Framework,
    /// A framework that serves the page which the query names.
    Query,
    /// A server, of the very path that came.
    Server,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading<'a> {
    pub(crate) path: Cow<'a, [u8]>,
    pub(crate) by: By,
}

/// A path that has more readings than can be looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Readings<'a> {
    /// Every server and framework reads the path unchanged.
    Itself,
    /// The unchanged path first.
    Several(Vec<Reading<'a>>),
}

impl<'a> Readings<'a> {
    pub(crate) fn of(
        path: &'a str,
        query: Option<&str>,
        prefixes: &Prefixes,
    ) -> Result<Self, TooMany> {
        let is_asked = path == "/" && query.is_some();
        if is_plain(path.as_bytes()) && !is_asked && !address::has_prefix(path.as_bytes(), prefixes)
        {
            return Ok(Self::Itself);
        }
        let mut found = Closure { readings: Vec::new(), octets: 0, prefixes };
        found.add(Cow::Borrowed(path.as_bytes()), By::Server)?;
        found.apply(0, By::Server)?;
        found.apply(0, By::Framework)?;
        if let Some(query) = query {
            let of_path = found.readings.len();
            let readers = Readers::new(found.readings.iter().map(|one| one.path.as_ref()));
            for page in readers.pages(query) {
                found.add(Cow::Owned(page), By::Query)?;
            }
            found.apply(of_path, By::Query)?;
        }
        Ok(Self::Several(found.readings))
    }
}

/// Segments of characters that no server and no framework gives a meaning to.
fn is_plain(path: &[u8]) -> bool {
    const MARKS: &[u8] = b"-~!$&'()*+,:=@";
    let mut before = 0;
    for &b in path {
        let is_slash = b == b'/';
        let is_letter = b.is_ascii_alphanumeric() || MARKS.contains(&b);
        let is_inner = b == b'_' && before != b'/';
        if !(is_letter || is_inner || is_slash && before != b'/') {
            return false;
        }
        before = b;
    }
    (path.len() == 1 || before != b'/') && !path.ends_with(b"/index")
}

struct Closure<'a, 'p> {
    readings: Vec<Reading<'a>>,
    octets: usize,
    prefixes: &'p Prefixes,
}

impl<'a> Closure<'a, '_> {
    /// Tries the habits of servers on every reading from this one on, the new ones included;
    /// those of frameworks too, unless the reading is a server's.
    fn apply(&mut self, first: usize, by: By) -> Result<(), TooMany> {
        let frameworks: &[Step] = if by == By::Server { &[] } else { &address::STEPS };
        let mut at = first;
        while let Some(reading) = self.readings.get(at).cloned() {
            let odd: &[Step] = if spelling::is_odd(&reading.path) { &spelling::ODD } else { &[] };
            for step in odd.iter().chain(&spelling::ALWAYS).chain(frameworks) {
                let next = match &reading.path {
                    Cow::Borrowed(path) => step(path),
                    Cow::Owned(path) => step(path).map(|next| Cow::Owned(next.into_owned())),
                };
                if let Some(next) = next {
                    self.add(next, by)?;
                }
            }
            if by != By::Server {
                for next in address::without_prefix(&reading.path, self.prefixes) {
                    self.add(Cow::Owned(next), by)?;
                }
            }
            at += 1;
        }
        Ok(())
    }

    fn add(&mut self, path: Cow<'a, [u8]>, by: By) -> Result<(), TooMany> {
        let path =
            if path.starts_with(b"/") { path } else { Cow::Owned([b"/", path.as_ref()].concat()) };
        // A rule may speak for what a framework makes of the path, but not for what stands in
        // the query: the same page from both is kept twice.
        let counts = |known: &Reading<'_>| known.by == by || known.by == By::Server;
        if self.readings.iter().any(|known| known.path == path && counts(known)) {
            return Ok(());
        }
        self.octets += path.len();
        if self.readings.len() == MOST || self.octets > MOST_OCTETS {
            return Err(TooMany);
        }
        self.readings.push(Reading { path, by });
        Ok(())
    }
}
