//! Replaces texts of a page while it streams by, wherever its pieces are cut.
//!
//! Pure. Only a possible beginning of such a text is held back; inserted values are
//! not searched again. Pieces without such a text pass through without a copy.

use bytes::{Bytes, BytesMut};
use memchr::memmem;

/// Shortest text, in bytes: a shorter one might occur in a page by chance.
const SHORTEST: usize = 8;
const LONGEST: usize = 128;

/// Whether this can be a text to replace: without characters that HTML or a script
/// would escape.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.:@%$#{}[]".contains(&b);
    (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a value is safe in a page's text, in a quoted attribute and in a string of
/// a script: none of these ends at the allowed characters. Tokens consist of them.
pub(crate) fn is_safe_in_a_page(value: &[u8]) -> bool {
    value.iter().all(|b| b.is_ascii_alphanumeric() || b"._-~+/=:".contains(b))
}

/// One text and its replacement.
struct Pair {
    finder: memmem::Finder<'static>,
    value: Bytes,
}

/// The replacements in one page.
#[derive(Default)]
pub(crate) struct Replacer {
    pairs: Vec<Pair>,
    /// Possibly the beginning of a text.
    held: Bytes,
}

impl Replacer {
    /// No text may be a part of another one.
    pub(crate) fn new<T: AsRef<str>>(pairs: impl IntoIterator<Item = (T, Bytes)>) -> Self {
        let pair = |(text, value): (T, Bytes)| Pair {
            finder: memmem::Finder::new(text.as_ref()).into_owned(),
            value,
        };
        Self { pairs: pairs.into_iter().map(pair).collect(), held: Bytes::new() }
    }

    /// The part of the page that can be sent after `piece`.
    pub(crate) fn push(&mut self, piece: Bytes) -> Bytes {
        let mut rest = std::mem::take(&mut self.held);
        if rest.is_empty() {
            rest = piece;
        } else {
            let mut joined = BytesMut::with_capacity(rest.len() + piece.len());
            joined.extend_from_slice(&rest);
            joined.extend_from_slice(&piece);
            rest = joined.freeze();
        }
        let mut replaced = BytesMut::new();
        while let Some((start, pair)) = self.first(&rest) {
            replaced.extend_from_slice(&rest.split_to(start));
            replaced.extend_from_slice(&pair.value);
            drop(rest.split_to(pair.finder.needle().len()));
        }
        self.held = rest.split_off(rest.len() - self.begun(&rest));
        if replaced.is_empty() {
            return rest;
        }
        replaced.extend_from_slice(&rest);
        replaced.freeze()
    }

    /// The rest, at the end of the page.
    pub(crate) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.held)
    }

    fn first(&self, text: &[u8]) -> Option<(usize, &Pair)> {
        let found = self.pairs.iter().filter_map(|pair| Some((pair.finder.find(text)?, pair)));
        found.min_by_key(|(start, _)| *start)
    }

    /// Bytes at the end that may be the beginning of a text.
    fn begun(&self, text: &[u8]) -> usize {
        let begun = |pair: &Pair| {
            let needle = pair.finder.needle();
            let most = (needle.len() - 1).min(text.len());
            (1..=most)
                .rev()
                .find(|&length| needle.get(..length).is_some_and(|start| text.ends_with(start)))
        };
        self.pairs.iter().filter_map(begun).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
