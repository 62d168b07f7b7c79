//! Templates into values, while one token is made.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::scope::Scope;
use super::tree::{CallPart, Placeholder, Template, TemplateEntry, Text, TextPart, ValueSource};
use crate::base::calendar::push_rfc3339;
use crate::document::template_syntax::Presence;
use crate::mint::error::MintError;
use crate::mint::json::text_of;
use crate::mint::lifetime::Times;

impl Template {
    /// The value, or `None` if an optional part of it is absent.
    pub(in crate::mint) fn value<'a>(
        &'a self,
        scope: &Scope<'a>,
    ) -> Result<Option<Cow<'a, Value>>, MintError> {
        Ok(match self {
            Self::Absent => None,
            Self::Fixed(value) => Some(Cow::Borrowed(value)),
            Self::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.extend(item.value(scope)?.map(Cow::into_owned));
                }
                Some(Cow::Owned(Value::Array(list)))
            }
            Self::Object(entries) => Some(Cow::Owned(Value::Object(object(entries, scope)?))),
            Self::Text(text) => text.text(scope)?.map(|text| Cow::Owned(Value::String(text))),
            Self::Value(placeholder) => placeholder.value(scope)?,
        })
    }

    /// As `value`, where absence is a refusal.
    pub(in crate::mint) fn needed<'a>(
        &'a self,
        scope: &Scope<'a>,
    ) -> Result<Cow<'a, Value>, MintError> {
        self.value(scope)?.ok_or_else(|| MintError::not_allowed("a required value is missing"))
    }
}

/// Members the template names itself win over merged ones, wherever they stand: an
/// addition of the operator or the app must not replace who the user is.
fn object<'a>(
    entries: &'a [TemplateEntry],
    scope: &Scope<'a>,
) -> Result<Map<String, Value>, MintError> {
    let mut members = Map::with_capacity(entries.len());
    let reserved = |key: &str| {
        entries.iter().any(|entry| match entry {
            TemplateEntry::Merge(_) => false,
            TemplateEntry::Named { name, .. } => name.is(key),
        })
    };
    for entry in entries {
        match entry {
            TemplateEntry::Merge(template) => {
                let Some(merged) = template.value(scope)? else { continue };
                let Value::Object(merged) = merged.into_owned() else {
                    return Err(MintError::not_allowed(
                        "`\"*\"` merges a table, found another value",
                    ));
                };
                for (key, value) in merged {
                    if !reserved(&key) && !members.contains_key(&key) {
                        members.insert(key, value);
                    }
                }
            }
            TemplateEntry::Named { name, value } => {
                let (Some(name), Some(value)) = (name.text(scope)?, value.value(scope)?) else {
                    continue;
                };
                if members.insert(name, value.into_owned()).is_some() {
                    return Err(MintError::not_allowed(
                        "two members of a table have the same name",
                    ));
                }
            }
        }
    }
    Ok(members)
}

impl Text {
    /// The text, or `None` if an optional part of it is absent.
    pub(in crate::mint) fn text<'a>(
        &'a self,
        scope: &Scope<'a>,
    ) -> Result<Option<String>, MintError> {
        self.encoded(scope, str::to_owned)
    }

    /// As `text`, where absence is a refusal.
    pub(in crate::mint) fn needed<'a>(&'a self, scope: &Scope<'a>) -> Result<String, MintError> {
        self.text(scope)?.ok_or_else(|| MintError::not_allowed("a required string has no value"))
    }

    /// The text with every value put in passed through `encode`; literals stay.
    pub(in crate::mint) fn encoded<'a>(
        &'a self,
        scope: &Scope<'a>,
        encode: fn(&str) -> String,
    ) -> Result<Option<String>, MintError> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                TextPart::Literal(literal) => text.push_str(literal),
                TextPart::Secret(secret) => {
                    text.push_str(&encode(secret.text().unwrap_or_default()))
                }
                TextPart::Value(placeholder) => {
                    let Some(value) = placeholder.value(scope)? else { return Ok(None) };
                    let value = text_of(&value).ok_or_else(|| {
                        MintError::not_allowed("a list, a table or nothing stands inside a string")
                    })?;
                    text.push_str(&encode(&value));
                }
            }
        }
        Ok(Some(text))
    }
}

