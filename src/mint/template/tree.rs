//! The compiled form of a template: a tree of literals and placeholders.
//!
//! Values put in are data: they are never read as templates. Text from a session or a
//! browser inside other text, or as a member's name, may contain nothing that a vendor
//! reads as a wildcard: a user called `*` is one user.

use std::fmt;

use serde_json::Value;

use super::filter::Filter;
use crate::base::json_path::{JsonPath, find};
use crate::base::secret::Secret;
use crate::document::template_syntax::Presence;
use crate::mint::charset::Safe;
use crate::mint::error::MintError;
use crate::mint::json::text_of;
use crate::mint::separation::FieldEnds;

/// The template of a JSON value.
#[derive(Clone)]
pub(in crate::mint) enum Template {
    /// An optional placeholder that can never have a value here.
    Absent,
    Fixed(Value),
    List(Vec<Self>),
    Object(Vec<TemplateEntry>),
    Text(Text),
    Value(Placeholder),
}

/// The template of a member of a table.
#[derive(Clone)]
pub(in crate::mint) enum TemplateEntry {
    /// `"*" = "{…}"`: the members of another table.
    Merge(Template),
    Named {
        name: Text,
        value: Template,
    },
}

/// The template of a text.
#[derive(Clone)]
pub(in crate::mint) struct Text(pub(super) Vec<TextPart>);

/// A part of a text.
#[derive(Clone)]
pub(super) enum TextPart {
    Literal(String),
    Secret(Secret),
    Value(Placeholder),
}

/// One value put in, with its filters and checks.
#[derive(Clone)]
pub(in crate::mint) struct Placeholder {
    pub(super) source: ValueSource,
    pub(super) presence: Presence,
    pub(super) filters: Vec<Filter>,
    pub(super) guard: Guard,
    /// The separator that ends it in a text that a vendor reads as a list.
    pub(super) ends: FieldEnds,
}

/// The check on a value at a place where a vendor might read wildcards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// As an item of a list: a string must be plain.
    Item,
    /// Inside other text, or as a name.
    Literal,
    Off,
}

impl Guard {
    pub(super) fn admits(self, value: &Value) -> bool {
        match (self, text_of(value)) {
            (Self::Off, _) | (Self::Item, None) => true,
            (Self::Literal, None) => false,
            (Self::Item | Self::Literal, Some(text)) => Safe::Literal.holds(&text),
        }
    }
}

/// Where a value comes from.
#[derive(Clone)]
pub(super) enum ValueSource {
    /// From the remote issuer's answer.
    Answer(JsonPath),
    Call(CallPart),
    Exp,
    ExpIso,
    ExpMs,
    /// The token of an exchange's first call.
    First,
    Grant(JsonPath),
    Iat,
    /// A template of the operator's, put in place of `{param.…}` when compiled.
    Inline(Box<Template>),
    Input,
    Now,
    NowMs,
    Random(usize),
    Request(String),
    Session(JsonPath),
    Signature,
    /// A further signature, by its position.
    Signatures(usize),
    Token,
    Ttl,
    TtlMs,
    UserId,
    Variable(usize),
}

/// A part of the request to a remote issuer.
#[derive(Clone, Copy)]
pub(super) enum CallPart {
    Body,
    Host,
    Method,
    Path,
}

