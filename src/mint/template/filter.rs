//! Filters turn a value into the text a vendor's format wants.

use std::borrow::Cow;

use aws_lc_rs::digest;
use serde_json::Value;

use super::alphabet::Alphabet;
use super::forms::{DateForm, Percent};
use crate::base::text::encode_uri_component;
use crate::document::{At, FromNode, shown};
use crate::mint::charset::Safe;
use crate::mint::error::MintError;
use crate::mint::json::text_of;

/// One `|filter` of a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// The bytes of a text, written in an alphabet.
    Base64(Alphabet),
    /// JSON with sorted keys and sorted lists.
    CanonicalJson,
    /// Unix seconds as a date.
    Date(DateForm),
    /// The first characters, at most this many.
    First(usize),
    /// A table with its lists joined by commas.
    Joined,
    /// A list as one text, with this character between the items.
    JoinedBy(char),
    /// JSON as it is.
    Json,
    /// The text itself if it has at most this many characters.
    Max(usize),
    /// Seconds as whole minutes, rounded down.
    Minutes,
    /// `a=1&b=2`, sorted, without empty values; only `&` inside values is escaped.
    Pairs,
    /// Percent-encoded text.
    Percent(Percent),
    /// `a=1&b=2`, sorted and percent-encoded as `encodeURIComponent` does.
    Query,
    /// A JSON string literal, for text inside a filter expression.
    Quote,
    /// The text itself if it is made of letters, digits and `_ - . @ :` only.
    Safe,
    /// The SHA-256 of a text, written in an alphabet.
    Sha256(Alphabet),
    /// The text of a number or truth value.
    Text,
    /// A UUID without its hyphens.
    Uuid,
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
            ("base64", None) => Some(Self::Base64(Alphabet::Base64)),
            ("base64", Some("cloudfront")) => Some(Self::Base64(Alphabet::CloudFront)),
            ("base64", Some("url")) => Some(Self::Base64(Alphabet::Url)),
            ("cjson", None) => Some(Self::CanonicalJson),
            ("date", Some("basic")) => Some(Self::Date(DateForm::Basic)),
            ("date", Some("day")) => Some(Self::Date(DateForm::Day)),
            ("date", Some("http")) => Some(Self::Date(DateForm::Http)),
            ("date", Some("utc")) => Some(Self::Date(DateForm::Utc)),
            ("first", Some(count)) => count.parse().ok().map(Self::First),
            ("joined", None) => Some(Self::Joined),
            ("joined", Some(by)) => one_character(by).map(Self::JoinedBy),
            ("json", None) => Some(Self::Json),
            ("max", Some(count)) => count.parse().ok().map(Self::Max),
            ("minutes", None) => Some(Self::Minutes),
            ("percent", None) => Some(Self::Percent(Percent::Component)),
            ("percent", Some("lower")) => Some(Self::Percent(Percent::Lower)),
            ("percent", Some("path")) => Some(Self::Percent(Percent::Path)),
            ("pairs", None) => Some(Self::Pairs),
            ("query", None) => Some(Self::Query),
            ("quote", None) => Some(Self::Quote),
            ("safe", None) => Some(Self::Safe),
            ("sha256", Some(alphabet)) => Alphabet::named(alphabet).map(Self::Sha256),
            ("str", None) => Some(Self::Text),
            ("uuid", None) => Some(Self::Uuid),
            _ => None,
        };
        filter.ok_or_else(|| {
            format!(
                "unknown filter {}, expected one of base64, base64:url, base64:cloudfront, cjson, \
                 date:basic, date:day, date:http, date:utc, first:COUNT, joined, joined:CHARACTER, \
                 json, max:COUNT, minutes, pairs, percent, percent:lower, percent:path, query, \
                 quote, safe, sha256:hex, sha256:base64, str, uuid",
                shown(text)
            )
        })
    }

    /// Whether the filtered text can no longer break out of the text around it.
    pub(crate) const fn defuses(self) -> bool {
        match self {
            Self::Base64(_)
            | Self::CanonicalJson
            | Self::Date(_)
            | Self::Json
            | Self::Minutes
            | Self::Query
            | Self::Quote
            | Self::Safe
            | Self::Sha256(_) => true,
            Self::First(_)
            | Self::Joined
            | Self::JoinedBy(_)
            | Self::Max(_)
            | Self::Pairs
            | Self::Percent(_)
            | Self::Text
            | Self::Uuid => false,
        }
    }

    pub(crate) fn apply(self, value: &Value) -> Result<Value, MintError> {
        let text = match self {
            Self::Joined => return joined(value),
            Self::Minutes => return minutes(value),
            Self::Base64(alphabet) => alphabet.apply(needed_text(value)?.as_bytes()),
            Self::CanonicalJson => sorted(value).to_string(),
            Self::Date(form) => date(value, form)?,
            Self::First(count) => needed_text(value)?.chars().take(count).collect(),
            Self::JoinedBy(by) => joined_by(value, by)?,
            Self::Json => value.to_string(),
            Self::Max(longest) => at_most(value, longest)?,
            Self::Pairs => pairs(value, |text| text.replace('&', "%26"), Empty::Omitted)?,
            Self::Percent(form) => percent(&needed_text(value)?, form)?,
            Self::Query => pairs(value, encode_uri_component, Empty::Kept)?,
            Self::Quote => Value::from(needed_text(value)?.as_ref()).to_string(),
            Self::Safe => safe(value)?,
            Self::Sha256(alphabet) => {
                let text = needed_text(value)?;
                alphabet.apply(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
            }
            Self::Text => needed_text(value)?.into_owned(),
            Self::Uuid => without_hyphens(&needed_text(value)?)?,
        };
        Ok(Value::String(text))
    }
}

