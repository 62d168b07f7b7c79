//! PHP's `serialize` format, read as data: objects are read property by property,
//! and no class is ever loaded.

use serde_json::{Map, Value, json};

use super::bytes::{Bytes, MAX_DEPTH, list_or_object, shown};
use super::notation;
use crate::session::Rejected;

/// Most bytes that are read a second time, where values refer to others: a few references
/// could expand into an enormous session.
const MAX_READ_AGAIN: usize = 256 * 1024;
/// The least that following one reference costs, in bytes.
const FOLLOWING: usize = 16;

/// One serialized array, the form of a session, and nothing after it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Rejected> {
    let mut reader = Reader::new(bytes);
    let value = reader.value(0);
    let value = value.filter(|_| reader.input.0.is_empty() && bytes.starts_with(b"a:"));
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
    let mut reader = Reader::new(bytes);
    reader.note(0);
    reader.open.push(0);
    reader.input.0 = bytes.strip_prefix(b"O:")?;
    let class = std::str::from_utf8(class(&mut reader.input)?).ok()?.to_owned();
    let count = number(reader.input.until(b':')?)?;
    // Texts are not looked into once more, so this is one level of nesting.
    let members = members(class.as_bytes(), reader.entries(count, 1)?);
    reader.input.0.is_empty().then_some((class, members))
}

/// PHP's own session handler: `name|value` after `name|value`.
pub(crate) fn parse_session(bytes: &[u8]) -> Result<Value, Rejected> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while !reader.input.0.is_empty() {
        let entry = reader.input.until(b'|').and_then(|name| {
            let name = std::str::from_utf8(name).ok()?.to_owned();
            Some((name, reader.value(1)?))
        });
        entries.push(entry.ok_or_else(|| notation::unlike("PHP session data", bytes))?);
    }
    Ok(Value::Object(entries.into_iter().collect()))
}

/// Reads values, and follows references (`R:2;`, `r:2;`) to values seen before: an object
/// that a session holds twice is written once.
struct Reader<'a> {
    whole: &'a [u8],
    input: Bytes<'a>,
    /// Where each value begins, by its number.
    values: Vec<usize>,
    /// Where the arrays and objects begin that are being read: a reference to one of them
    /// goes in circles.
    open: Vec<usize>,
    /// How many references are being followed.
    following: usize,
    /// How many bytes may still be read again.
    left: usize,
    /// A class has written values of its own, which may be numbered too.
    is_numbering_unsure: bool,
}

impl<'a> Reader<'a> {
    fn new(whole: &'a [u8]) -> Self {
        Self {
            whole,
            input: Bytes(whole),
            values: Vec::new(),
            open: Vec::new(),
            following: 0,
            left: MAX_READ_AGAIN,
            is_numbering_unsure: false,
        }
    }

    fn at(&self) -> usize {
        self.whole.len() - self.input.0.len()
    }

    /// Gives the next number to the value that begins there.
    fn note(&mut self, start: usize) {
        if self.following == 0 {
            self.values.push(start);
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let start = self.at();
        let tag = self.input.byte()?;
        // A variable that is another by reference has no number of its own.
        if tag != b'R' {
            self.note(start);
        }
        if tag == b'N' {
            self.input.expect(b';')?;
            return Some(Value::Null);
        }
        self.input.expect(b':')?;
        match tag {
            b'a' => {
                let count = number(self.input.until(b':')?)?;
                self.container(start, count, depth).map(list_or_object)
            }
            b'b' => Some(Value::Bool(self.input.until(b';')? == b"1")),
            b'C' => {
                class(&mut self.input)?;
                let length = number(self.input.until(b':')?)?;
                self.input.expect(b'{')?;
                self.input.take(length)?;
                self.input.expect(b'}')?;
                self.is_numbering_unsure = true;
                Some(Value::Null)
            }
            b'd' => ascii(self.input.until(b';')?)?.parse::<f64>().ok().map(Value::from),
            b'E' => {
                let case = text(&mut self.input)?;
                self.input.expect(b';')?;
                // Not a text to the app, so it must not pass for an id.
                Some(json!({ "enum": shown(case) }))
            }
            b'i' => ascii(self.input.until(b';')?)?.parse::<i64>().ok().map(Value::from),
            b'O' => {
                let class = class(&mut self.input)?;
                let count = number(self.input.until(b':')?)?;
                Some(Value::Object(members(class, self.container(start, count, depth)?)))
            }
            b'R' | b'r' => {
                let number = number(self.input.until(b';')?)?;
                Some(self.followed(number, depth).unwrap_or_default())
            }
            b's' => {
                let text = text(&mut self.input)?;
                self.input.expect(b';')?;
                Some(shown(text))
            }
            _ => None,
        }
    }

    /// The value of a number, read again; `None` for one that leads in circles or too far.
    fn followed(&mut self, number: usize, depth: usize) -> Option<Value> {
        let start = *self.values.get(number.checked_sub(1)?)?;
        if self.is_numbering_unsure || self.open.contains(&start) || self.left == 0 {
            return None;
        }
        let rest = std::mem::replace(&mut self.input, Bytes(self.whole.get(start..)?));
        self.following += 1;
        self.left = self.left.saturating_sub(FOLLOWING);
        let value = self.value(depth + 1);
        self.left = self.left.saturating_sub(self.at() - start);
        self.following -= 1;
        self.input = rest;
        value
    }

    fn container(
        &mut self,
        start: usize,
        count: usize,
        depth: usize,
    ) -> Option<Vec<(String, Value)>> {
        self.open.push(start);
        let entries = self.entries(count, depth);
        self.open.pop();
        entries
    }

    /// `{key;value…}`. Nothing is reserved for `count`: it is only a claim.
    fn entries(&mut self, count: usize, depth: usize) -> Option<Vec<(String, Value)>> {
        self.input.expect(b'{')?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let key = self.key()?;
            entries.push((key, self.value(depth + 1)?));
        }
        self.input.expect(b'}')?;
        Some(entries)
    }