impl Placeholder {
    fn value<'a>(&'a self, scope: &Scope<'a>) -> Result<Option<Cow<'a, Value>>, MintError> {
        let found = self.source.value(scope)?.filter(|value| !value.is_null());
        let empty = |value: &Cow<'_, Value>| value.as_str() == Some("");
        let value = match (found, self.presence) {
            (None, Presence::Needed) => return Err(self.source.missing()),
            (None, Presence::Optional) => return Ok(None),
            (Some(value), Presence::Optional) if empty(&value) => return Ok(None),
            (Some(value), Presence::Needed | Presence::Optional) => value,
        };
        if !self.admits(&value) {
            return Err(MintError::not_allowed(format!(
                "{} is empty, or has a character that could act as a wildcard or end the field here",
                self.source
            )));
        }
        let mut value = value;
        for filter in &self.filters {
            value = Cow::Owned(filter.apply(&value)?);
        }
        Ok(Some(value))
    }
}

impl ValueSource {
    fn value<'a>(&'a self, scope: &Scope<'a>) -> Result<Option<Cow<'a, Value>>, MintError> {
        let text = |text: &str| Cow::Owned(Value::from(text));
        let number = |number: u64| Cow::Owned(Value::from(number));
        let Times { now, now_ms, iat, exp, ttl } = scope.times;
        Ok(match self {
            Self::Answer(path) => {
                scope.answer.and_then(|answer| path.find(answer)).map(Cow::Borrowed)
            }
            Self::Call(part) => scope.outgoing.map(|outgoing| {
                text(match part {
                    CallPart::Body => outgoing.body,
                    CallPart::Host => outgoing.host,
                    CallPart::Method => outgoing.method,
                    CallPart::Path => outgoing.path,
                })
            }),
            Self::Exp => exp.map(number),
            Self::ExpIso => exp.map(|exp| text(&iso(exp))),
            Self::ExpMs => exp.map(|exp| number(exp.saturating_mul(1000))),
            Self::First => scope.first.map(text),
            Self::Grant(path) => path.find(scope.subject.grant).map(Cow::Borrowed),
            Self::Iat => Some(number(iat)),
            Self::Inline(template) => return template.value(scope),
            Self::Input => scope.input.map(Cow::Borrowed),
            Self::Now => Some(number(now)),
            Self::NowMs => Some(number(now_ms)),
            Self::Random(index) => scope.draws.get(*index).map(|draw| text(draw)),
            Self::Request(name) => scope.subject.inputs.get(name).map(Cow::Borrowed),
            Self::Session(path) => {
                let value = path.find(scope.subject.identity.packed());
                value.map(|value| Cow::Owned(value.to_value()))
            }
            Self::Signature => scope.signature.map(text),
            Self::Signatures(index) => {
                scope.signatures.get(*index).map(|signature| text(signature))
            }
            Self::Token => scope.token.map(text),
            Self::Ttl => ttl.map(number),
            Self::TtlMs => ttl.map(|ttl| number(ttl.saturating_mul(1000))),
            Self::UserId => Some(text(scope.subject.identity.user_id())),
            Self::Variable(index) => scope.variables.get(*index).map(|variable| text(variable)),
        })
    }
}

/// Unix seconds as JavaScript's `toISOString` writes them.
fn iso(unix: u64) -> String {
    let mut text = String::with_capacity(24);
    push_rfc3339(&mut text, unix.saturating_mul(1000));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_javascript_writes_them() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_767_229_200, "2026-01-01T01:00:00.000Z"),
            (1_772_323_199, "2026-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso(unix), text);
        }
    }
}
