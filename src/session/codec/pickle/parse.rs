//! Python pickles, read as data and never executed: the result of a call or an
//! import becomes an opaque value that holds nothing, except a `datetime`.
//!
//! Values live in an arena and are shared by index, so a pickle that repeats one
//! list a million times costs a million indices, not a million lists; turning
//! the result into JSON counts every value it writes.

use serde_json::{Map, Value};

use super::item::Item;
use super::machine::Machine;
use crate::session::Rejected;
use crate::session::codec::bytes::MAX_DEPTH;
use crate::session::codec::notation;

/// Budget for values and for text: more than any session has.
const MAX_VALUES: usize = 100_000;
const MAX_TEXT: usize = 16 * 1024 * 1024;

pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Rejected> {
    let read = Machine::run(bytes).and_then(|(arena, root)| {
        Writer { arena: &arena, left: MAX_VALUES, room: MAX_TEXT, path: Vec::new() }.json(root)
    });
    read.ok_or_else(|| notation::unlike("a pickle of plain data", bytes))
}

/// From arena to JSON, with a budget: shared values are written out each time.
struct Writer<'a> {
    arena: &'a [Item],
    left: usize,
    room: usize,
    /// The lists and dicts around the value being written.
    path: Vec<usize>,
}

impl Writer<'_> {
    /// A value; inside itself it is `null`.
    fn json(&mut self, index: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        if self.path.contains(&index) {
            return Some(Value::Null);
        }
        if self.path.len() > MAX_DEPTH {
            return None;
        }
        self.path.push(index);
        let written = self.write(index);
        self.path.pop();
        written
    }

    fn write(&mut self, index: usize) -> Option<Value> {
        match self.arena.get(index)? {
            Item::Dict(entries) => {
                let mut members = Map::new();
                for &(key, value) in entries {
                    if let Some(key) = self.name(key)? {
                        members.insert(key, self.json(value)?);
                    }
                }
                Some(Value::Object(members))
            }
            Item::List(items) => items
                .iter()
                .map(|&item| self.json(item))
                .collect::<Option<Vec<_>>>()
                .map(Value::Array),
            Item::Clock(_) | Item::Opaque => Some(Value::Null),
            Item::Plain(value) => self.plain(value).cloned(),
        }
    }

    /// A key in the form of JSON. A member with a tuple for a key is left out: no pointer
    /// finds it, and as text its quotes within quotes would double its length with each
    /// level.
    fn name(&mut self, key: usize) -> Option<Option<String>> {
        let Item::Plain(key) = self.arena.get(key)? else { return Some(None) };
        Some(match self.plain(key)? {
            Value::String(text) => Some(text.clone()),
            key @ (Value::Bool(_) | Value::Null | Value::Number(_)) => Some(key.to_string()),
            Value::Array(_) | Value::Object(_) => None,
        })
    }

    /// A value to write out, if the budget for text allows.
    fn plain<'v>(&mut self, value: &'v Value) -> Option<&'v Value> {
        let text = value.get("base64").unwrap_or(value).as_str().map_or(0, str::len);
        self.room = self.room.checked_sub(text)?;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_values_of_every_protocol_are_read() {
        let cases: [(&[u8], Value); 7] = [
            (b"(dp0\nVa\np1\nI5\nsVb\nI01\ns.", json!({"a": 5, "b": true})),
            (
                b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x05X\x01\x00\x00\x00bNu.",
                json!({"a": 5, "b": null}),
            ),
            (
                b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94\x8a\x01\xffs.",
                json!({"a": -1}),
            ),
            (b"\x80\x04]\x94(K\x01\x88G?\xf8\x00\x00\x00\x00\x00\x00e.", json!([1, true, 1.5])),
            (b"cposix\nsystem\n(S'id'\ntR.", Value::Null),
            (b"V\xe9\\u4e2d\\U0001f600\\u005c\n.", json!("\u{e9}\u{4e2d}\u{1f600}\\")),
            (b"\x80\x03C\x017.", json!({"base64": "Nw=="})),
        ];
        for (pickle, expected) in cases {
            assert_eq!(parse(pickle).unwrap(), expected);
        }
    }

    #[test]
    fn a_datetime_is_its_seconds_and_without_a_known_zone_none() {
        // Written by Python 3.11: in UTC by two protocols, at +09:00 and at -03:30; without a
        // zone and in Europe/Paris; a date, a timedelta and a zone.
        let cases: [(&[u8], Value); 9] = [
            (b"\x80\x05\x95W\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xfd\x06\x02\x03\x04\x05\x01\xe2@\x94h\x00\x8c\x08timezone\x94\x93\x94h\x00\x8c\x09timedelta\x94\x93\x94K\x00K\x00K\x00\x87\x94R\x94\x85\x94R\x94\x86\x94R\x94.", json!({ "datetime": 2_379_985_445_u64 })),
            (b"\x80\x03cdatetime\ndatetime\nq\x00C\n\x07\xfd\x06\x02\x03\x04\x05\x01\xe2@q\x01cdatetime\ntimezone\nq\x02cdatetime\ntimedelta\nq\x03K\x00K\x00K\x00\x87q\x04Rq\x05\x85q\x06Rq\x07\x86q\x08Rq\x09.", json!({ "datetime": 2_379_985_445_u64 })),
            (b"\x80\x04\x95X\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xfd\x06\x02\x0c\x04\x05\x01\xe2@\x94h\x00\x8c\x08timezone\x94\x93\x94h\x00\x8c\x09timedelta\x94\x93\x94K\x00M\x90~K\x00\x87\x94R\x94\x85\x94R\x94\x86\x94R\x94.", json!({ "datetime": 2_379_985_445_u64 })),
            (b"\x80\x05\x95c\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xfd\x06\x01\x17\"\x05\x01\xe2@\x94h\x00\x8c\x08timezone\x94\x93\x94h\x00\x8c\x09timedelta\x94\x93\x94J\xff\xff\xff\xffJH \x01\x00K\x00\x87\x94R\x94\x8c\x03NST\x94\x86\x94R\x94\x86\x94R\x94.", json!({ "datetime": 2_379_985_445_u64 })),
            (b"\x80\x05\x95*\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xfd\x06\x02\x03\x04\x05\x01\xe2@\x94\x85\x94R\x94.", json!({ "datetime": null })),
            (b"\x80\x05\x95~\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xfd\x06\x02\x05\x04\x05\x01\xe2@\x94\x8c\x08builtins\x94\x8c\x07getattr\x94\x93\x94\x8c\x08zoneinfo\x94\x8c\x08ZoneInfo\x94\x93\x94\x8c\x09_unpickle\x94\x86\x94R\x94\x8c\x0cEurope/Paris\x94K\x01\x86\x94R\x94\x86\x94R\x94.", json!({ "datetime": null })),
            (b"\x80\x05\x95 \x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x04date\x94\x93\x94C\x04\x07\xfd\x06\x02\x94\x85\x94R\x94.", Value::Null),
            (b"\x80\x05\x95$\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x09timedelta\x94\x93\x94K\x01K\x00K\x00\x87\x94R\x94.", Value::Null),
            (b"\x80\x05\x957\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x08timezone\x94\x93\x94h\x00\x8c\x09timedelta\x94\x93\x94K\x00K\x00K\x00\x87\x94R\x94\x85\x94R\x94.", Value::Null),
        ];
        for (pickle, expected) in cases {
            assert_eq!(parse(pickle).unwrap(), expected);
        }
        // An integer as the zone, a time that is too short, month 13, spans beyond any date.
        let cases: [(&[u8], Value); 5] = [
            (b"\x80\x03cdatetime\ndatetime\nC\n\x07\xfd\x06\x02\x03\x04\x05\x01\xe2@K\x00\x86R.", json!({ "datetime": null })),
            (b"\x80\x03cdatetime\ndatetime\nC\x04\x07\xfd\x06\x02\x85R.", Value::Null),
            (b"\x80\x03cdatetime\ndatetime\nC\n\x07\xfd\x0d\x02\x03\x04\x05\x01\xe2@cpytz\n_UTC\n)R\x86R.", json!({ "datetime": null })),
            (b"cdatetime\ntimedelta\n(I9223372036854775807\nI0\ntR.", Value::Null),
            (b"cdatetime\ndatetime\n)R.", Value::Null),
        ];
        for (pickle, expected) in cases {
            assert_eq!(parse(pickle).unwrap(), expected);
        }
    }

    #[test]
    fn every_library_s_utc_is_known() {
        // Written by Python 3.11 with `zoneinfo` by two protocols, `pytz` and `dateutil`.
        let cases: [&[u8]; 4] = [
            b"\x80\x05\x95u\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xfd\x06\x02\x03\x04\x05\x00\x00\x00\x94\x8c\x08builtins\x94\x8c\x07getattr\x94\x93\x94\x8c\x08zoneinfo\x94\x8c\x08ZoneInfo\x94\x93\x94\x8c\x09_unpickle\x94\x86\x94R\x94\x8c\x03UTC\x94K\x01\x86\x94R\x94\x86\x94R\x94.",
            b"\x80\x03cdatetime\ndatetime\nq\x00C\n\x07\xfd\x06\x02\x03\x04\x05\x00\x00\x00q\x01cbuiltins\ngetattr\nq\x02czoneinfo\nZoneInfo\nq\x03X\x09\x00\x00\x00_unpickleq\x04\x86q\x05Rq\x06X\x07\x00\x00\x00Etc/UTCq\x07K\x01\x86q\x08Rq\x09\x86q\nRq\x0b.",
            b"\x80\x04\x95=\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xfd\x06\x02\x03\x04\x05\x00\x00\x00\x94\x8c\x04pytz\x94\x8c\x04_UTC\x94\x93\x94)R\x94\x86\x94R\x94.",
            b"\x80\x05\x95H\x00\x00\x00\x00\x00\x00\x00\x8c\x08datetime\x94\x8c\x08datetime\x94\x93\x94C\n\x07\xfd\x06\x02\x03\x04\x05\x00\x00\x00\x94\x8c\x0edateutil.tz.tz\x94\x8c\x05tzutc\x94\x93\x94)R\x94\x86\x94R\x94.",
        ];
        for pickle in cases {
            assert_eq!(parse(pickle).unwrap(), json!({ "datetime": 2_379_985_445_u64 }));
        }
        // getattr(ZoneInfo, "key"), and getattr of another class.
        for callee in
            ["czoneinfo\nZoneInfo\nX\x03\x00\x00\x00key", "cos\nx\nX\x09\x00\x00\x00_unpickle"]
        {
            let pickle = format!("\x02cbuiltins\ngetattr\n({callee}tR(X\x03\x00\x00\x00UTCtR.");
            let pickle = [b"\x80", pickle.as_bytes()].concat();
            assert_eq!(parse(&pickle).unwrap(), Value::Null);
        }
    }

    #[test]
    fn bombs_and_nonsense_are_refused() {
        // Ten lists, each ten times the one before: a billion values if followed.
        let mut laughs = b"\x80\x02]q\x00".to_vec();
        for level in 0..9 {
            laughs.extend_from_slice(b"](");
            for _ in 0..10 {
                laughs.extend_from_slice(&[b'h', level]);
            }
            laughs.extend_from_slice(&[b'e', b'q', level + 1]);
        }
        laughs.push(b'.');
        // One long text, again and again.
        let mut echo = [b"\x80\x02](X\x00\x00\x10\x00".to_vec(), vec![b'x'; 1 << 20]].concat();
        echo.extend_from_slice(b"q\x00");
        echo.extend_from_slice(&b"h\x00".repeat(16));
        echo.extend_from_slice(b"e.");
        let deep = [b"]".repeat(100), b"a".repeat(99), b".".to_vec()].concat();
        let cut = b"X\xff\xff\xff\x7fa.".to_vec();
        for bytes in [laughs, echo, deep, cut, b".".to_vec(), b"(".to_vec(), b"(t".to_vec()] {
            assert!(parse(&bytes).is_err());
        }
        assert!(parse(b"Pid\n.").is_err(), "persistent ids are not data");
    }

    #[test]
    fn members_without_a_json_name_are_left_out() {
        // {("t",): 1, None: 2, 7: 3, b"b": 4}
        let keys = b"\x80\x03}(U\x01t\x85K\x01NK\x02K\x07K\x03C\x01bK\x04u.";
        assert_eq!(parse(keys).unwrap(), json!({"null": 2, "7": 3}));
        // Dicts as keys of dicts, which no Python writes.
        let mut nested = b"U\x01\"".to_vec();
        for _ in 0..60 {
            nested = [b"}", nested.as_slice(), b"K\x01s"].concat();
        }
        assert_eq!(parse(&[nested, b".".to_vec()].concat()).unwrap(), json!({}));
    }

    #[test]
    fn a_value_that_contains_itself_is_left_out_and_the_rest_is_read() {
        let session = b"\x80\x02}q\x00(U\x01ah\x00U\x01bK\x07U\x01c]q\x01h\x01au.";
        assert_eq!(parse(session).unwrap(), json!({"a": null, "b": 7, "c": [null]}));
    }
}
