//! Small conversions to and from text: digits, hexadecimal, percent-encoding,
//! addresses, spans of time.
//!
//! Numbers bypass the formatting machinery: every request writes some, and this is several
//! times as fast.

use std::borrow::Cow;
use std::net::IpAddr;

/// A number in decimal.
pub(crate) fn push(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// The digits of `number` below `unit`, a power of ten, leading zeros included.
pub(crate) fn push_below(out: &mut String, number: u64, unit: u64) {
    let mut buffer = itoa::Buffer::new();
    // The digit of `unit` in front keeps the zeros, and is left out.
    let text = buffer.format(number % unit + unit);
    out.push_str(text.get(1..).unwrap_or_default());
}

/// Sixteen hexadecimal digits.
/// Aligned, because its digits are looked at eight at a time then.
#[derive(Clone, Copy, Debug)]
#[repr(align(8))]
pub struct Hex([u8; 16]);

impl Hex {
    pub fn new(number: u64) -> Self {
        // Eight nibbles at a time, one in each byte of a word.
        let half = |number: u32| {
            let n = u64::from(number);
            let n = (n | n << 16) & 0x0000_ffff_0000_ffff;
            let n = (n | n << 8) & 0x00ff_00ff_00ff_00ff;
            let n = (n | n << 4) & 0x0f0f_0f0f_0f0f_0f0f;
            // One in each byte whose nibble is a letter.
            let letters = ((n + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
            n + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'9' - 1)
        };
        let [a, b, c, d, rest @ ..] = number.to_be_bytes();
        let (high, low) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(rest));
        let text = u128::from(half(high)) << 64 | u128::from(half(low));
        Self(text.to_be_bytes())
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// `tchar` (RFC 9110 section 5.6.2).
#[inline]
pub(crate) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `token` (RFC 9110 section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|&byte| hex_pair(byte)).map(char::from).collect()
}

const fn hex_pair(byte: u8) -> [u8; 2] {
    const fn digit(nibble: u8) -> u8 {
        nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

/// A byte in upper-case hexadecimal.
pub(crate) fn push_hex(out: &mut String, byte: u8) {
    out.extend(hex_pair(byte).map(|digit| char::from(digit.to_ascii_uppercase())));
}

/// Lower- or upper-case hexadecimal to bytes.
pub(crate) fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| Some(hex_value(high)? << 4 | hex_value(low)?)).collect()
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// An IP address; IPv4 gets the fast path because nearly all are.
pub(crate) fn push_address(out: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            push(out, first.into());
            for octet in rest {
                out.push('.');
                push(out, octet.into());
            }
        }
        IpAddr::V6(address) => out.push_str(&address.to_string()),
    }
}

/// Percent-decodes as `decodeURIComponent` does, except that a stray `%` stays
/// what it is: the MAC decides, not the escaping. `+` stays `+`.
pub fn percent_decode(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'%') {
        return Cow::Borrowed(value);
    }
    let digit = |digit: Option<&u8>| digit.and_then(|&digit| hex_value(digit));
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        let escape =
            (byte == b'%').then(|| digit(after.first()).zip(digit(after.get(1)))).flatten();
        if let Some((high, low)) = escape {
            decoded.push(high << 4 | low);
            rest = after.get(2..).unwrap_or_default();
        } else {
            decoded.push(byte);
            rest = after;
        }
    }
    Cow::Owned(decoded)
}

/// Percent-encodes every byte of `text` but ASCII letters, digits and those in `plain`.
pub(crate) fn push_percent_encoded(out: &mut String, text: &str, plain: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            push_hex(out, byte);
        }
    }
}

/// A span of time as people say it: `40 s`, `4 min`, `3 h`, `12 days`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}

/// `text` as JavaScript's `encodeURIComponent` writes it.
pub(crate) fn encode_uri_component(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    push_percent_encoded(&mut encoded, text, b"-_.!~*'()");
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_are_kept() {
        for (number, unit, text) in [(7, 1000, "007"), (42, 100, "42"), (2026, 10_000, "2026")] {
            let mut out = String::new();
            push_below(&mut out, number, unit);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn hexadecimal_digits_are_sixteen() {
        for number in [0, 10, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(Hex::new(number).as_str(), format!("{number:016x}"));
        }
    }

    #[test]
    fn hexadecimal_text_is_read_back() {
        assert_eq!(hex(&[0, 0x0f, 0xa5, 0xff]), "000fa5ff");
        assert_eq!(from_hex(b"000Fa5fF"), Some(vec![0, 0x0f, 0xa5, 0xff]));
        for text in [&b"0"[..], b"0g", b"+1", b"0 "] {
            assert_eq!(from_hex(text), None);
        }
    }

    #[test]
    fn percent_encoding_leaves_only_the_listed_bytes() {
        let mut out = String::new();
        push_percent_encoded(&mut out, "aZ9/-\u{e9} %", b"/");
        assert_eq!(out, "aZ9/%2D%C3%A9%20%25");
        assert_eq!(&*percent_decode(out.as_bytes()), "aZ9/-\u{e9} %".as_bytes());
    }

    #[test]
    fn spans_are_said_in_the_unit_people_would_use() {
        let cases =
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days")];
        for (seconds, text) in cases {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn percent_encoding_equals_that_of_javascript() {
        assert_eq!(encode_uri_component("å b&c=d/-_.!~*'()"), "%C3%A5%20b%26c%3Dd%2F-_.!~*'()");
        let mut out = "/login?next=".to_owned();
        push_percent_encoded(&mut out, "/a?b", b"/");
        assert_eq!(out, "/login?next=/a%3Fb");
    }

    #[test]
    fn addresses_read_as_the_standard_library_writes_them() {
        for text in ["0.0.0.0", "192.0.2.10", "255.255.255.255", "2001:db8::1"] {
            let mut out = String::new();
            push_address(&mut out, text.parse().unwrap());
            assert_eq!(out, text);
        }
    }
}
