//! A TOML file as a tree of values that know where they stand.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use crate::base::secret_like;

/// One value, and its place in the file in bytes.
#[derive(Clone)]
pub struct Node {
    pub value: Value,
    pub span: Range<usize>,
}

#[derive(Clone)]
pub enum Value {
    Array(Vec<Node>),
    Boolean(bool),
    Datetime,
    Float(f64),
    Integer(i64),
    Table(Vec<(Key, Node)>),
    Text(String),
}

#[derive(Clone)]
pub struct Key {
    pub name: String,
    pub span: Range<usize>,
}

impl Node {
    /// Parses a whole file. Syntax errors become problems; the readable rest is
    /// still returned.
    pub fn parse(text: &str, problems: &Problems) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            problems.add(at, "", error.message().to_owned());
        }
        let span = table.span();
        Self { value: from_table(table.get_ref()), span }
    }

    /// The same tree from JSON, without locations: how test vectors and built-in
    /// tables enter.
    pub fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::Array(items) => Value::Array(items.iter().map(Self::from_json).collect()),
            Json::Bool(value) => Value::Boolean(*value),
            Json::Null => Value::Text(String::new()),
            Json::Number(number) => number
                .as_i64()
                .map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Integer),
            Json::Object(members) => {
                let entry = |(name, json): (&String, &Json)| {
                    (Key { name: name.clone(), span: 0..0 }, Self::from_json(json))
                };
                // `null` is how JSON writes an absent member.
                Value::Table(
                    members.iter().filter(|(_, json)| !json.is_null()).map(entry).collect(),
                )
            }
            Json::String(text) => Value::Text(text.clone()),
        };
        Self { value, span: 0..0 }
    }

    /// The tree as JSON: templates and claim tests are JSON values.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Array(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Boolean(value) => Json::Bool(*value),
            Value::Datetime => Json::Null,
            Value::Float(value) => {
                serde_json::Number::from_f64(*value).map_or(Json::Null, Json::Number)
            }
            Value::Integer(value) => Json::from(*value),
            Value::Table(entries) => Json::Object(
                entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect(),
            ),
            Value::Text(text) => Json::String(text.clone()),
        }
    }

    /// The kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Array(_) => "a list",
            Value::Boolean(_) => "true or false",
            Value::Datetime => "a date",
            Value::Float(_) | Value::Integer(_) => "a number",
            Value::Table(_) => "a table",
            Value::Text(_) => "a string",
        }
    }

    /// The value for a message: repeated only if it plainly is not a secret.
    pub fn shown(&self) -> String {
        match &self.value {
            Value::Boolean(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Text(text) => shown(text),
            Value::Array(_) | Value::Datetime | Value::Table(_) => self.kind().to_owned(),
        }
    }
}

/// A text for a message. What may be a secret is described, not repeated.
pub(crate) fn shown(text: &str) -> String {
    if secret_like::is_plain(text) {
        format!("{text:?}")
    } else {
        format!("a string of {} characters (not repeated here)", text.chars().count())
    }
}

fn from_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| Node { value: from_value(item.get_ref()), span: item.span() })
                .collect(),
        ),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Float(value) => {
            Value::Float(value.as_str().replace('_', "").parse().unwrap_or(f64::NAN))
        }
        DeValue::Integer(value) => {
            let digits = value.as_str().replace('_', "");
            i64::from_str_radix(&digits, value.radix())
                .map_or(Value::Float(f64::INFINITY), Value::Integer)
        }
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Table(table) => from_table(table),
    }
}

fn from_table(table: &DeTable<'_>) -> Value {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| {
            let name = key.get_ref().clone().into_owned();
            let node = Node { value: from_value(value.get_ref()), span: value.span() };
            (Key { name, span: key.span() }, node)
        })
        .collect();
    // The parser sorts keys; people expect the order they wrote.
    entries.sort_by_key(|(key, _)| key.span.start);
    Value::Table(entries)
}
