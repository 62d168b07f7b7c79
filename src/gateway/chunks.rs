//! The framing of a chunked body, octet by octet as it arrives (RFC 9112 section 7.1).
//!
//! The framework is lenient here: it takes an empty size for the last chunk, and anything
//! at all for an extension. Another server on the path, which reads the same body
//! differently, would then see another end of the request. Nothing is kept or copied.

use crate::base::text::is_tchar;

/// Most octets of a chunk's first line: its size and extensions.
const LONGEST_LINE: usize = 4 * 1024;
/// Most octets of all trailer lines.
const LONGEST_TRAILERS: usize = 16 * 1024;
/// Most digits of a size, as the framework counts them.
const MOST_DIGITS: usize = 16;

/// A form that the RFC does not allow.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Position of the next octet in a chunked body.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// Octets of the line, or of the trailers, so far.
    length: usize,
    size: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    AfterName,
    AfterQuoted,
    /// Blanks that only an extension may follow.
    BeforeExtension,
    BeforeName,
    BeforeValue,
    Broken,
    Data(u64),
    DataCr,
    DataLf,
    Done,
    Escaped,
    FinalLf,
    LineLf,
    Name,
    Quoted,
    Size,
    #[default]
    SizeStart,
    TrailerLf,
    TrailerName,
    TrailerStart,
    TrailerValue,
    Value,
}

impl Chunks {
    /// Passes over `bytes`. What comes after the body is not looked at.
    pub(super) fn received(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.place {
                Place::Broken => return Err(Malformed),
                Place::Done => return Ok(()),
                Place::Data(left) => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(length..).unwrap_or_default();
                    let left = left.saturating_sub(length as u64);
                    self.place = if left == 0 { Place::DataCr } else { Place::Data(left) };
                }
                _ => {
                    self.place = self.after(byte).unwrap_or(Place::Broken);
                    bytes = rest;
                }
            }
        }
        if self.place == Place::Broken { Err(Malformed) } else { Ok(()) }
    }

    /// Whether the whole body has been seen.
    pub(super) fn is_done(&self) -> bool {
        self.place == Place::Done
    }

    /// The place after `byte`; `None` if it may not stand here.
    fn after(&mut self, byte: u8) -> Option<Place> {
        self.length += 1;
        match self.place {
            Place::SizeStart | Place::Size => self.in_size(byte),
            Place::AfterName
            | Place::AfterQuoted
            | Place::BeforeExtension
            | Place::BeforeName
            | Place::BeforeValue
            | Place::Escaped
            | Place::Name
            | Place::Quoted
            | Place::Value => {
                if self.length > LONGEST_LINE {
                    return None;
                }
                self.in_extension(byte)
            }
            Place::LineLf => {
                self.length = 0;
                let next =
                    if self.size == 0 { Place::TrailerStart } else { Place::Data(self.size) };
                (byte == b'\n').then_some(next)
            }
            Place::DataCr => (byte == b'\r').then_some(Place::DataLf),
            Place::DataLf => {
                self.length = 0;
                (byte == b'\n').then_some(Place::SizeStart)
            }
            Place::FinalLf
            | Place::TrailerLf
            | Place::TrailerName
            | Place::TrailerStart
            | Place::TrailerValue => {
                if self.length > LONGEST_TRAILERS {
                    return None;
                }
                self.in_trailers(byte)
            }
            Place::Broken => None,
            Place::Data(_) | Place::Done => Some(self.place),
        }
    }

    fn in_size(&mut self, byte: u8) -> Option<Place> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if self.place == Place::SizeStart {
                self.size = 0;
            }
            self.size = self.size.checked_mul(16)? + u64::from(digit);
            // Servers that count in 63 bits would read a longer one differently.
            let fits = self.size >> 63 == 0;
            return (fits && self.length <= MOST_DIGITS).then_some(Place::Size);
        }
        if self.place == Place::SizeStart {
            return None;
        }
        match byte {
            b'\r' => Some(Place::LineLf),
            b';' => Some(Place::BeforeName),
            b' ' | b'\t' => Some(Place::BeforeExtension),
            _ => None,
        }
    }

    /// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`
    fn in_extension(&self, byte: u8) -> Option<Place> {
        let is_blank = matches!(byte, b' ' | b'\t');
        match (self.place, byte) {
            (place @ (Place::BeforeExtension | Place::BeforeName | Place::BeforeValue), _)
                if is_blank =>
            {
                Some(place)
            }
            (Place::Name | Place::AfterName, _) if is_blank => Some(Place::AfterName),
            (Place::Value | Place::AfterQuoted, _) if is_blank => Some(Place::BeforeExtension),
            (Place::Name | Place::AfterName, b'=') => Some(Place::BeforeValue),
            (
                Place::AfterName
                | Place::AfterQuoted
                | Place::BeforeExtension
                | Place::Name
                | Place::Value,
                b';',
            ) => Some(Place::BeforeName),
            (Place::AfterQuoted | Place::Name | Place::Value, b'\r') => Some(Place::LineLf),
            (Place::BeforeName | Place::Name, _) if is_tchar(byte) => Some(Place::Name),
            (Place::BeforeValue | Place::Value, _) if is_tchar(byte) => Some(Place::Value),
            (Place::BeforeValue, b'"') => Some(Place::Quoted),
            (Place::Quoted, b'"') => Some(Place::AfterQuoted),
            (Place::Quoted, b'\\') => Some(Place::Escaped),
            (Place::Quoted | Place::Escaped, _) if is_text(byte) => Some(Place::Quoted),
            _ => None,
        }
    }

    /// `*( token ":" field-value CRLF ) CRLF`
    fn in_trailers(&self, byte: u8) -> Option<Place> {
        match (self.place, byte) {
            (Place::TrailerStart, b'\r') => Some(Place::FinalLf),
            (Place::FinalLf, b'\n') => Some(Place::Done),
            (Place::TrailerName, b':') => Some(Place::TrailerValue),
            (Place::TrailerStart | Place::TrailerName, _) if is_tchar(byte) => {
                Some(Place::TrailerName)
            }
            (Place::TrailerValue, b'\r') => Some(Place::TrailerLf),
            (Place::TrailerValue, _) if is_text(byte) => Some(Place::TrailerValue),
            (Place::TrailerLf, b'\n') => Some(Place::TrailerStart),
            _ => None,
        }
    }
}

