//! PHP's `serialize` format, read as data: objects are read property by property,
//! and no class is ever loaded.

use serde_json::{Map, Value, json};

use super::bytes::{Bytes, MAX_DEPTH, list_or_object, shown};
use super::notation;
use crate::session::Rejected;

/// One serialized array, the form of a session, and nothing after it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Rejected> {
    let mut input = Bytes(bytes);
    let value = value(&mut input, 0).filter(|_| input.0.is_empty() && bytes.starts_with(b"a:"));
    value.ok_or_else(|| notation::unlike("a PHP-serialized array", bytes))
}

/// The bytes of a serialized string: how caches wrap their values.
pub(crate) fn unwrap_text(bytes: &[u8]) -> Option<&[u8]> {
    let mut input = Bytes(bytes);
    (input.byte()? == b's').then_some(())?;
    input.expect(b':')?;
    let text = text(&mut input)?;
    input.expect(b';')?;
    input.0.is_empty().then_some(text)
}

/// One serialized object and nothing after it: the name of its class, and its members.
pub(super) fn parse_object(bytes: &[u8]) -> Option<(String, Map<String, Value>)> {
    let mut input = Bytes(bytes.strip_prefix(b"O:")?);
    let class = std::str::from_utf8(class(&mut input)?).ok()?.to_owned();
    let count = number(input.until(b':')?)?;
    // Texts are not looked into once more, so this is one level of nesting.
    let members = members(class.as_bytes(), entries(&mut input, count, 1)?);
    input.0.is_empty().then_some((class, members))
}

/// PHP's own session handler: `name|value` after `name|value`.
pub(crate) fn parse_session(bytes: &[u8]) -> Result<Value, Rejected> {
    let mut input = Bytes(bytes);
    let mut entries = Vec::new();
    while !input.0.is_empty() {
        let entry = input.until(b'|').and_then(|name| {
            let name = std::str::from_utf8(name).ok()?.to_owned();
            Some((name, value(&mut input, 1)?))
        });
        entries.push(entry.ok_or_else(|| notation::unlike("PHP session data", bytes))?);
    }
    Ok(Value::Object(entries.into_iter().collect()))
}

fn value(input: &mut Bytes<'_>, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let tag = input.byte()?;
    if tag == b'N' {
        input.expect(b';')?;
        return Some(Value::Null);
    }
    input.expect(b':')?;
    match tag {
        b'a' => {
            let count = number(input.until(b':')?)?;
            entries(input, count, depth).map(list_or_object)
        }
        b'b' => Some(Value::Bool(input.until(b';')? == b"1")),
        b'C' => {
            class(input)?;
            let length = number(input.until(b':')?)?;
            input.expect(b'{')?;
            input.take(length)?;
            input.expect(b'}')?;
            Some(Value::Null)
        }
        b'd' => ascii(input.until(b';')?)?.parse::<f64>().ok().map(Value::from),
        b'E' => {
            let case = text(input)?;
            input.expect(b';')?;
            // Not a text to the app, so it must not pass for an id.
            Some(json!({ "enum": shown(case) }))
        }
        b'i' => ascii(input.until(b';')?)?.parse::<i64>().ok().map(Value::from),
        b'O' => {
            let class = class(input)?;
            let count = number(input.until(b':')?)?;
            Some(Value::Object(members(class, entries(input, count, depth)?)))
        }
        // References to values seen before; following them could go in circles.
        b'R' | b'r' => input.until(b';').map(|_| Value::Null),
        b's' => {
            let text = text(input)?;
            input.expect(b';')?;
            Some(shown(text))
        }
        _ => None,
    }
}

/// `"Name":` of an object.
fn class<'a>(input: &mut Bytes<'a>) -> Option<&'a [u8]> {
    let name = text(input)?;
    input.expect(b':')?;
    Some(name)
}

/// An object's members by their plain names. The names of private and protected ones
/// carry their class, or `*`, between zero bytes: a public member of the same name comes
/// before them, and the object's own class before its parents.
pub(super) fn members(class: &[u8], entries: Vec<(String, Value)>) -> Map<String, Value> {
    let rank = |name: &str| match name.strip_prefix('\0').and_then(|rest| rest.split_once('\0')) {
        None => 0,
        Some((owner, _)) if owner == "*" || owner.as_bytes() == class => 1,
        Some(_) => 2,
    };
    let mut ranked: Vec<_> = entries.into_iter().map(|entry| (rank(&entry.0), entry)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut members = Map::new();
    for (_, (name, value)) in ranked {
        members.entry(plain(&name)).or_insert(value);
    }
    members
}

/// A member's name without its class.
fn plain(name: &str) -> &str {
    name.strip_prefix('\0').and_then(|rest| rest.split_once('\0')).map_or(name, |(_, name)| name)
}

/// `{key;value…}`. Nothing is reserved for `count`: it is only a claim.
fn entries(input: &mut Bytes<'_>, count: usize, depth: usize) -> Option<Vec<(String, Value)>> {
    input.expect(b'{')?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let key = match value(input, depth + 1)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            other => other.get("base64")?.as_str()?.to_owned(),
        };
        entries.push((key, value(input, depth + 1)?));
    }
    input.expect(b'}')?;
    Some(entries)
}

/// `5:"bytes"`.
fn text<'a>(input: &mut Bytes<'a>) -> Option<&'a [u8]> {
    let length = number(input.until(b':')?)?;
    input.expect(b'"')?;
    let text = input.take(length)?;
    input.expect(b'"')?;
    Some(text)
}

fn number(digits: &[u8]) -> Option<usize> {
    ascii(digits)?.parse().ok()
}

fn ascii(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_objects_and_references_are_read_as_data() {
        let text = concat!(
            r#"a:4:{s:1:"e";O:3:"Bag":2:{s:1:"x";i:1;s:4:""#,
            "\0*\0y",
            r#"";b:1;}s:1:"l";a:2:{i:0;d:0.5;i:1;N;}s:1:"r";R:2;i:7;E:7:"A:Heart";}"#
        );
        let expected = json!({"e": {"x": 1, "y": true}, "l": [0.5, null], "r": null, "7": {"enum": "A:Heart"}});
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn members_are_known_by_their_plain_names_the_nearest_owner_first() {
        let entry = |name: &str, value: i32| (name.to_owned(), Value::from(value));
        let entries = vec![
            entry("\0Base\0id", 1),
            entry("\0User\0id", 2),
            entry("\0*\0name", 3),
            entry("name", 4),
            entry("\0Base\0key", 5),
            entry("\0odd", 6),
        ];
        let found = Value::Object(members(b"User", entries));
        assert_eq!(found, json!({ "id": 2, "name": 4, "key": 5, "\0odd": 6 }));
    }

    #[test]
    fn lies_about_lengths_and_endless_nesting_are_refused() {
        let nested = "a:1:{i:0;".repeat(100_000);
        for text in
            ["a:999999999:{", "s:99:\"x\";", "s:1:\"xy\";", "i:1", "i:1;i:2;", "x", "i:1;", &nested]
        {
            assert!(parse(text.as_bytes()).is_err());
        }
    }
}