fn date(value: &Value, form: DateForm) -> Result<String, MintError> {
    let unix = needed_text(value)?.parse().ok();
    unix.and_then(|unix| form.text(unix))
        .ok_or_else(|| MintError::not_allowed("`date` needs Unix seconds"))
}

fn minutes(value: &Value) -> Result<Value, MintError> {
    let seconds: Option<u64> = needed_text(value)?.parse().ok();
    let seconds = seconds.ok_or_else(|| MintError::not_allowed("`minutes` needs seconds"))?;
    Ok((seconds / 60).into())
}

/// A path without empty segments and dot segments, which servers resolve in different
/// ways.
fn percent(text: &str, form: Percent) -> Result<String, MintError> {
    if form == Percent::Path && text.split('/').any(|step| matches!(step, "" | "." | "..")) {
        return Err(MintError::not_allowed("a path has an empty segment or a dot segment"));
    }
    Ok(form.text(text))
}

fn one_character(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// A list as one text; a single text is a list of one.
fn joined_by(value: &Value, by: char) -> Result<String, MintError> {
    let one = std::slice::from_ref(value);
    let items = value.as_array().map_or(one, Vec::as_slice);
    let texts = items.iter().map(needed_text).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join(by.encode_utf8(&mut [0; 4])))
}

fn at_most(value: &Value, longest: usize) -> Result<String, MintError> {
    let text = needed_text(value)?;
    if text.chars().count() > longest {
        return Err(MintError::not_allowed(format!(
            "a value is longer than the {longest} characters that the vendor accepts"
        )));
    }
    Ok(text.into_owned())
}

/// A UUID as 32 digits, anything else unchanged. A value that already looks like such
/// digits is refused: it could be mistaken for another user's UUID.
fn without_hyphens(text: &str) -> Result<String, MintError> {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = text.replace('-', "");
    if text.len() == 32 && is_hex(text) {
        return Err(MintError::not_allowed(
            "a value of 32 hexadecimal digits could be mistaken for a UUID without its hyphens",
        ));
    }
    let is_uuid = lengths == [8, 4, 4, 4, 12] && is_hex(&digits);
    Ok(if is_uuid { digits } else { text.to_owned() })
}

impl FromNode for Filter {
    fn read(at: &At<'_>) -> Option<Self> {
        let text = at.text("the name of a filter, such as \"uuid\"")?;
        Self::parse(text).map_err(|wrong| at.problem(wrong)).ok()
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
            "a value filtered with `safe` has characters other than letters, digits and _-.@:",
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

/// A list as JavaScript's `join` writes it: nested lists are flattened.
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
        MintError::not_allowed("a list or table stands where a template needs a string")
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

    fn filtered(filter: &str, value: &Value) -> Result<Value, MintError> {
        Filter::parse(filter).unwrap().apply(value)
    }

    #[test]
    fn a_uuid_loses_its_hyphens_and_no_two_ids_become_one() {
        let uuid = json!("550e8400-e29b-41d4-a716-446655440000");
        assert_eq!(filtered("uuid", &uuid), Ok(json!("550e8400e29b41d4a716446655440000")));
        for other in ["user_42", "550e8400-e29b-41d4-a716", "auth0|5f7c8ec7c33c6c004bbafe82", ""] {
            assert_eq!(filtered("uuid", &json!(other)), Ok(json!(other)));
        }
        assert!(filtered("uuid", &json!("550e8400e29b41d4a716446655440000")).is_err());
        assert_eq!(filtered("max:2", &json!("åb")), Ok(json!("åb")));
        assert!(filtered("max:2", &json!("abc")).is_err());
    }

    #[test]
    fn lists_dates_and_digests_are_written_as_vendors_write_them() {
        for (filter, value, text) in [
            ("joined:!", json!(["/a", "/b"]), "/a!/b"),
            ("joined:!", json!("/a"), "/a"),
            ("percent", json!("/a b*é"), "%2Fa%20b*%C3%A9"),
            ("percent:lower", json!("/A b*~"), "%2fA%20b*%7e"),
            ("percent:path", json!("a/b c*"), "a/b%20c%2A"),
            ("base64", json!("a?>"), "YT8+"),
            ("base64:url", json!("a?>b"), "YT8-Yg"),
            ("base64:cloudfront", json!("a?>b"), "YT8-Yg__"),
            ("date:basic", json!(1_767_225_600), "20260101T000000Z"),
            ("date:day", json!(1_767_225_600), "20260101"),
            ("date:http", json!(1_767_225_600), "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("date:utc", json!("1767229200"), "2026-01-01T01:00:00Z"),
            ("sha256:base64", json!(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ] {
            assert_eq!(filtered(filter, &value), Ok(json!(text)), "{filter}");
        }
        for filter in ["date", "date:x", "joined:ab", "percent:upper", "sha256", "max", "uuid:x"] {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
        assert!(filtered("date:utc", &json!("soon")).is_err());
        for path in ["", "/a", "a/", "a//b", "../a", "a/./b", "a/.."] {
            assert!(filtered("percent:path", &json!(path)).is_err(), "{path}");
        }
    }

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