/// Characters allowed in a field's value and, except for `"` and `\`, between quotes.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the body is whole and allowed, the same however it is cut.
    fn is_sound(body: &[u8]) -> bool {
        let mut verdicts = (1..=body.len()).map(|size| {
            let mut chunks = Chunks::default();
            let whole = body.chunks(size).all(|part| chunks.received(part).is_ok());
            whole && chunks.is_done()
        });
        let first = verdicts.next().unwrap();
        assert!(verdicts.all(|verdict| verdict == first), "{:?}", body.escape_ascii().to_string());
        first
    }

    #[test]
    fn bodies_that_the_rfc_allows_pass() {
        for body in [
            &b"0\r\n\r\n"[..],
            b"5\r\nhello\r\n0\r\n\r\n",
            b"A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n",
            b"0005\r\nhello\r\n0\r\n\r\n",
            b"5;a\r\nhello\r\n0;b=c\r\n\r\n",
            b"5;a=b;c=\"d;\\\"\xff e\"\r\nhello\r\n0\r\n\r\n",
            b"5 ; a = b ; c\r\nhello\r\n0\r\n\r\n",
            b"5\t;a=\"\"\r\nhello\r\n0\r\n\r\n",
            b"5\r\n\r\n0\r\n\r\n0\r\n\r\n",
            b"0\r\nDigest: x\r\nEmpty:\r\nT:\ta \xe9\r\n\r\n",
            b"0\r\n\r\nGET / HTTP/1.1\r\n",
        ] {
            assert!(is_sound(body), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn chunks_that_the_rfc_forbids_break_the_body() {
        for body in [
            &b"\r\n"[..],
            b"\r\n0\r\n\r\n",
            b"\n0\r\n\r\n",
            b";a\r\n\r\n",
            b" 0\r\n\r\n",
            b"0x0\r\n\r\n",
            b"+0\r\n\r\n",
            b"-0\r\n\r\n",
            b"0_0\r\n\r\n",
            b"0 \r\n\r\n",
            b"0\t\r\n\r\n",
            b"0\n\r\n",
            b"0\n\n",
            b"0\r\r\n\r\n",
            b"0\r\n\n",
            b"0\r\n\r\r\n",
            b"0;\r\n\r\n",
            b"0;;a\r\n\r\n",
            b"0;a=\r\n\r\n",
            b"0;=a\r\n\r\n",
            b"0;a \r\n\r\n",
            b"0;a=b \r\n\r\n",
            b"0;a=b c\r\n\r\n",
            b"0;a\n0\r\n\r\n",
            b"0;a=\"\n\"\r\n\r\n",
            b"0;a=\"b\r\n\"\r\n\r\n",
            b"0;a=\"b\"c\r\n\r\n",
            b"0;a=\"\\\r\n\"\r\n\r\n",
            b"0;a\0\r\n\r\n",
            b"0;a\x7f\r\n\r\n",
            b"0;a\rb\r\n\r\n",
            b"0;\xe9\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello\r0\r\n\r\n",
            b"5\r\nhello\r\n\r\n0\r\n\r\n",
            b"5\r\nhello\r\n\r\n",
            b"4\r\nhello\r\n0\r\n\r\n",
            b"00000000000000000\r\n\r\n",
            b"10000000000000000\r\n\r\n",
            b"8000000000000000\r\n\r\n",
            b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\nA: b\r\n c\r\n\r\n",
            b"0\r\nA : b\r\n\r\n",
            b"0\r\nA\r\n\r\n",
            b"0\r\n: b\r\n\r\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\nA: b\rc\r\n\r\n",
            b"0\r\nA: \0\r\n\r\n",
            b"0\r\nA\xe9: b\r\n\r\n",
            b"5\r\nhello\r\n",
            b"0\r\n",
        ] {
            assert!(!is_sound(body), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn lines_and_trailers_have_a_longest_length() {
        let extension = |length| [&b"0;"[..], &vec![b'a'; length], b"\r\n\r\n"].concat();
        let sound = |body: &[u8]| Chunks::default().received(body).is_ok();
        assert!(sound(&extension(1000)) && !sound(&extension(LONGEST_LINE)));
        let trailers = |count| [b"0\r\n".to_vec(), b"A: bcde\r\n".repeat(count)].concat();
        assert!(sound(&trailers(100)) && !sound(&trailers(LONGEST_TRAILERS / 9 + 1)));
    }
}
