//! Trailers of an HTTP/2 request, as they come over the wire.
//!
//! A pseudo-field has no place in a trailer section and makes the request malformed (RFC
//! 9113 section 8.1). The HTTP/2 library drops it silently, so trailers are looked at
//! before it gets them; a section with one loses its `END_STREAM` flag, which the library
//! answers as the malformed request it is, with a stream error.
//!
//! A name may be one of an earlier block of the connection, so heads are followed too.

use std::borrow::Cow;

use super::field_table::FieldTable;

/// Octets before the first frame: the preface.
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
/// Octets of the largest frame that a client may send (RFC 9113 section 6.5.2).
const FRAME_SIZE: usize = 16 * 1024;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Follows the frames of a connection.
#[derive(Debug)]
pub(super) struct Trailers {
    /// Octets of the current frame that are still to come.
    skip: usize,
    /// The highest stream that a head has opened.
    newest: u32,
    table: FieldTable,
    /// The start of a frame, or of a head or trailer section, that is not complete.
    held: Vec<u8>,
    /// The section that `held` begins with, if any.
    section: Section,
    /// A section that is longer, or has more frames, passes unread: the library refuses
    /// it.
    longest: usize,
    most_frames: usize,
}

/// The frames of a section that have come whole.
#[derive(Debug, Default)]
struct Section {
    octets: usize,
    frames: usize,
}

/// The part of a read that passes on.
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

impl Trailers {
    /// Octets in the longest section that the library takes.
    pub(super) fn new(longest: usize) -> Self {
        Self {
            skip: PREFACE,
            newest: 0,
            table: FieldTable::default(),
            held: Vec::new(),
            section: Section::default(),
            longest,
            most_frames: (longest / FRAME_SIZE * 5 / 4).max(5),
        }
    }

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

    /// Nothing more will be read: what was held back passes on unchanged.
    pub(super) fn ended(&mut self) -> Vec<u8> {
        self.section = Section::default();
        std::mem::take(&mut self.held)
    }

    /// Moves what is complete from `held` to `out`.
    fn release(&mut self, out: &mut Vec<u8>) {
        while let Some(first) = FrameHead::read(&self.held) {
            if first.kind == HEADERS {
                if let Some(end) = self.section.end(&self.held) {
                    self.release_section(first, end, out);
                } else if self.held.len() <= self.longest && self.section.frames <= self.most_frames
                {
                    return;
                } else {
                    self.table.lose();
                    self.newest = self.newest.max(first.stream);
                    self.skip = FRAME_HEAD + first.length;
                }
                self.section = Section::default();
            }
            let mut held = std::mem::take(&mut self.held);
            let passed = self.pass(&held);
            self.held = held.split_off(passed.min(held.len()));
            out.append(&mut held);
        }
    }

    /// Moves a whole head or trailer section from `held` to `out`.
    fn release_section(&mut self, first: FrameHead, end: usize, out: &mut Vec<u8>) {
        let section = self.held.get(..end).unwrap_or_default();
        let has_pseudo_field = self.table.read(&field_block(section));
        if !self.is_trailers(first) {
            self.newest = first.stream;
        } else if has_pseudo_field && let Some(flags) = self.held.get_mut(4) {
            *flags &= !END_STREAM;
        }
        let rest = self.held.split_off(end.min(self.held.len()));
        out.append(&mut self.held);
        self.held = rest;
    }

    /// How many octets go on at once: all whole frames, up to a trailer section, or a head
    /// that is not complete.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = self.skip.min(bytes.len());
        self.skip -= at;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(head) = FrameHead::read(rest) else { return at };
            if head.kind == HEADERS {
                let end = Section::default().end(rest);
                let Some(end) = end.filter(|_| !self.is_trailers(head)) else { return at };
                self.table.read(&field_block(rest.get(..end).unwrap_or_default()));
                self.newest = head.stream;
                at += end;
                continue;
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

impl Section {
    /// Where the section ends that `bytes` begin with, if all of it is there.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let rest = bytes.get(self.octets..)?;
            let head = FrameHead::read(rest)?;
            if self.frames > 0 && head.kind != CONTINUATION {
                // Malformed, which the library will say.
                return Some(self.octets);
            }
            let length = FRAME_HEAD + head.length;
            if rest.len() < length {
                return None;
            }
            self.octets += length;
            self.frames += 1;
            if head.flags & END_HEADERS != 0 {
                return Some(self.octets);
            }
        }
    }
}

impl FrameHead {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = *bytes.first_chunk::<FRAME_HEAD>()?;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        Some(Self { length, kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff })
    }
}

/// The field block of a section: its frames' contents without padding and priority.
fn field_block(section: &[u8]) -> Cow<'_, [u8]> {
    let (first, mut rest) = fragment(section);
    if rest.is_empty() {
        return Cow::Borrowed(first);
    }
    let mut block = first.to_vec();
    while !rest.is_empty() {
        let (more, behind) = fragment(rest);
        block.extend_from_slice(more);
        rest = behind;
    }
    Cow::Owned(block)
}

/// A frame's part of the field block, and what follows the frame.
fn fragment(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(head) = FrameHead::read(bytes) else { return (&[], &[]) };
    let end = bytes.len().min(FRAME_HEAD + head.length);
    let (frame, rest) = bytes.split_at(end);
    let mut content = frame.get(FRAME_HEAD..).unwrap_or_default();
    if head.kind == HEADERS && head.flags & PADDED != 0 {
        let padding = content.first().copied().map_or(0, usize::from);
        content = content.get(1..).unwrap_or_default();
        content = content.get(..content.len().saturating_sub(padding)).unwrap_or_default();
    }
    if head.kind == HEADERS && head.flags & PRIORITY != 0 {
        content = content.get(5..).unwrap_or_default();
    }
    (content, rest)
}

#[cfg(test)]
mod tests;
