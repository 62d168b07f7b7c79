//! Trailers of an HTTP/2 request, as they come over the wire.
//!
//! A pseudo-field has no place in a trailer section and makes the request malformed (RFC
//! 9113 section 8.1). The HTTP/2 library drops it silently, so trailers are looked at
//! before it gets them; a section with one loses its `END_STREAM` flag, which the library
//! answers as the malformed request it is, with a stream error.
//!
//! Only names that the section itself spells out, or takes from the static table (RFC 7541
//! appendix A), are seen: what the dynamic table holds is known to the library alone.

/// Octets before the first frame: the preface.
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// A section that is longer goes on as it came: the library has its own bound.
const LONGEST: usize = 64 * 1024;
/// Entries of the static table that are pseudo-fields, beginning with 1.
const PSEUDO_FIELDS: u64 = 14;

/// Follows the frames of a connection.
#[derive(Debug)]
pub(super) struct Trailers {
    /// Octets of the current frame that are still to come.
    skip: usize,
    /// The highest stream that a head has opened.
    newest: u32,
    /// The start of a frame, or of a trailer section, that is not complete.
    held: Vec<u8>,
}

/// The part of a read that goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// All of it.
    AsItCame,
    /// This instead, which may be nothing yet.
    Instead(Vec<u8>),
}

#[derive(Clone, Copy)]
struct FrameHead {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Default for Trailers {
    fn default() -> Self {
        Self { skip: PREFACE, newest: 0, held: Vec::new() }
    }
}

impl Trailers {
    /// Octets have been read.
    pub(super) fn received(&mut self, bytes: &[u8]) -> Goes {
        if self.held.is_empty() {
            let passed = self.pass(bytes);
            let Some(rest) = bytes.get(passed..).filter(|rest| !rest.is_empty()) else {
                return Goes::AsItCame;
            };
            self.held = rest.to_vec();
            let mut out = bytes.get(..passed).unwrap_or_default().to_vec();
            self.release(&mut out);
            return Goes::Instead(out);
        }
        self.held.extend_from_slice(bytes);
        let mut out = Vec::new();
        self.release(&mut out);
        Goes::Instead(out)
    }

    /// Moves what is complete from `held` to `out`.
    fn release(&mut self, out: &mut Vec<u8>) {
        loop {
            let mut held = std::mem::take(&mut self.held);
            let passed = self.pass(&held);
            let rest = held.split_off(passed.min(held.len()));
            out.append(&mut held);
            self.held = rest;
            let Some(head) = FrameHead::read(&self.held).filter(|head| self.is_trailers(*head))
            else {
                return;
            };
            let Some(end) = section_end(&self.held, head) else {
                if self.held.len() <= LONGEST {
                    return;
                }
                // The library ends such a connection.
                out.append(&mut self.held);
                self.skip = usize::MAX;
                return;
            };
            if has_pseudo_field(&fragments(self.held.get(..end).unwrap_or_default()))
                && let Some(flags) = self.held.get_mut(4)
            {
                *flags &= !END_STREAM;
            }
            let rest = self.held.split_off(end);
            out.append(&mut self.held);
            self.held = rest;
        }
    }

    /// How many octets go on at once: all whole frames, up to a trailer section or a frame
    /// whose head is not complete.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = self.skip.min(bytes.len());
        self.skip -= at;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(head) = FrameHead::read(rest) else { return at };
            if self.is_trailers(head) {
                return at;
            }
            if head.kind == HEADERS {
                self.newest = head.stream;
            }
            let whole = FRAME_HEAD + head.length;
            self.skip = whole.saturating_sub(rest.len());
            at += whole.min(rest.len());
        }
        at
    }

    /// Whether the frame is a head on a stream that has had one.
    fn is_trailers(&self, head: FrameHead) -> bool {
        head.kind == HEADERS && head.stream <= self.newest
    }
}

impl FrameHead {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = *bytes.first_chunk::<FRAME_HEAD>()?;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        Some(Self { length, kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff })
    }
}

/// Where the section ends that begins with `first`, if all of it is there.
fn section_end(bytes: &[u8], first: FrameHead) -> Option<usize> {
    let (mut head, mut at) = (first, 0);
    loop {
        at += FRAME_HEAD + head.length;
        let rest = bytes.get(at..)?;
        if head.flags & END_HEADERS != 0 {
            return Some(at);
        }
        head = FrameHead::read(rest)?;
        if head.kind != CONTINUATION {
            // Malformed, which the library will say.
            return Some(at);
        }
    }
}

/// The field block of a section: its frames' contents without padding and priority.
fn fragments(mut bytes: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(bytes.len());
    while let Some(head) = FrameHead::read(bytes) {
        let mut content = bytes.get(FRAME_HEAD..FRAME_HEAD + head.length).unwrap_or_default();
        bytes = bytes.get(FRAME_HEAD + head.length..).unwrap_or_default();
        if head.kind == HEADERS && head.flags & PADDED != 0 {
            let padding = content.first().copied().map_or(0, usize::from);
            content = content.get(1..).unwrap_or_default();
            content = content.get(..content.len().saturating_sub(padding)).unwrap_or_default();
        }
        if head.kind == HEADERS && head.flags & PRIORITY != 0 {
            content = content.get(5..).unwrap_or_default();
        }
        block.extend_from_slice(content);
    }
    block
}

/// Whether a field block (RFC 7541 section 6) names a pseudo-field. What is malformed
/// names nothing here.
fn has_pseudo_field(mut block: &[u8]) -> bool {
    while let Some(&first) = block.first() {
        let bits = match first {
            _ if first & 0x80 != 0 => 7,
            _ if first & 0x40 != 0 => 6,
            _ if first & 0x20 != 0 => 5,
            _ => 4,
        };
        let Some(index) = integer(&mut block, bits) else { return false };
        if bits == 5 {
            continue;
        }
        if (1..=PSEUDO_FIELDS).contains(&index) {
            return true;
        }
        if bits == 7 {
            continue;
        }
        if index == 0 {
            match text(&mut block) {
                Some(name) if name.begins_with_a_colon() => return true,
                Some(_) => {}
                None => return false,
            }
        }
        if text(&mut block).is_none() {
            return false;
        }
    }
    false
}

/// An integer with a prefix of so many bits (RFC 7541 section 5.1).
fn integer(block: &mut &[u8], bits: u32) -> Option<u64> {
    let (&first, mut rest) = block.split_first()?;
    let most = (1_u64 << bits) - 1;
    let mut number = u64::from(first) & most;
    if number == most {
        for shift in (0..35).step_by(7) {
            let (&next, after) = rest.split_first()?;
            rest = after;
            number += u64::from(next & 0x7f) << shift;
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
struct Text<'b> {
    is_huffman: bool,
    octets: &'b [u8],
}

impl Text<'_> {
    fn begins_with_a_colon(&self) -> bool {
        // In Huffman's code `:` is 1011100 (RFC 7541 appendix B).
        let is_colon = |&b: &u8| if self.is_huffman { b >> 1 == 0b101_1100 } else { b == b':' };
        self.octets.first().is_some_and(is_colon)
    }
}

fn text<'b>(block: &mut &'b [u8]) -> Option<Text<'b>> {
    let is_huffman = block.first()? & 0x80 != 0;
    let length = usize::try_from(integer(block, 7)?).ok()?;
    let (octets, rest) = block.split_at_checked(length)?;
    *block = rest;
    Some(Text { is_huffman, octets })
}

#[cfg(test)]
mod tests;
