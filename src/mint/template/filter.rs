//! Filters: how a value becomes the text a vendor's format wants.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use crate::base::text::push_percent_encoded;
use crate::mint::MintError;
use crate::mint::request_pattern::Safe;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// JSON with sorted keys and sorted lists.
    CanonicalJson,
    /// The first four characters.
    First4,
    /// A table whose lists are texts, with commas between the items.
    Joined,
    Json,
    /// `a=1&b=2`, sorted, without what is empty; only `&` inside values is escaped.
    Pairs,
    /// `a=1&b=2`, sorted and percent-encoded as `encodeURIComponent` does.
    Query,
    /// A JSON string literal, for text inside a filter expression.
    Quote,
    /// The text itself if it is made of letters, digits and `_ - . @ :` only.
    Safe,
    /// The text of a number or truth value.
    Text,
}

impl Filter {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "cjson" => Self::CanonicalJson,
            "first4" => Self::First4,
            "joined" => Self::Joined,
            "json" => Self::Json,
            "pairs" => Self::Pairs,
            "query" => Self::Query,
            "quote" => Self::Quote,
            "safe" => Self::Safe,
            "str" => Self::Text,
            _ => {
                return Err(format!(
                    "unknown filter {}, expected one of cjson, first4, joined, json, pairs, query, \
                     quote, safe, str",
                    crate::document::shown(name)
                ));
            }
        })
    }

    /// Whether the filtered text can no longer break out of where it stands.
    pub(crate) const fn defuses(self) -> bool {
        match self {
            Self::CanonicalJson | Self::Json | Self::Query | Self::Quote | Self::Safe => true,
            Self::First4 | Self::Joined | Self::Pairs | Self::Text => false,
        }
    }

    pub(super) fn apply(self, value: &Value) -> Result<Value, MintError> {
        let text = match self {
            Self::Joined => return joined(value),
            Self::CanonicalJson => sorted(value).to_string(),
            Self::First4 => needed_text(value)?.chars().take(4).collect(),
            Self::Json => value.to_string(),
            Self::Pairs => pairs(value, |text| text.replace('&', "%26"), Empty::Omitted)?,
            Self::Query => pairs(value, percent_encoded, Empty::Kept)?,
            Self::Quote => Value::from(needed_text(value)?.as_ref()).to_string(),
            Self::Safe => safe(value)?,
            Self::Text => needed_text(value)?.into_owned(),
        };
        Ok(Value::String(text))
    }
}

/// Whether an empty value stands in a query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Kept,
    Omitted,
}

fn safe(value: &Value) -> Result<String, MintError> {
    let text = needed_text(value)?;
    if !Safe::Word.holds(&text) {
        return Err(MintError::not_allowed(
            "a value filtered with `safe` has other characters than letters, digits and _-.@:",
        ));
    }
    Ok(text.into_owned())
}

fn joined(value: &Value) -> Result<Value, MintError> {
    let Value::Object(members) = value else {
        return Err(MintError::not_allowed("`joined` needs a table"));
    };
    let member = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::Array(items) => list_text(items)?.into(),
            other => other.clone(),
        };
        Ok((key.clone(), value))
    };
    members.iter().map(member).collect::<Result<_, _>>().map(Value::Object)
}

/// A list as JavaScript's `join` writes it: lists in it are not told apart.
fn list_text(items: &[Value]) -> Result<String, MintError> {
    let item = |item: &Value| match item {
        Value::Array(items) => list_text(items),
        Value::Null => Ok(String::new()),
        single => needed_text(single).map(Cow::into_owned),
    };
    Ok(items.iter().map(item).collect::<Result<Vec<_>, _>>()?.join(","))
}

/// The text of a single value; lists, tables and nothing have none.
pub(crate) fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
        Value::Number(number) => Some(number_text(number).into()),
        Value::String(text) => Some(text.into()),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}

/// As JavaScript writes a number that is whole: without a point.
fn number_text(number: &serde_json::Number) -> String {
    let mut text = number.to_string();
    if text.ends_with(".0") {
        text.truncate(text.len() - 2);
    }
    text
}

fn needed_text(value: &Value) -> Result<Cow<'_, str>, MintError> {
    text_of(value).ok_or_else(|| {
        MintError::not_allowed("a list or table stands where a template needs a text")
    })
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_cached_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            let member = |(key, value): (&String, &Value)| (key.clone(), sorted(value));
            Value::Object(members.into_iter().map(member).collect())
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn pairs(value: &Value, escape: fn(&str) -> String, empty: Empty) -> Result<String, MintError> {
    let Value::Object(members) = value else {
        return Err(MintError::not_allowed("`query` and `pairs` need a table"));
    };
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(key, _)| *key);
    let mut text = String::new();
    for (key, value) in members {
        let value = match value {
            Value::Array(items) => list_text(items)?,
            single => needed_text(single)?.into_owned(),
        };
        if value.is_empty() && empty == Empty::Omitted {
            continue;
        }
        let separator = if text.is_empty() { "" } else { "&" };
        // Writing into a `String` cannot fail.
        let _ = write!(text, "{separator}{}={}", escape(key), escape(&value));
    }
    Ok(text)
}

/// As JavaScript's `encodeURIComponent`.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    push_percent_encoded(&mut encoded, text, b"-_.!~*'()");
    encoded
}
