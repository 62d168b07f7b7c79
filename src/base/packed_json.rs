//! A JSON value that is read once and kept long, in a third of the memory of one that may
//! still grow.

use std::fmt;

use serde_json::{Map, Number, Value};

use super::json_path::Tree;

/// A JSON value that does not change. Members keep their order; they are looked up one by
/// one, which is quickest for the few that a session has.
#[derive(Clone, PartialEq)]
pub(crate) enum PackedJson {
    Array(Box<[Self]>),
    Bool(bool),
    Null,
    Number(Number),
    Object(Box<[(Box<str>, Self)]>),
    Text(Box<str>),
}

/// Prints nothing: it is personal data.
impl fmt::Debug for PackedJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackedJson")
    }
}

impl PackedJson {
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Bool(value) => Value::Bool(*value),
            Self::Null => Value::Null,
            Self::Number(number) => Value::Number(number.clone()),
            Self::Object(members) => {
                let pair = |(name, value): &(Box<str>, Self)| (name.to_string(), value.to_value());
                Value::Object(members.iter().map(pair).collect::<Map<_, _>>())
            }
            Self::Text(text) => Value::String(text.to_string()),
        }
    }

    /// Approximate bytes in memory beside the value itself.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Array(items) => items.iter().map(|item| size_of::<Self>() + item.size()).sum(),
            Self::Bool(_) | Self::Null | Self::Number(_) => 0,
            Self::Object(members) => {
                let one = |(name, value): &(Box<str>, Self)| {
                    size_of::<(Box<str>, Self)>() + allocated(name) + value.size()
                };
                members.iter().map(one).sum()
            }
            Self::Text(text) => allocated(text),
        }
    }
}

/// Allocators round up, to eight bytes at least.
fn allocated(text: &str) -> usize {
    text.len().next_multiple_of(8)
}

impl From<Value> for PackedJson {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Value::Bool(value) => Self::Bool(value),
            Value::Null => Self::Null,
            Value::Number(number) => Self::Number(number),
            Value::Object(members) => {
                let pair = |(name, value): (String, Value)| (name.into(), value.into());
                Self::Object(members.into_iter().map(pair).collect())
            }
            Value::String(text) => Self::Text(text.into()),
        }
    }
}

impl Tree for PackedJson {
    fn item(&self, index: usize) -> Option<&Self> {
        match self {
            Self::Array(items) => items.get(index),
            Self::Bool(_) | Self::Null | Self::Number(_) | Self::Object(_) | Self::Text(_) => None,
        }
    }

    fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(own, _)| **own == *name).map(|(_, value)| value)
            }
            Self::Array(_) | Self::Bool(_) | Self::Null | Self::Number(_) | Self::Text(_) => None,
        }
    }

    fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::json_path::JsonPath;

    #[test]
    fn a_packed_value_is_the_same_value() {
        for value in [
            json!(null),
            json!([]),
            json!({}),
            json!({"b": 1, "a": [true, null, -5, 18_446_744_073_709_551_615_u64, 0.1, "x"], "": {"é": {}}}),
        ] {
            let packed = PackedJson::from(value.clone());
            assert_eq!(packed.to_value(), value);
            assert_eq!(packed.to_value().to_string(), value.to_string(), "in the same order");
        }
    }

    #[test]
    fn paths_lead_to_the_same_places() {
        let value = json!({"user": {"ids": [7, {"": "x"}], "0": "zero"}, "list": ["a"]});
        let packed = PackedJson::from(value.clone());
        for pointer in [
            "",
            "/user",
            "/user/ids/0",
            "/user/ids/1/",
            "/user/0",
            "/list/0",
            "/list/1",
            "/list/00",
            "/user/ids/x",
            "/x",
        ] {
            let path = JsonPath::from_pointer(pointer).unwrap();
            let found = path.find(&packed).map(PackedJson::to_value);
            assert_eq!(found.as_ref(), path.find(&value), "{pointer}");
        }
    }

    #[test]
    fn the_size_is_what_it_takes() {
        assert_eq!(size_of::<PackedJson>(), 24);
        let session = PackedJson::from(json!({"sub": "user-000003", "iat": 1, "exp": 2}));
        assert_eq!(session.size(), 3 * 40 + 3 * 8 + 16);
    }
}
