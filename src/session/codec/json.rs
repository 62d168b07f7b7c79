//! Sessions kept as JSON. Depth is bounded by the parser, size by the cookie.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;
use serde_json::Value;

use super::{notation, number};
use crate::session::Rejected;

pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Rejected> {
    parse_tidied(&tidy(bytes), bytes)
}

/// JSON as Python's `json` writes it: `NaN`, `Infinity` and `-Infinity` are numbers there,
/// and `null` here. Also for content that an app of any language may have stored.
pub(crate) fn parse_python(bytes: &[u8]) -> Result<Value, Rejected> {
    parse_tidied(&edit(bytes, Dialect::Python), bytes)
}

fn parse_tidied(tidied: &[u8], source: &[u8]) -> Result<Value, Rejected> {
    serde_json::from_slice(tidied).map_err(|_| notation::unlike("JSON", source))
}

/// Milliseconds since 1970 in a member, as JavaScript writes them.
pub(crate) fn milliseconds(session: &Value, member: &str) -> Option<u64> {
    let value = session.get(member)?;
    value.as_u64().or_else(|| value.as_f64().map(number::clamp))
}

/// The document for a parser that refuses two things frameworks write:
/// integers beyond 64 bits, which become texts so that no digit is lost, and
/// half of a surrogate pair (an emoji cut by a length limit), which becomes
/// U+FFFD. Text that is not JSON stays so.
pub(crate) fn tidy(source: &[u8]) -> Cow<'_, [u8]> {
    edit(source, Dialect::Json)
}

/// The words that stand for numbers.
#[derive(Clone, Copy)]
enum Dialect {
    Json,
    Python,
}

fn edit(source: &[u8], dialect: Dialect) -> Cow<'_, [u8]> {
    let mut edited = Edited { source, copied: 0, text: Vec::new() };
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        at = match byte {
            b'"' => string(&mut edited, at + 1),
            b'-' | b'I' | b'N' => match dialect.not_finite(source, at) {
                Some(word) => {
                    edited.replace(at..at + word.len(), b"null");
                    at + word.len()
                }
                None if byte == b'-' => integer(&mut edited, at),
                None => at + 1,
            },
            b'0'..=b'9' => integer(&mut edited, at),
            _ => at + 1,
        };
    }
    edited.finish()
}

impl Dialect {
    /// The number without an end, or without a value, that begins at `at`.
    fn not_finite(self, source: &[u8], at: usize) -> Option<&'static str> {
        let rest = source.get(at..)?;
        match self {
            Self::Json => None,
            Self::Python => ["-Infinity", "Infinity", "NaN"]
                .into_iter()
                .find(|word| rest.starts_with(word.as_bytes())),
        }
    }
}

/// The position after the string that begins at `at`.
fn string(edited: &mut Edited<'_>, mut at: usize) -> usize {
    let source = edited.source;
    while let Some(next) = source.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += next;
        if source.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += match (code_unit(source, at), code_unit(source, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                edited.replace(at..at + 6, b"\\ufffd");
                6
            }
            _ => 2,
        };
    }
    source.len()
}

/// The number of an escape `\uXXXX` that begins at `at`.
fn code_unit(source: &[u8], at: usize) -> Option<u16> {
    let digits = source.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let plain = digits.iter().all(u8::is_ascii_hexdigit);
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().filter(|_| plain)
}

/// The position after the number that begins at `at`.
fn integer(edited: &mut Edited<'_>, at: usize) -> usize {
    let rest = edited.source.get(at..).unwrap_or_default();
    let part = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
    let length = rest.iter().position(|b| !part(b)).unwrap_or(rest.len());
    let digits = rest.get(..length).and_then(|digits| std::str::from_utf8(digits).ok());
    let digits = digits.filter(|digits| !digits.trim_start_matches('-').starts_with('0'));
    if let Some(Value::String(text)) = digits.and_then(number::from_decimal) {
        edited.replace(at..at + length, format!("\"{text}\"").as_bytes());
    }
    at + length
}

/// A text with parts replaced; copied only if there are any.
struct Edited<'s> {
    source: &'s [u8],
    copied: usize,
    text: Vec<u8>,
}

impl<'s> Edited<'s> {
    fn replace(&mut self, part: Range<usize>, with: &[u8]) {
        self.text.extend_from_slice(self.source.get(self.copied..part.start).unwrap_or_default());
        self.text.extend_from_slice(with);
        self.copied = part.end;
    }

    fn finish(mut self) -> Cow<'s, [u8]> {
        if self.copied == 0 {
            return Cow::Borrowed(self.source);
        }
        self.text.extend_from_slice(self.source.get(self.copied..).unwrap_or_default());
        Cow::Owned(self.text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_of_any_size_keep_every_digit() {
        let text = br#"{"a":123456789012345678901234567890,"b":[-9223372036854775809,18446744073709551615],"c":"123456789012345678901234567890","d":1e30}"#;
        let expected = json!({
            "a": "123456789012345678901234567890",
            "b": ["-9223372036854775809", 18_446_744_073_709_551_615_u64],
            "c": "123456789012345678901234567890",
            "d": 1e30,
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn half_a_surrogate_pair_does_not_cost_the_session() {
        let parsed = parse(br#"{"n":"a\ud83d","m":"\ude00\\ud83d","p":"\ud83d\ude00\"","i":7}"#);
        let expected =
            json!({"n": "a\u{fffd}", "m": "\u{fffd}\\ud83d", "p": "\u{1f600}\"", "i": 7});
        assert_eq!(parsed.unwrap(), expected);
    }

    #[test]
    fn numbers_of_python_that_json_lacks_are_null() {
        let text = br#"{"a":NaN,"b":[Infinity, -Infinity,-1],"c":"NaN -Infinity","d":7}"#;
        let expected = json!({"a": null, "b": [null, null, -1], "c": "NaN -Infinity", "d": 7});
        assert_eq!(parse_python(text).unwrap(), expected);
        assert!(parse(text).is_err(), "JavaScript and PHP refuse them");
        for text in [
            "-NaN",
            "+Infinity",
            "--Infinity",
            "1NaN",
            "NaN1",
            "nullNaN",
            "NaNInfinity",
            "Infinit",
            "nan",
            "{NaN:1}",
            "[NaN",
            "\"NaN",
        ] {
            assert!(parse_python(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_json_is_not_made_json() {
        let long = "1".repeat(5000);
        let texts =
            ["", "\"", "\"\\", "\"\\u", "\"\\ud8", "[0123456789012345678901234]", "--1", "{"];
        for text in texts.into_iter().chain([&*long]) {
            let parsed = parse(text.as_bytes());
            assert!(parsed.is_err() || parsed.is_ok_and(|value| value.is_f64()), "{text}");
        }
    }
}
