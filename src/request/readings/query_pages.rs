//! Pages that stand in the query: those of React Router's manifest, the picture that an image
//! optimiser fetches itself, the page of a front controller.
//!
//! Which fields name a page depends on the path, so every reading of it is looked at. Names
//! are compared as the most lenient reader takes them, which is PHP. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;

use memchr::{memchr, memrchr};

use super::address::find_folded;
use crate::base::text::percent_decode;

/// Code that serves the pages which a query names.
pub(super) struct Reader {
    stands_at: fn(&[u8]) -> bool,
    /// The empty name is that of a whole query such as `?/x`.
    names: &'static [&'static str],
}

const READERS: [Reader; 4] = [
    Reader { stands_at: |path| ends_so(path, b"/__manifest"), names: &["p", "paths"] },
    Reader { stands_at: is_image_optimiser, names: &["url", "href"] },
    // `/index.php?/x` is CodeIgniter's.
    Reader {
        stands_at: |path| end_of_script(path).is_some(),
        names: &["q", "r", "p", "s", "url", "_url", "route", "path", ""],
    },
    // What every site may have in its query is left out: `q` is a search.
    Reader { stands_at: <[u8]>::is_empty, names: &["r", "_url", "route"] },
];

fn is_image_optimiser(path: &[u8]) -> bool {
    const PATHS: [&[u8]; 3] = [b"/_next/image", b"/_vercel/image", b"/_image"];
    PATHS.iter().any(|end| ends_so(path, end))
}

fn ends_so(path: &[u8], end: &[u8]) -> bool {
    let start = path.len().checked_sub(end.len());
    start.and_then(|start| path.get(start..)).is_some_and(|last| last.eq_ignore_ascii_case(end))
}

/// The readers that a request of some paths may reach.
pub(super) struct Readers {
    reached: Vec<&'static Reader>,
    /// Where front controllers stand that are not at the root.
    folders: BTreeSet<Vec<u8>>,
}

impl Readers {
    pub(super) fn new<'p>(paths: impl Iterator<Item = &'p [u8]> + Clone) -> Self {
        let stands_at = |reader: &Reader, path: &[u8]| {
            let end = path.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1);
            path.get(..end).is_some_and(reader.stands_at)
        };
        let is_reached = |reader: &&Reader| paths.clone().any(|path| stands_at(reader, path));
        Self {
            reached: READERS.iter().filter(is_reached).collect(),
            folders: paths.filter_map(folder_of_script).map(<[u8]>::to_vec).collect(),
        }
    }

    /// The pages that a query names for them. One by one: a client may name thousands.
    pub(super) fn pages(&self, query: &str) -> impl Iterator<Item = Vec<u8>> {
        let query = if self.reached.is_empty() { "" } else { query };
        let first = query.split('&').next().filter(|first| first.starts_with('/'));
        let whole = first.filter(|first| !first.contains('=')).map(|first| ("", first));
        let fields = query.split('&').filter_map(|field| field.split_once('=')).chain(whole);
        let read = fields.filter(move |(name, _)| self.read(&folded(name.as_bytes())));
        read.flat_map(|(_, value)| pages(value.as_bytes())).flat_map(move |page| {
            let slash: &[u8] = if page.starts_with(b"/") { b"" } else { b"/" };
            let below: Vec<_> =
                self.folders.iter().map(|folder| [folder, slash, &page].concat()).collect();
            std::iter::once(page).chain(below)
        })
    }

    fn read(&self, name: &[u8]) -> bool {
        let mut names = self.reached.iter().flat_map(|reader| reader.names);
        names.any(|known| known.as_bytes() == name)
    }
}

/// `/blog` of `/blog/index.php` and of `/blog/index.php/x`.
fn folder_of_script(path: &[u8]) -> Option<&[u8]> {
    let slash = memrchr(b'/', path.get(..end_of_script(path)?)?)?;
    path.get(..slash).filter(|folder| folder.iter().any(|&b| b != b'/'))
}

fn end_of_script(path: &[u8]) -> Option<usize> {
    find_folded(path, b".php/").or_else(|| ends_so(path, b".php").then_some(path.len()))
}

/// A field's name as PHP reads it: decoded, without blanks before it, up to an index or a NUL,
/// with `_` for blanks and dots in it.
fn folded(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
        return Cow::Borrowed(name);
    }
    let decoded = with_blanks(name);
    let decoded = decoded.trim_ascii_start();
    let name = decoded.split(|b| matches!(b, b'[' | b'\0')).next().unwrap_or_default();
    name.iter().map(|&b| if matches!(b, b' ' | b'.') { b'_' } else { b }).collect()
}

/// Decoded as a form is.
fn with_blanks(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_decode(&spaced).into_owned()
}

fn pages(value: &[u8]) -> Vec<Vec<u8>> {
    let mut values = vec![percent_decode(value).into_owned()];
    values.extend(memchr(b'+', value).map(|_| with_blanks(value)));
    // A list, or one page with a comma in its name.
    let parts = |value: &Vec<u8>| -> Vec<Vec<u8>> {
        value.split(|&b| b == b',').map(<[u8]>::to_vec).collect()
    };
    let listed: Vec<_> =
        values.iter().filter(|value| value.contains(&b',')).flat_map(parts).collect();
    values.extend(listed);
    let mut pages: Vec<_> = values.into_iter().filter(|page| !is_elsewhere(page)).collect();
    for page in &mut pages {
        page.truncate(memchr(b'?', page).unwrap_or(page.len()));
    }
    pages.retain(|page| !page.is_empty());
    pages
}

/// Whether a page is on another server.
fn is_elsewhere(page: &[u8]) -> bool {
    let starts = |scheme: &[u8]| {
        page.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    starts(b"http://") || starts(b"https://")
}
