//! igbinary, PHP's compact serializer (`session.serialize_handler = igbinary`), versions 1
//! and 2, read as data: no class is ever loaded.
//!
//! A text is written once and then named by its number, so a short session could expand
//! into an enormous one: its size and depth are bounded.

use serde_json::{Value, json};

use super::bytes::{Bytes, MAX_DEPTH, list_or_object, shown};
use super::{notation, php};
use crate::session::Rejected;

/// Most bytes of text in a session, however often each is named.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// One array, the form of a session, and nothing after it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Rejected> {
    let parsed = match bytes.strip_prefix(&[0, 0, 0]) {
        Some([1 | 2, content @ ..]) => session(content),
        _ => None,
    };
    parsed.ok_or_else(|| notation::unlike("a session in igbinary", bytes))
}

/// The bytes of one text: how phpredis wraps its values (`Redis::SERIALIZER_IGBINARY`).
pub(crate) fn unwrap_text(bytes: &[u8]) -> Option<&[u8]> {
    let [0, 0, 0, 1 | 2, tag @ (0x11..=0x13 | 0x26), content @ ..] = bytes else { return None };
    let mut reader = Reader { input: Bytes(content), texts: Vec::new(), left: usize::MAX };
    let text = reader.text(*tag)?;
    reader.input.0.is_empty().then_some(text)
}

fn session(content: &[u8]) -> Option<Value> {
    let mut reader = Reader { input: Bytes(content), texts: Vec::new(), left: MAX_TEXT };
    let is_array = matches!(content.first(), Some(0x14..=0x16));
    reader.value(0).filter(|_| is_array && reader.input.0.is_empty())
}

