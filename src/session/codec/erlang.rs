//! The part of Erlang's external term format that session data uses. Atoms become strings
//! and are never created; functions and pids are refused.

use serde_json::{Map, Value};

use super::bytes::{Bytes, MAX_DEPTH, shown};
use crate::session::Rejected;

const VERSION: u8 = 131;

pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Rejected> {
    let mut input = Bytes(bytes);
    let term = input.expect(VERSION).and_then(|()| term(&mut input, 0));
    term.filter(|_| input.0.is_empty())
        .ok_or_else(|| Rejected::malformed("the session is not an Erlang term of plain data"))
}

fn term(input: &mut Bytes<'_>, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    match input.byte()? {
        // SMALL_TUPLE, LARGE_TUPLE
        104 => {
            let count = usize::from(input.byte()?);
            terms(input, count, depth).map(Value::Array)
        }
        105 => {
            let count = length(input)?;
            terms(input, count, depth).map(Value::Array)
        }
        // NIL, STRING (a list of small integers), LIST
        106 => Some(Value::Array(Vec::new())),
        107 => {
            let length = usize::from(u16::from_be_bytes(input.array()?));
            Some(input.take(length)?.iter().map(|&byte| Value::from(byte)).collect())
        }
        108 => {
            let count = length(input)?;
            let mut items = terms(input, count, depth)?;
            // The tail is NIL, except in the rare improper list (text in pieces).
            let tail = term(input, depth + 1)?;
            items.extend(Some(tail).filter(|tail| tail.as_array().is_none_or(|it| !it.is_empty())));
            Some(Value::Array(items))
        }
        // MAP
        116 => {
            let count = length(input)?;
            map(input, count, depth)
        }
        tag => scalar(tag, input),
    }
}

fn scalar(tag: u8, input: &mut Bytes<'_>) -> Option<Value> {
    match tag {
        // NEW_FLOAT, FLOAT
        70 => Some(Value::from(f64::from_be_bytes(input.array()?))),
        99 => {
            let digits = std::str::from_utf8(input.take(31)?).ok()?;
            digits.trim_end_matches('\0').parse::<f64>().ok().map(Value::from)
        }
        // SMALL_INTEGER, INTEGER
        97 => Some(Value::from(input.byte()?)),
        98 => Some(Value::from(i32::from_be_bytes(input.array()?))),
        // ATOM, SMALL_ATOM, ATOM_UTF8, SMALL_ATOM_UTF8
        100 | 118 => {
            let length = usize::from(u16::from_be_bytes(input.array()?));
            input.take(length).map(atom)
        }
        115 | 119 => {
            let length = usize::from(input.byte()?);
            input.take(length).map(atom)
        }
        // BINARY
        109 => {
            let length = length(input)?;
            input.take(length).map(shown)
        }
        // SMALL_BIG, LARGE_BIG
        110 => {
            let length = usize::from(input.byte()?);
            big(input, length)
        }
        111 => {
            let length = length(input)?;
            big(input, length)
        }
        _ => None,
    }
}

fn length(input: &mut Bytes<'_>) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(input.array()?)).ok()
}

/// Nothing is reserved for `count`: it is only a claim.
fn terms(input: &mut Bytes<'_>, count: usize, depth: usize) -> Option<Vec<Value>> {
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(term(input, depth + 1)?);
    }
    Some(items)
}

/// A member whose key is a tuple, a list or a map is left out: no pointer finds it,
/// and as text its quotes within quotes would double its length with each level.
fn map(input: &mut Bytes<'_>, count: usize, depth: usize) -> Option<Value> {
    let mut members = Map::new();
    for _ in 0..count {
        let key = term(input, depth + 1)?;
        let value = term(input, depth + 1)?;
        let name = match key {
            Value::String(text) => text,
            Value::Bool(_) | Value::Null | Value::Number(_) => key.to_string(),
            Value::Array(_) | Value::Object(_) => continue,
        };
        members.insert(name, value);
    }
    Some(Value::Object(members))
}

fn atom(name: &[u8]) -> Value {
    match name {
        b"false" => Value::Bool(false),
        b"nil" | b"undefined" => Value::Null,
        b"true" => Value::Bool(true),
        other => shown(other),
    }
}

/// A sign and little-endian digits.
fn big(input: &mut Bytes<'_>, length: usize) -> Option<Value> {
    let negative = input.byte()? != 0;
    let digits = input.take(length)?;
    Some(super::number::from_little_endian(digits, negative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_nesting_lies_and_functions_are_refused() {
        let nested = [vec![VERSION], [108, 0, 0, 0, 1].repeat(100_000)].concat();
        let cases: [&[u8]; 5] =
            [&nested, &[VERSION, 108, 255, 255, 255, 255], &[VERSION, 112], &[97, 1], &[]];
        for bytes in cases {
            assert!(parse(bytes).is_err());
        }
        assert_eq!(parse(&[VERSION, 97, 7]).unwrap(), Value::from(7));
    }

    #[test]
    fn uncommon_terms_beside_the_user_do_not_cost_the_session() {
        let float = [b"c2.50000000000000000000e+00".as_slice(), &[0; 5]].concat();
        let big = [&[110, 9, 0][..], &[0; 8], &[1]].concat();
        let improper = [108, 0, 0, 0, 1, 97, 1, 97, 2];
        let cases: [(&[u8], Value); 3] = [
            (&float, 2.5.into()),
            (&big, "18446744073709551616".into()),
            (&improper, vec![1, 2].into()),
        ];
        for (term, expected) in cases {
            assert_eq!(parse(&[&[VERSION], term].concat()).unwrap(), expected);
        }
    }

    #[test]
    fn maps_that_are_keys_of_maps_are_left_out() {
        // %{"a" => 1, {} => 2}
        let tuple = [VERSION, 116, 0, 0, 0, 2, 109, 0, 0, 0, 1, b'a', 97, 1, 104, 0, 97, 2];
        assert_eq!(parse(&tuple).unwrap(), serde_json::json!({ "a": 1 }));
        let one = [116, 0, 0, 0, 1];
        let mut nested = vec![109, 0, 0, 0, 1, b'"'];
        for _ in 0..60 {
            nested = [&one[..], &nested, &[97, 1]].concat();
        }
        assert_eq!(parse(&[&[VERSION], &nested[..]].concat()).unwrap(), serde_json::json!({}));
    }
}