    /// A key, which has no number.
    fn key(&mut self) -> Option<String> {
        let tag = self.input.byte()?;
        self.input.expect(b':')?;
        match tag {
            b'i' => ascii(self.input.until(b';')?)?.parse::<i64>().ok().map(|key| key.to_string()),
            b's' => {
                let key = text(&mut self.input)?;
                self.input.expect(b';')?;
                match shown(key) {
                    Value::String(text) => Some(text),
                    other => Some(other.get("base64")?.as_str()?.to_owned()),
                }
            }
            _ => None,
        }
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
        let expected = json!({"e": {"x": 1, "y": true}, "l": [0.5, null], "r": {"x": 1, "y": true}, "7": {"enum": "A:Heart"}});
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_a_session_holds_twice_is_read_twice() {
        // Written by PHP 8.2: an object under two names, which holds itself, and variables by
        // reference.
        let text = concat!(
            r#"n|i:1;user|O:1:"U":2:{s:2:"id";i:5;s:4:"self";r:2;}again|r:2;"#,
            r#"list|a:2:{i:0;r:2;i:1;s:1:"x";}a|s:3:"ada";b|R:9;bag|a:2:{s:2:"me";r:2;s:1:"n";R:9;}"#
        );
        let user = json!({ "id": 5, "self": null });
        let expected = json!({
            "n": 1, "user": user, "again": user, "list": [user, "x"], "a": "ada", "b": "ada",
            "bag": { "me": user, "n": "ada" },
        });
        assert_eq!(parse_session(text.as_bytes()).unwrap(), expected);
        let text = concat!(
            r#"a:4:{s:1:"k";a:1:{s:2:"id";i:7;}s:1:"l";R:2;s:1:"m";O:1:"U":2:{s:2:"id";i:5;"#,
            r#"s:4:"self";r:4;}s:1:"o";a:1:{i:0;r:4;}}"#
        );
        let id = json!({ "id": 7 });
        let expected = json!({ "k": id, "l": id, "m": user, "o": [user] });
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
        // A class may number what it writes itself: nothing behind it is followed.
        let after_a_class =
            r#"a:3:{s:1:"z";C:1:"Z":2:{zz}s:1:"u";O:1:"U":1:{s:2:"id";i:5;}s:1:"v";r:3;}"#;
        let found = parse(after_a_class.as_bytes()).unwrap();
        assert_eq!((&found["u"]["id"], &found["v"]), (&json!(5), &Value::Null));
    }

    #[test]
    fn references_do_not_expand_without_bounds() {
        let level = |at: usize| match at {
            0 => "i:0;a:2:{i:0;i:1;i:1;i:1;}".to_owned(),
            1 => "i:1;a:2:{i:0;R:2;i:1;R:2;}".to_owned(),
            _ => format!("i:{at};a:2:{{i:0;R:{0};i:1;R:{0};}}", at + 3),
        };
        let levels: String = (0..40).map(level).collect();
        let text = format!("a:40:{{{levels}}}");
        let size = parse(text.as_bytes()).unwrap().to_string().len();
        assert!(size < 4 * MAX_READ_AGAIN, "{size}");
        for text in ["a:1:{i:0;R:1;}", "a:1:{i:0;R:0;}", "a:1:{i:0;R:99;}", "a:1:{i:0;r:2;}"] {
            assert_eq!(parse(text.as_bytes()).unwrap(), json!([null]), "{text}");
        }
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
