//! MessagePack, as Flask-Session writes sessions. Depth is bounded, size by the caller.
//!
//! A map whose keys are not all different is refused, as elsewhere: readers differ in
//! which of two they believe.

use std::collections::HashSet;

use serde_json::Value;

use super::bytes::{Bytes, MAX_DEPTH, binary};
use super::notation;
use crate::session::rejected::Rejected;

/// The extension type of a time (MessagePack specification, "Timestamp").
const TIMESTAMP: u8 = 0xff;

/// One map, the form of a session, and nothing after it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Rejected> {
    let mut input = Bytes(bytes);
    let value = value(&mut input, 0).filter(|value| input.0.is_empty() && value.is_object());
    value.ok_or_else(|| notation::unlike("a map in MessagePack", bytes))
}

fn value(input: &mut Bytes<'_>, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match input.byte()? {
        small @ 0x00..=0x7f => Value::from(small),
        tag @ 0x80..=0x8f => map(input, usize::from(tag & 0x0f), depth)?,
        tag @ 0x90..=0x9f => list(input, usize::from(tag & 0x0f), depth)?,
        tag @ 0xa0..=0xbf => text(input, usize::from(tag & 0x1f))?,
        0xc0 => Value::Null,
        0xc2 => Value::Bool(false),
        0xc3 => Value::Bool(true),
        tag @ 0xc4..=0xc6 => {
            let length = length(input, tag - 0xc4)?;
            binary(input.take(length)?)
        }
        tag @ 0xc7..=0xc9 => {
            let length = length(input, tag - 0xc7)?;
            extension(input, length)?
        }
        0xca => Value::from(f64::from(f32::from_be_bytes(input.array()?))),
        0xcb => Value::from(f64::from_be_bytes(input.array()?)),
        0xcc => Value::from(input.byte()?),
        0xcd => Value::from(u16::from_be_bytes(input.array()?)),
        0xce => Value::from(u32::from_be_bytes(input.array()?)),
        0xcf => Value::from(u64::from_be_bytes(input.array()?)),
        0xd0 => Value::from(i8::from_be_bytes(input.array()?)),
        0xd1 => Value::from(i16::from_be_bytes(input.array()?)),
        0xd2 => Value::from(i32::from_be_bytes(input.array()?)),
        0xd3 => Value::from(i64::from_be_bytes(input.array()?)),
        tag @ 0xd4..=0xd8 => extension(input, 1 << (tag - 0xd4))?,
        tag @ 0xd9..=0xdb => {
            let length = length(input, tag - 0xd9)?;
            text(input, length)?
        }
        0xdc => {
            let count = length(input, 1)?;
            list(input, count, depth)?
        }
        0xdd => {
            let count = length(input, 2)?;
            list(input, count, depth)?
        }
        0xde => {
            let count = length(input, 1)?;
            map(input, count, depth)?
        }
        0xdf => {
            let count = length(input, 2)?;
            map(input, count, depth)?
        }
        small @ 0xe0..=0xff => Value::from(small.cast_signed()),
        0xc1 => return None,
    })
}

/// A length of 1, 2 or 4 bytes.
fn length(input: &mut Bytes<'_>, width: u8) -> Option<usize> {
    match width {
        0 => input.byte().map(usize::from),
        1 => input.array().map(|bytes| usize::from(u16::from_be_bytes(bytes))),
        _ => usize::try_from(u32::from_be_bytes(input.array()?)).ok(),
    }
}

fn text(input: &mut Bytes<'_>, length: usize) -> Option<Value> {
    let text = std::str::from_utf8(input.take(length)?).ok()?;
    Some(Value::from(text))
}

/// Each item takes at least one byte, so a larger count is not believed.
fn list(input: &mut Bytes<'_>, count: usize, depth: usize) -> Option<Value> {
    if count > input.0.len() {
        return None;
    }
    (0..count).map(|_| value(input, depth + 1)).collect::<Option<Vec<_>>>().map(Value::Array)
}