impl Template {
    /// The part of it that `path` names, while it is still a template.
    pub(in crate::mint) fn descend(&self, path: &[String]) -> Option<Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self.clone()) };
        match self {
            Self::Fixed(value) => find(value, path).cloned().map(Self::Fixed),
            Self::Object(entries) => entries.iter().find_map(|entry| match entry {
                TemplateEntry::Named { name, value } if name.is(first) => value.descend(rest),
                TemplateEntry::Merge(_) | TemplateEntry::Named { .. } => None,
            }),
            Self::Value(placeholder) if placeholder.filters.is_empty() => {
                let source = placeholder.source.descend(path)?;
                Some(Self::Value(Placeholder { source, ..placeholder.clone() }))
            }
            Self::Absent | Self::List(_) | Self::Text(_) | Self::Value(_) => None,
        }
    }

    /// Whether the settings themselves write the member at `path`.
    pub(in crate::mint) fn writes(&self, path: &[String]) -> bool {
        let Some((first, rest)) = path.split_first() else { return true };
        match self {
            Self::Fixed(value) => find(value, path).is_some(),
            Self::Object(entries) => entries.iter().any(|entry| match entry {
                TemplateEntry::Merge(template) => template.writes(path),
                TemplateEntry::Named { name, value } => name.is(first) && value.writes(rest),
            }),
            Self::Value(Placeholder { source: ValueSource::Inline(template), filters, .. }) => {
                filters.is_empty() && template.writes(path)
            }
            Self::Absent | Self::List(_) | Self::Text(_) | Self::Value(_) => false,
        }
    }

    /// The value, if it is the same in every token.
    pub(in crate::mint) fn fixed(&self) -> Option<&Value> {
        match self {
            Self::Fixed(value) => Some(value),
            Self::Absent | Self::List(_) | Self::Object(_) | Self::Text(_) | Self::Value(_) => None,
        }
    }

    /// Whether text from outside passes through it unchanged.
    pub(super) fn is_raw(&self) -> bool {
        match self {
            Self::Value(placeholder) => placeholder.is_raw(),
            Self::Absent | Self::Fixed(_) | Self::List(_) | Self::Object(_) | Self::Text(_) => {
                false
            }
        }
    }
}

impl Text {
    /// Whether the text is always `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        match self.0.as_slice() {
            [] => name.is_empty(),
            [TextPart::Literal(literal)] => literal == name,
            _ => false,
        }
    }
}

impl Placeholder {
    /// Whether the value may stand at this place.
    pub(super) fn admits(&self, value: &Value) -> bool {
        self.guard.admits(value) && text_of(value).is_none_or(|text| self.ends.admit(&text))
    }

    /// Whether a field of the session passes through it unchanged.
    pub(super) fn is_raw_field(&self) -> bool {
        self.is_raw() && self.source.is_field()
    }

    /// Whether text from outside passes through it unchanged.
    pub(super) fn is_raw(&self) -> bool {
        !self.filters.iter().any(|filter| filter.defuses()) && self.source.is_raw()
    }
}

impl ValueSource {
    /// The member `path` of it, for sources that have members.
    pub(super) fn descend(&self, path: &[String]) -> Option<Self> {
        let longer = |start: &JsonPath| JsonPath::new([start, path].concat());
        match self {
            Self::Answer(start) => Some(Self::Answer(longer(start))),
            Self::Grant(start) => Some(Self::Grant(longer(start))),
            Self::Session(start) => Some(Self::Session(longer(start))),
            Self::Inline(template) => {
                template.descend(path).map(|found| Self::Inline(Box::new(found)))
            }
            _ => None,
        }
    }

    /// Whether it is a field of the session. A browser's input has its own patterns, and a
    /// grant is the app's decision.
    fn is_field(&self) -> bool {
        match self {
            Self::Inline(template) => match template.as_ref() {
                Template::Value(placeholder) => placeholder.is_raw_field(),
                _ => false,
            },
            Self::Session(_) | Self::UserId => true,
            _ => false,
        }
    }

    /// Whether it is text from a session or a browser.
    pub(super) fn is_raw(&self) -> bool {
        match self {
            Self::Inline(template) => template.is_raw(),
            Self::Request(_) | Self::Session(_) | Self::UserId => true,
            _ => false,
        }
    }

    /// The refusal when its required value is missing.
    pub(super) fn missing(&self) -> MintError {
        let cause = format!("{self} has no value");
        match self {
            Self::Answer(_) => MintError::IssuerFailed(cause.into()),
            Self::Request(_) => MintError::bad_request(cause),
            _ => MintError::not_allowed(cause),
        }
    }
}

/// Names the source, never its value.
impl fmt::Display for ValueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(path) => write!(f, "`answer.{}`", path.join(".")),
            Self::Grant(path) => write!(f, "`grant.{}`", path.join(".")),
            Self::Request(name) => write!(f, "`request.{name}`"),
            Self::Session(path) => write!(f, "`session.{}`", path.join(".")),
            Self::UserId => f.write_str("`session.user_id`"),
            Self::Inline(_) => f.write_str("a parameter"),
            _ => f.write_str("a placeholder"),
        }
    }
}
