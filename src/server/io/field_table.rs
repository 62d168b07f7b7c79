//! The compression table of an HTTP/2 connection (RFC 7541), as far as it takes to know
//! whether a field block names a pseudo-field.
//!
//! A name may refer to a field of an earlier block, so all blocks of a connection are
//! followed in their order. Of a field in the table only lengths are kept, and whether it
//! is a pseudo-field: at most 128 entries, as the gateway leaves the table at 4 KiB.

use std::collections::VecDeque;

use super::huffman::decoded_length;

/// Octets of a table whose size has not been changed (RFC 9113 section 6.5.2).
const LARGEST: usize = 4096;
/// Octets that a field takes in addition to its name and value (RFC 7541 section 4.1).
const OVERHEAD: usize = 32;

/// The names of the static table (RFC 7541 appendix A), beginning with index 1.
const STATIC: [&str; 61] = [
    ":authority",
    ":method",
    ":method",
    ":path",
    ":path",
    ":scheme",
    ":scheme",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];

/// The table as the client's blocks have left it.
#[derive(Debug)]
pub(super) struct FieldTable {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
    /// False once a block was not read: an entry may then be anything.
    is_known: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    name: Name,
    size: usize,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    length: usize,
    is_pseudo: bool,
}

impl Default for FieldTable {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, limit: LARGEST, is_known: true }
    }
}

impl FieldTable {
    /// Follows the next field block, and tells whether it names a pseudo-field. What is
    /// malformed ends the connection in the library.
    pub(super) fn read(&mut self, mut block: &[u8]) -> bool {
        let mut has_pseudo_field = false;
        while !block.is_empty() {
            let Some(is_pseudo) = self.field(&mut block) else {
                self.lose();
                break;
            };
            has_pseudo_field |= is_pseudo;
        }
        has_pseudo_field
    }

    /// A block goes by unread.
    pub(super) fn lose(&mut self) {
        self.is_known = false;
    }

    /// Takes one field, or change of size, off the block (RFC 7541 section 6): whether it is
    /// a pseudo-field.
    fn field(&mut self, block: &mut &[u8]) -> Option<bool> {
        let first = *block.first()?;
        if first & 0x80 != 0 {
            return Some(self.name(integer(block, 7)?)?.is_pseudo);
        }
        if first & 0xe0 == 0x20 {
            self.resize(integer(block, 5)?)?;
            return Some(false);
        }
        let is_added = first & 0x40 != 0;
        let index = integer(block, if is_added { 6 } else { 4 })?;
        let name = if index == 0 { Name::of(text(block)?, is_added) } else { self.name(index)? };
        let value = text(block)?;
        if is_added {
            self.add(Entry { name, size: name.length + value.length() + OVERHEAD });
        }
        Some(name.is_pseudo)
    }

    fn name(&self, index: usize) -> Option<Name> {
        let index = index.checked_sub(1)?;
        if let Some(name) = STATIC.get(index) {
            return Some(Name { length: name.len(), is_pseudo: name.starts_with(':') });
        }
        if !self.is_known {
            return Some(Name { length: 0, is_pseudo: true });
        }
        self.entries.get(index - STATIC.len()).map(|entry| entry.name)
    }

    /// RFC 7541 section 4.4: an entry that is larger than the table leaves it empty.
    fn add(&mut self, entry: Entry) {
        self.shrink_to(self.limit.saturating_sub(entry.size));
        if entry.size <= self.limit {
            self.size += entry.size;
            self.entries.push_front(entry);
        }
    }

    fn resize(&mut self, limit: usize) -> Option<()> {
        self.limit = Some(limit).filter(|limit| *limit <= LARGEST)?;
        self.shrink_to(limit);
        Some(())
    }

    fn shrink_to(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.size;
        }
    }
}

impl Name {
    /// Its length matters only where it is added to the table.
    fn of(text: Text<'_>, is_added: bool) -> Self {
        let length = if is_added { text.length() } else { 0 };
        Self { length, is_pseudo: text.begins_with_a_colon() }
    }
}

/// An integer with a prefix of so many bits (RFC 7541 section 5.1).
fn integer(block: &mut &[u8], bits: u32) -> Option<usize> {
    let (&first, mut rest) = block.split_first()?;
    let most = (1_usize << bits) - 1;
    let mut number = usize::from(first) & most;
    if number == most {
        for shift in (0..28).step_by(7) {
            let (&next, after) = rest.split_first()?;
            rest = after;
            number += usize::from(next & 0x7f) << shift;
            if next & 0x80 == 0 {
                *block = rest;
                return Some(number);
            }
        }
        return None;
    }
    *block = rest;
    Some(number)
}

/// A text as it is written (RFC 7541 section 5.2).
#[derive(Clone, Copy)]
struct Text<'b> {
    is_huffman: bool,
    octets: &'b [u8],
}

impl Text<'_> {
    fn begins_with_a_colon(self) -> bool {
        // In Huffman's code `:` is 1011100 (RFC 7541 appendix B).
        let is_colon = |&b: &u8| if self.is_huffman { b >> 1 == 0b101_1100 } else { b == b':' };
        self.octets.first().is_some_and(is_colon)
    }

    /// Octets of the text itself.
    fn length(self) -> usize {
        if self.is_huffman { decoded_length(self.octets) } else { self.octets.len() }
    }
}

fn text<'b>(block: &mut &'b [u8]) -> Option<Text<'b>> {
    let is_huffman = block.first()? & 0x80 != 0;
    let length = integer(block, 7)?;
    let (octets, rest) = block.split_at_checked(length)?;
    *block = rest;
    Some(Text { is_huffman, octets })
}

#[cfg(test)]
mod tests;