/// A member whose key is neither a text nor an integer is left out: no pointer finds it.
fn map(input: &mut Bytes<'_>, count: usize, depth: usize) -> Option<Value> {
    if count > input.0.len() / 2 {
        return None;
    }
    let (mut entries, mut seen) = (Vec::new(), HashSet::new());
    for _ in 0..count {
        let key = value(input, depth + 1)?;
        let value = value(input, depth + 1)?;
        let key = match key {
            Value::String(text) => text,
            Value::Number(number) if !number.is_f64() => number.to_string(),
            Value::Array(_)
            | Value::Bool(_)
            | Value::Null
            | Value::Number(_)
            | Value::Object(_) => continue,
        };
        if !seen.insert(key.clone()) {
            return None;
        }
        entries.push((key, value));
    }
    Some(Value::Object(entries.into_iter().collect()))
}

/// Times become Unix seconds; other types that an app defines stay bytes.
fn extension(input: &mut Bytes<'_>, length: usize) -> Option<Value> {
    let kind = input.byte()?;
    let content = input.take(length)?;
    if kind != TIMESTAMP {
        return Some(binary(content));
    }
    let mut time = Bytes(content);
    let seconds = match length {
        4 => i64::from(u32::from_be_bytes(time.array()?)),
        8 => i64::try_from(u64::from_be_bytes(time.array()?) & 0x3_ffff_ffff).ok()?,
        12 => {
            time.take(4)?;
            i64::from_be_bytes(time.array()?)
        }
        _ => return None,
    };
    Some(Value::from(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_the_specification_is_read() {
        let content = b"\x8d\xa1a\x01\xa1b\xff\xa1c\xc0\xa1d\xc3\xa1e\xcd\x01\x00\xa1f\xcf\xff\xff\
            \xff\xff\xff\xff\xff\xff\xa1g\xd3\x80\0\0\0\0\0\0\0\xa1h\xcb?\xf8\0\0\0\0\0\0\xa1i\x92\
            \x01\xa1x\xa1j\xd9\x01y\xa1k\xc4\x02\xff\0\xa1l\xd6\xff\x6b\x49\xd2\x00\xa1m\xde\0\x01\
            \x07\xdc\0\x01\xc2";
        let expected = json!({
            "a": 1, "b": -1, "c": null, "d": true, "e": 256, "f": u64::MAX, "g": i64::MIN,
            "h": 1.5, "i": [1, "x"], "j": "y", "k": { "base64": "/wA=" }, "l": 1_800_000_000,
            "m": { "7": [false] },
        });
        assert_eq!(parse(content).unwrap(), expected);
    }

    #[test]
    fn members_without_a_json_name_are_left_out() {
        // Written by msgspec 0.22, which Flask-Session uses: {"_user_id": "7",
        // "cart": {(5, "xl"): 2, None: 1, 1.5: 2, b"a": 3, 3: 4, True: 5, "x": 6}}
        let content =
            b"\x82\xa8_user_id\xa17\xa4cart\x87\x92\x05\xa2xl\x02\xc0\x01\xcb?\xf8\0\0\0\0\0\
            \0\x02\xc4\x01a\x03\x03\x04\xc3\x05\xa1x\x06";
        let expected = json!({ "_user_id": "7", "cart": { "3": 4, "x": 6 } });
        assert_eq!(parse(content).unwrap(), expected);
        for broken in
            [&b"\x81\xc0"[..], b"\x81\xc0\xc1", b"\x81\x91", b"\x83\xc0\x01\xa1a\x01\xa1a\x02"]
        {
            assert!(parse(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn cut_nested_too_deep_or_repeated_content_is_not_a_session() {
        let deep = [vec![0x81, 0xa1, b'a'], vec![0x91; 100], vec![0xc0]].concat();
        let cases: [&[u8]; 10] = [
            b"",
            b"\x01",
            b"\x81",
            b"\x81\xa1a",
            b"\x81\xa1a\x01\x01",
            b"\x82\xa1a\x01\xa1a\x02",
            b"\xdf\xff\xff\xff\xff\xa1a",
            b"\x81\xa1a\xdd\xff\xff\xff\xff",
            b"\x81\xa1a\xc1",
            &deep,
        ];
        for content in cases {
            assert!(parse(content).is_err(), "{content:?}");
        }
    }
}