struct Reader<'a> {
    input: Bytes<'a>,
    /// Every text so far, by its number.
    texts: Vec<&'a [u8]>,
    /// How many bytes of text may still come.
    left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let tag = self.input.byte()?;
        Some(match tag {
            0x00 => Value::Null,
            // References to arrays and objects seen before; following them could go in
            // circles.
            0x01..=0x03 => self.skip_number(tag - 0x01)?,
            0x22..=0x24 => self.skip_number(tag - 0x22)?,
            0x04 => Value::Bool(false),
            0x05 => Value::Bool(true),
            0x06..=0x0b | 0x20 | 0x21 => Value::from(self.integer(tag)?),
            0x0c => Value::from(f64::from_be_bytes(self.input.array()?)),
            0x0d..=0x13 | 0x26 => shown(self.text(tag)?),
            0x14..=0x16 => {
                let count = self.number(tag - 0x14)?;
                list_or_object(self.entries(count, depth)?)
            }
            0x17..=0x1c => {
                let class = self.class(tag)?;
                self.object(class, depth)?
            }
            // The value that follows is one that others refer to.
            0x25 => self.value(depth + 1)?,
            _ => return None,
        })
    }

    /// The part behind the name of an object's class.
    fn object(&mut self, class: &[u8], depth: usize) -> Option<Value> {
        let tag = self.input.byte()?;
        match tag {
            0x14..=0x16 => {
                let count = self.number(tag - 0x14)?;
                Some(Value::Object(php::members(class, self.entries(count, depth)?)))
            }
            // The class reads this itself.
            0x1d..=0x1f => {
                let length = self.number(tag - 0x1d)?;
                self.input.take(length)?;
                Some(Value::Null)
            }
            0x27 => {
                let tag = self.input.byte()?;
                let case = self.text(tag)?;
                // Not a text to the app, so it must not pass for an id.
                Some(json!({ "enum": shown(&[class, b":", case].concat()) }))
            }
            _ => None,
        }
    }

    /// Keys and values. Each takes at least two bytes, so a larger count is not believed.
    fn entries(&mut self, count: usize, depth: usize) -> Option<Vec<(String, Value)>> {
        if count > self.input.0.len() / 2 {
            return None;
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = match self.input.byte()? {
                tag @ (0x06..=0x0b | 0x20 | 0x21) => self.integer(tag)?.to_string(),
                tag @ (0x0d..=0x13 | 0x26) => String::from_utf8_lossy(self.text(tag)?).into_owned(),
                // An entry that was removed.
                0x00 => continue,
                _ => return None,
            };
            entries.push((key, self.value(depth + 1)?));
        }
        Some(entries)
    }

    fn class(&mut self, tag: u8) -> Option<&'a [u8]> {
        if tag <= 0x19 { self.new_text(tag - 0x17) } else { self.earlier_text(tag - 0x1a) }
    }

    fn text(&mut self, tag: u8) -> Option<&'a [u8]> {
        match tag {
            0x0d => Some(&[]),
            0x0e..=0x10 => self.earlier_text(tag - 0x0e),
            0x11..=0x13 => self.new_text(tag - 0x11),
            0x26 => self.new_text(3),
            _ => None,
        }
    }

    fn new_text(&mut self, width: u8) -> Option<&'a [u8]> {
        let length = self.number(width)?;
        let text = self.input.take(length)?;
        self.texts.push(text);
        self.counted(text)
    }

    fn earlier_text(&mut self, width: u8) -> Option<&'a [u8]> {
        let number = self.number(width)?;
        let text = self.texts.get(number).copied()?;
        self.counted(text)
    }

    fn counted(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(text.len())?;
        Some(text)
    }

    /// The sign is in the tag: every second tag is negative.
    fn integer(&mut self, tag: u8) -> Option<i64> {
        let (width, is_negative) = match tag {
            0x20 | 0x21 => (3, tag == 0x21),
            _ => ((tag - 0x06) / 2, tag % 2 == 1),
        };
        let amount = i128::from(self.wide_number(width)?);
        i64::try_from(if is_negative { -amount } else { amount }).ok()
    }

    /// A number of 1, 2, 4 or 8 bytes.
    fn number(&mut self, width: u8) -> Option<usize> {
        usize::try_from(self.wide_number(width)?).ok()
    }

    fn wide_number(&mut self, width: u8) -> Option<u64> {
        match width {
            0 => self.input.byte().map(u64::from),
            1 => self.input.array().map(|bytes| u64::from(u16::from_be_bytes(bytes))),
            2 => self.input.array().map(|bytes| u64::from(u32::from_be_bytes(bytes))),
            _ => self.input.array().map(u64::from_be_bytes),
        }
    }

    fn skip_number(&mut self, width: u8) -> Option<Value> {
        self.number(width).map(|_| Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session of version 2 with this content.
    fn of(content: &[u8]) -> Option<Value> {
        parse(&[&[0, 0, 0, 2], content].concat()).ok()
    }

    #[test]
    fn every_form_of_a_number_is_read() {
        let content = b"\x14\x08\x06\x00\x06\xff\x06\x01\x07\xff\x06\x02\x08\xff\xff\x06\x03\x09\xff\xff\
            \x06\x04\x0a\xff\xff\xff\xff\x06\x05\x0b\xff\xff\xff\xff\x06\x06\x20\x7f\xff\xff\xff\xff\xff\xff\xff\
            \x06\x07\x21\x80\0\0\0\0\0\0\0";
        let expected = json!([
            255,
            -255,
            65_535,
            -65_535,
            4_294_967_295_u32,
            -4_294_967_295_i64,
            i64::MAX,
            i64::MIN,
        ]);
        assert_eq!(of(content), Some(expected));
        assert_eq!(of(b"\x14\x01\x06\x00\x20\x80\0\0\0\0\0\0\0"), None, "more than PHP has");
    }

    #[test]
    fn texts_are_named_by_number_and_objects_read_as_data() {
        let content = b"\x14\x03\x11\x01a\x11\x02xy\x11\x01b\x0e\x01\x11\x01c\
            \x17\x04User\x14\x02\x11\x08\0User\0id\x06\x07\x11\x01s\x1a\x04\x27\x11\x03Red";
        let expected = json!({
            "a": "xy", "b": "xy", "c": { "id": 7, "s": { "enum": "User:Red" } },
        });
        assert_eq!(of(content), Some(expected));
    }

    #[test]
    fn a_text_alone_is_unwrapped() {
        assert_eq!(unwrap_text(b"\0\0\0\x02\x11\x02ab"), Some(&b"ab"[..]));
        assert_eq!(unwrap_text(b"\0\0\0\x02\x12\0\x02ab"), Some(&b"ab"[..]));
        for other in [&b"\0\0\0\x02\x11\x02abc"[..], b"\0\0\0\x02\x11\x03ab", b"\0\0\0\x02\x14\0"] {
            assert_eq!(unwrap_text(other), None);
        }
    }

    #[test]
    fn cut_too_deep_too_long_or_other_content_is_not_a_session() {
        let deep = [b"\x14\x01\x06\x00".repeat(100), vec![0]].concat();
        // 60 KB, named thousands of times.
        let mut bomb = [b"\x15\xff\xff\x06\x00\x12\xea\x60".to_vec(), vec![b'x'; 60_000]].concat();
        bomb.extend(b"\x06\x01\x0e\x00".repeat(65_534));
        let cases: [&[u8]; 11] = [
            b"",
            b"\x06\x01",
            b"\x14",
            b"\x14\x01",
            b"\x14\x01\x06",
            b"\x14\x01\x06\x00",
            b"\x14\x00\x00",
            b"\x16\xff\xff\xff\xff\x06\x00\x00",
            b"\x14\x01\x06\x00\x0e\x05",
            &deep,
            &bomb,
        ];
        for content in cases {
            assert_eq!(of(content), None, "{:?}", content.get(..20));
        }
        assert!(parse(b"\0\0\0\x03\x14\x00").is_err(), "another version");
        assert!(parse(b"\0\0\0\x01\x14\x00").is_ok());
    }
}
