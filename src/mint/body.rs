//! The bodies browsers send: JSON and forms, read strictly. A body with two readings is
//! refused, because the app behind might choose the other one.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::error::MintError;

/// The JSON of a body; nothing if it is empty.
pub(super) fn document(body: &[u8]) -> Result<Value, MintError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let read = serde_json::from_slice(body).map(|Unambiguous(value)| value);
    read.map_err(|_| MintError::bad_request("the body is not JSON, or has the same member twice"))
}

/// JSON whose members have different names.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Unambiguous(value))) = entries.next_entry::<String, _>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(members.into())
    }
}

/// The one field called `name`; twice is ambiguous.
pub(super) fn form_field(text: &str, name: &str) -> Result<Option<String>, MintError> {
    let mut found = None;
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decoded(key)? != name {
            continue;
        }
        if found.replace(decoded(value)?.into_owned()).is_some() {
            return Err(MintError::bad_request("a request input is given twice"));
        }
    }
    Ok(found)
}

/// `application/x-www-form-urlencoded`, strictly: text that does not decode is refused.
fn decoded(text: &str) -> Result<Cow<'_, str>, MintError> {
    if !text.contains(['%', '+']) {
        return Ok(text.into());
    }
    let malformed = || MintError::bad_request("a request input is not percent-encoded text");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair: Vec<u8> = rest.by_ref().take(2).collect();
                let decoded = crate::base::text::from_hex(&pair);
                *decoded.as_deref().and_then(<[u8]>::first).ok_or_else(malformed)?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| malformed())
}
