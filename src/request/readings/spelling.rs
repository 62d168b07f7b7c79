//! Habits of servers: what they do to a path before they look for its page.
//!
//! Each habit is one step that either changes the path or has nothing to do. Servers do some
//! of them, in any order, some twice; `closure` tries them all.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};
use unicode_normalization::UnicodeNormalization as _;

use super::step::Step;
use crate::base::text::percent_decode;

/// Steps that apply to any path.
pub(super) const ALWAYS: [Step; 2] = [end_without_slash, trim_segments];

/// Steps that need a character which plain paths do not have.
pub(super) const ODD: [Step; 11] = [
    decode,
    decode_wide,
    fold_letters,
    slash_backslashes,
    drop_controls,
    |path| cut_at(path, b'?'),
    |path| cut_at(path, b'#'),
    cut_at_control,
    drop_parameters,
    resolve_dots,
    merge_slashes,
];

/// Whether a habit of `ODD` could change the path.
pub(super) fn is_odd(path: &[u8]) -> bool {
    path.iter().any(|&b| !b.is_ascii_graphic() || matches!(b, b'%' | b'\\' | b';' | b'?' | b'#'))
        || memmem::find(path, b"//").is_some()
        || memmem::find(path, b"/.").is_some()
}

/// The path when every habit has been followed to its end: how the literal part of a rule
/// is compared.
pub(crate) fn settled(path: &str) -> Vec<u8> {
    let mut settled = path.as_bytes().to_ascii_lowercase();
    while let Some(next) = ODD.iter().chain(&ALWAYS).find_map(|step| step(&settled)) {
        settled = next.to_ascii_lowercase();
    }
    settled
}

/// Whether the path has an escaped control character.
pub(crate) fn has_control(path: &str) -> bool {
    path.contains('%') && percent_decode(path.as_bytes()).iter().any(u8::is_ascii_control)
}

fn decode(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    Some(percent_decode(path)).filter(|decoded| decoded.len() < path.len())
}

/// `%u002f`, and characters in more octets than they have (RFC 3629 section 10): `%c0%af`
/// was a slash to some servers.
fn decode_wide(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut read = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        let (found, length) = escaped_wide(rest)
            .or_else(|| overlong(rest))
            .unwrap_or((char::REPLACEMENT_CHARACTER, 0));
        if length == 0 {
            read.push(first);
            rest = after;
        } else {
            read.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    (read != path).then_some(Cow::Owned(read))
}

fn escaped_wide(path: &[u8]) -> Option<(char, usize)> {
    let [b'%', b'u' | b'U', digits @ ..] = path else { return None };
    let digits = std::str::from_utf8(digits.get(..4)?).ok()?;
    let code = u32::from_str_radix(digits, 16).ok()?;
    Some((char::from_u32(code)?, 6))
}

fn overlong(path: &[u8]) -> Option<(char, usize)> {
    let low = |byte: u8| u32::from(byte & 0x3f);
    let (code, length) = match *path {
        [first @ (0xc0 | 0xc1), last @ 0x80..=0xbf, ..] => {
            (u32::from(first & 1) << 6 | low(last), 2)
        }
        [0xe0, middle @ 0x80..=0x9f, last @ 0x80..=0xbf, ..] => (low(middle) << 6 | low(last), 3),
        [0xf0, 0x80..=0x8f, middle @ 0x80..=0xbf, last @ 0x80..=0xbf, ..] => {
            (low(middle) << 6 | low(last), 4)
        }
        _ => return None,
    };
    char::from_u32(code).map(|found| (found, length))
}

/// Full-width letters, ligatures and the like become the letters they look like, capitals
/// small ones.
fn fold_letters(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    if path.is_ascii() {
        return None;
    }
    let text = std::str::from_utf8(path).ok()?;
    let lower = text.nfkc().flat_map(char::to_lowercase);
    // Neither is an `i` with a dot to Unicode, both are to code that changes case carelessly.
    let folded: String =
        lower.filter(|&c| c != '\u{307}').map(|c| if c == 'ı' { 'i' } else { c }).collect();
    (folded.as_bytes() != path).then(|| Cow::Owned(folded.into_bytes()))
}

fn slash_backslashes(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    memchr(b'\\', path)?;
    Some(path.iter().map(|&b| if b == b'\\' { b'/' } else { b }).collect::<Vec<_>>().into())
}

fn drop_controls(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    path.iter()
        .any(u8::is_ascii_control)
        .then(|| path.iter().copied().filter(|b| !b.is_ascii_control()).collect::<Vec<_>>().into())
}

fn cut_at(path: &[u8], end: u8) -> Option<Cow<'_, [u8]>> {
    path.get(..memchr(end, path)?).map(Cow::Borrowed)
}

/// Where a string of C ends, and a line for expressions that know several.
fn cut_at_control(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let end = path.iter().position(u8::is_ascii_control)?;
    path.get(..end).map(Cow::Borrowed)
}

fn drop_parameters(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    memchr(b';', path)?;
    let segments = path.split(|&b| b == b'/');
    let names = segments.map(|segment| segment.split(|&b| b == b';').next().unwrap_or_default());
    Some(names.collect::<Vec<_>>().join(&b'/').into())
}

fn resolve_dots(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    memmem::find(path, b"/.")?;
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut last_is_dots = false;
    for segment in path.split(|&b| b == b'/').skip(1) {
        last_is_dots = matches!(segment, b"." | b"..");
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    if last_is_dots {
        kept.push(b"");
    }
    let mut resolved = Vec::with_capacity(path.len());
    for segment in kept {
        resolved.push(b'/');
        resolved.extend_from_slice(segment);
    }
    if resolved.is_empty() {
        resolved.push(b'/');
    }
    (resolved != path).then_some(Cow::Owned(resolved))
}

fn merge_slashes(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    memmem::find(path, b"//")?;
    let mut merged = path.to_vec();
    merged.dedup_by(|next, before| *next == b'/' && *before == b'/');
    Some(merged.into())
}

/// `/x/` as `/x`.
fn end_without_slash(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let shorter = path.strip_suffix(b"/").filter(|shorter| !shorter.is_empty())?;
    Some(Cow::Borrowed(shorter))
}

/// `/x./` and `/x /` as Windows opens them.
fn trim_segments(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_trimmed = |b: u8| matches!(b, b'.' | b' ' | b'\t');
    let ends_so = |segment: &[u8]| segment.last().is_some_and(|&b| is_trimmed(b));
    memchr2(b'.', b' ', path).or_else(|| memchr(b'\t', path))?;
    if !path.split(|&b| b == b'/').any(ends_so) {
        return None;
    }
    let trim = |segment: &[u8]| {
        let kept = segment.iter().rposition(|&b| !is_trimmed(b)).map_or(0, |last| last + 1);
        segment.get(..kept).unwrap_or_default().to_vec()
    };
    let trimmed = path.split(|&b| b == b'/').map(trim).collect::<Vec<_>>().join(&b'/');
    Some(Cow::Owned(trimmed))
}
