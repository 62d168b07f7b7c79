//! Templates: JSON with placeholders, compiled once into a tree.
//!
//! A text that is one placeholder keeps the value's type; anything else is text.
//! Values put in are data: they are never read as templates. Text from a session
//! or a browser that stands inside other text, or names a member, may hold
//! nothing a vendor could read as a wildcard: a user called `*` is a user.

mod compile;
pub(super) mod filter;
mod names;
pub(super) mod parse;
mod scope;

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::MintError;
use super::request_pattern::Safe;
use crate::base::secret::Secret;
use filter::{Filter, text_of};

pub(super) use compile::{text, value};
pub(super) use names::{Names, Params, Reads, SecretUse};
pub(super) use scope::{Scope, walk};

/// A JSON value to be.
#[derive(Clone)]
pub(super) enum Template {
    /// An optional placeholder that can never have a value here.
    Absent,
    Fixed(Value),
    List(Vec<Self>),
    Object(Vec<Entry>),
    Text(Text),
    Value(Placeholder),
}

#[derive(Clone)]
pub(super) enum Entry {
    /// `"*" = "{…}"`: the members of another table.
    Merge(Template),
    Named {
        name: Text,
        value: Template,
    },
}

/// A text to be.
#[derive(Clone)]
pub(super) struct Text(Vec<Part>);

#[derive(Clone)]
enum Part {
    Literal(String),
    Secret(Secret),
    Value(Placeholder),
}

#[derive(Clone)]
pub(super) struct Placeholder {
    source: Source,
    presence: Presence,
    filters: Vec<Filter>,
    guard: Guard,
}

/// Whether a value must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Needed,
    Optional,
}

/// Whether a value stands where a vendor might read wildcards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// As an item of a list: if it is a text, it must be a plain one.
    Item,
    Literal,
    Off,
}

impl Guard {
    fn admits(self, value: &Value) -> bool {
        match (self, text_of(value)) {
            (Self::Off, _) | (Self::Item, None) => true,
            (Self::Literal, None) => false,
            (Self::Item | Self::Literal, Some(text)) => Safe::Literal.holds(&text),
        }
    }
}

/// Where a value comes from.
#[derive(Clone)]
enum Source {
    Exp,
    ExpIso,
    ExpMs,
    Grant(Vec<String>),
    Iat,
    /// A template of the operator's, put in place of `{param.…}` when compiled.
    Inline(Box<Template>),
    Input,
    Now,
    NowMs,
    Random(usize),
    Request(String),
    Session(Vec<String>),
    Signature,
    Token,
    Ttl,
    TtlMs,
    UserId,
    Variable(usize),
}

impl Template {
    /// The value, or `None` if an optional part of it is absent.
    pub(super) fn value<'a>(
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
    pub(super) fn needed<'a>(&'a self, scope: &Scope<'a>) -> Result<Cow<'a, Value>, MintError> {
        self.value(scope)?
            .ok_or_else(|| MintError::not_allowed("a template that must have a value has none"))
    }

    /// The part of it that `path` names, while it is still a template.
    pub(super) fn descend(&self, path: &[String]) -> Option<Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self.clone()) };
        match self {
            Self::Fixed(value) => walk(value, path).cloned().map(Self::Fixed),
            Self::Object(entries) => entries.iter().find_map(|entry| match entry {
                Entry::Named { name, value } if name.is(first) => value.descend(rest),
                Entry::Merge(_) | Entry::Named { .. } => None,
            }),
            Self::Value(placeholder) if placeholder.filters.is_empty() => {
                let source = placeholder.source.descend(path)?;
                Some(Self::Value(Placeholder { source, ..placeholder.clone() }))
            }
            Self::Absent | Self::List(_) | Self::Text(_) | Self::Value(_) => None,
        }
    }

    /// Whether the settings themselves write what `path` names.
    pub(super) fn writes(&self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else { return true };
        match self {
            Self::Fixed(value) => walk(value, path).is_some(),
            Self::Object(entries) => entries.iter().any(|entry| match entry {
                Entry::Merge(template) => template.writes(path),
                Entry::Named { name, value } => name.is(first) && value.writes(rest),
            }),
            Self::Value(Placeholder { source: Source::Inline(template), filters, .. }) => {
                filters.is_empty() && template.writes(path)
            }
            Self::Absent | Self::List(_) | Self::Text(_) | Self::Value(_) => false,
        }
    }

    /// The value, if it is the same in every token.
    pub(super) fn fixed(&self) -> Option<&Value> {
        match self {
            Self::Fixed(value) => Some(value),
            Self::Absent | Self::List(_) | Self::Object(_) | Self::Text(_) | Self::Value(_) => None,
        }
    }

    /// Whether text from outside passes through it unchanged.
    fn is_raw(&self) -> bool {
        match self {
            Self::Value(placeholder) => placeholder.is_raw(),
            Self::Absent | Self::Fixed(_) | Self::List(_) | Self::Object(_) | Self::Text(_) => {
                false
            }
        }
    }
}

/// Members the template names itself win over merged ones, wherever they stand:
/// what an operator or the app adds must not replace who the user is.
fn object<'a>(entries: &'a [Entry], scope: &Scope<'a>) -> Result<Map<String, Value>, MintError> {
    let mut members = Map::with_capacity(entries.len());
    let reserved = |key: &str| {
        entries.iter().any(|entry| match entry {
            Entry::Merge(_) => false,
            Entry::Named { name, .. } => name.is(key),
        })
    };
    for entry in entries {
        match entry {
            Entry::Merge(template) => {
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
            Entry::Named { name, value } => {
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
    pub(super) fn text<'a>(&'a self, scope: &Scope<'a>) -> Result<Option<String>, MintError> {
        self.encoded(scope, str::to_owned)
    }

    /// As `text`, where absence is a refusal.
    pub(super) fn needed<'a>(&'a self, scope: &Scope<'a>) -> Result<String, MintError> {
        self.text(scope)?
            .ok_or_else(|| MintError::not_allowed("a text that must have a value has none"))
    }

    /// The text with every value put in passed through `encode`; literals stay.
    pub(super) fn encoded<'a>(
        &'a self,
        scope: &Scope<'a>,
        encode: fn(&str) -> String,
    ) -> Result<Option<String>, MintError> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Secret(secret) => text.push_str(&encode(secret.text().unwrap_or_default())),
                Part::Value(placeholder) => {
                    let Some(value) = placeholder.value(scope)? else { return Ok(None) };
                    let value = text_of(&value).ok_or_else(|| {
                        MintError::not_allowed("a list, table or nothing stands inside a text")
                    })?;
                    text.push_str(&encode(&value));
                }
            }
        }
        Ok(Some(text))
    }

    fn is(&self, name: &str) -> bool {
        match self.0.as_slice() {
            [] => name.is_empty(),
            [Part::Literal(literal)] => literal == name,
            _ => false,
        }
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
        if !self.guard.admits(&value) {
            return Err(MintError::not_allowed(format!(
                "{} is empty or holds a character that could act as a wildcard",
                self.source
            )));
        }
        let mut value = value;
        for filter in &self.filters {
            value = Cow::Owned(filter.apply(&value)?);
        }
        Ok(Some(value))
    }

    fn is_raw(&self) -> bool {
        !self.filters.iter().any(|filter| filter.defuses()) && self.source.is_raw()
    }
}
