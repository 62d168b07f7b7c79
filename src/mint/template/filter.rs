//! Filters turn a value into the text a vendor's format wants.

use std::borrow::Cow;

use serde_json::Value;

use crate::base::text::encode_uri_component;
use crate::document::shown;
use crate::mint::charset::Safe;
use crate::mint::error::MintError;
use crate::mint::json::text_of;

/// One `|filter` of a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// JSON with sorted keys and sorted lists.
    CanonicalJson,
    /// The first characters, at most this many.
    First(usize),
    /// A table whose lists are texts, with commas between the items.
    Joined,
    /// JSON as it is.
    Json,
    /// `a=1&b=2`, sorted, without empty values; only `&` inside values is escaped.
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
    /// Reads a filter as a placeholder names it: `json`, `first:4`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            // The spelling from before filters had arguments.
            None if text == "first4" => ("first", Some("4")),
            None => (text, None),
        };
        let filter = match (name, argument) {
            ("cjson", None) => Some(Self::CanonicalJson),
            ("first", Some(count)) => count.parse().ok().map(Self::First),
            ("joined", None) => Some(Self::Joined),
            ("json", None) => Some(Self::Json),
            ("pairs", None) => Some(Self::Pairs),
            ("query", None) => Some(Self::Query),
            ("quote", None) => Some(Self::Quote),
            ("safe", None) => Some(Self::Safe),
            ("str", None) => Some(Self::Text),
            _ => None,
        };
        filter.ok_or_else(|| {
            format!(
                "unknown filter {}, expected one of cjson, first:COUNT, joined, json, pairs, \
                 query, quote, safe, str",
                shown(text)
            )
        })
    }

    /// Whether the filtered text can no longer break out of the text around it.
    pub(crate) const fn defuses(self) -> bool {
        match self {
            Self::CanonicalJson | Self::Json | Self::Query | Self::Quote | Self::Safe => true,
            Self::First(_) | Self::Joined | Self::Pairs | Self::Text => false,
        }
    }

    pub(crate) fn apply(self, value: &Value) -> Result<Value, MintError> {
        let text = match self {
            Self::Joined => return joined(value),
            Self::CanonicalJson => sorted(value).to_string(),
            Self::First(count) => needed_text(value)?.chars().take(count).collect(),
            Self::Json => value.to_string(),
            Self::Pairs => pairs(value, |text| text.replace('&', "%26"), Empty::Omitted)?,
            Self::Query => pairs(value, encode_uri_component, Empty::Kept)?,
            Self::Quote => Value::from(needed_text(value)?.as_ref()).to_string(),
            Self::Safe => safe(value)?,
            Self::Text => needed_text(value)?.into_owned(),
        };
        Ok(Value::String(text))
    }
}

/// Whether a query keeps a member with an empty value.
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

/// A list as JavaScript's `join` writes it: nested lists leave no trace.
fn list_text(items: &[Value]) -> Result<String, MintError> {
    let item = |item: &Value| match item {
        Value::Array(items) => list_text(items),
        Value::Null => Ok(String::new()),
        single => needed_text(single).map(Cow::into_owned),
    };
    Ok(items.iter().map(item).collect::<Result<Vec<_>, _>>()?.join(","))
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
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&escape(key));
        text.push('=');
        text.push_str(&escape(&value));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_may_have_an_argument() {
        let first = |text| Filter::parse(text).unwrap().apply(&json!("åbcdef"));
        assert_eq!(first("first:2"), Ok(json!("åb")));
        assert_eq!(first("first:100"), Ok(json!("åbcdef")));
        assert_eq!(Filter::parse("first4"), Filter::parse("first:4"));
        for text in ["first", "first:", "first:x", "json:4", "First:4", ""] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
