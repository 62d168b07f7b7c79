//! Settings into templates.

use serde_json::Value as Json;

use super::expression::Position;
use super::filter::Filter;
use super::names::{Found, Names, Params};
use super::separate::separate;
use super::tree::{Guard, Placeholder, Template, TemplateEntry, Text, TextPart, ValueSource};
use crate::document::template_syntax::{self, Presence, Reference};
use crate::document::{At, Key, Value};
use crate::mint::separation::{FieldEnds, Unseparated};

/// A part of a text with its filters understood.
enum Piece {
    Literal(String),
    Placeholder(Reference, Vec<Filter>),
}

/// Compiles the operator's parameters over the preset's defaults.
pub(in crate::mint) fn params(
    own: Option<&At<'_>>,
    preset: Option<&At<'_>>,
    names: &Names<'_>,
) -> Params {
    let mut entries: Vec<(String, Option<Template>)> = Vec::new();
    for (key, at) in own.into_iter().chain(preset).flat_map(At::members) {
        if entries.iter().any(|(name, _)| *name == key.name) {
            continue;
        }
        let position = names.expressions.under(Position::Ordinary, &key.name);
        entries.push((key.name.clone(), value_in(&at, names, position)));
    }
    Params::new(entries)
}

/// Compiles any value; `None` if a problem was noted.
pub(in crate::mint) fn value(at: &At<'_>, names: &Names<'_>) -> Option<Template> {
    value_in(at, names, Position::Ordinary)
}

/// Compiles a value that must be a text.
pub(in crate::mint) fn text(at: &At<'_>, names: &Names<'_>) -> Option<Text> {
    separated(url_text(at, names)?, at)
}

/// As `text`, for a text whose values are encoded one by one: none can affect its
/// neighbours.
pub(in crate::mint) fn url_text(at: &At<'_>, names: &Names<'_>) -> Option<Text> {
    let text = at.text("a quoted string")?;
    let pieces = parsed(text, at)?;
    // A value that is the whole text cannot break out of anything.
    let guard = if pieces.len() == 1 { Guard::Off } else { Guard::Literal };
    parts(pieces, at, names, Position::Ordinary, guard)?.map_or_else(
        || {
            at.problem("this string cannot be optional");
            None
        },
        Some,
    )
}

fn value_in(at: &At<'_>, names: &Names<'_>, position: Position) -> Option<Template> {
    match &at.node.value {
        Value::Array(_) => {
            let items: Vec<_> = at.items().iter().map(|at| item(at, names, position)).collect();
            let items: Vec<_> = items.into_iter().collect::<Option<_>>()?;
            Some(folded_list(items))
        }
        Value::Boolean(_) | Value::Float(_) | Value::Integer(_) => {
            let value = at.node.to_json();
            if value.is_null() {
                at.problem("found a number that JSON cannot express");
                return None;
            }
            Some(Template::Fixed(value))
        }
        Value::Datetime => {
            at.problem("found a date, expected a string, number, list or table");
            None
        }
        Value::Table(_) => {
            let entries: Vec<_> =
                at.members().iter().map(|(key, at)| entry(key, at, names, position)).collect();
            let entries: Vec<_> = entries.into_iter().collect::<Option<_>>()?;
            Some(folded_table(entries.into_iter().flatten().collect()))
        }
        Value::Text(text) => text_value(text, at, names, position),
    }
}

/// Lists name rooms, documents, topics: one value put into a list must not mean all
/// of them.
fn item(at: &At<'_>, names: &Names<'_>, position: Position) -> Option<Template> {
    let mut template = value_in(at, names, position)?;
    if let Template::Value(placeholder) = &mut template
        && placeholder.is_raw()
    {
        placeholder.guard = Guard::Item;
    }
    Some(template)
}

fn entry(
    key: &Key,
    at: &At<'_>,
    names: &Names<'_>,
    position: Position,
) -> Option<Option<TemplateEntry>> {
    if key.name == "*" && matches!(&at.node.value, Value::Text(text) if text.starts_with('{')) {
        return Some(match value_in(at, names, position)? {
            Template::Absent => None,
            template => Some(TemplateEntry::Merge(template)),
        });
    }
    let pieces = parsed(&key.name, at);
    let name =
        pieces.and_then(|pieces| parts(pieces, at, names, Position::Ordinary, Guard::Literal));
    let value = value_in(at, names, names.expressions.under(position, &key.name))?;
    Some(match (name?, value) {
        (None, _) | (_, Template::Absent) => None,
        (Some(name), value) => Some(TemplateEntry::Named { name: separated(name, at)?, value }),
    })
}

fn text_value(text: &str, at: &At<'_>, names: &Names<'_>, position: Position) -> Option<Template> {
    let mut pieces = parsed(text, at)?;
    if let [Piece::Placeholder(..)] = pieces.as_slice()
        && let Some(Piece::Placeholder(reference, filters)) = pieces.pop()
    {
        return single(&reference, filters, at, names, position);
    }
    Some(match parts(pieces, at, names, position, Guard::Literal)? {
        None => Template::Absent,
        Some(text) => match text.0.as_slice() {
            [] => Template::Fixed("".into()),
            [TextPart::Literal(literal)] => Template::Fixed(literal.as_str().into()),
            _ => Template::Text(separated(text, at)?),
        },
    })
}

fn single(
    reference: &Reference,
    filters: Vec<Filter>,
    at: &At<'_>,
    names: &Names<'_>,
    position: Position,
) -> Option<Template> {
    let found = names.find(reference, &filters, at)?;
    let plain = filters.is_empty() && reference.presence == Presence::Needed;
    let source = match found {
        Found::Nothing => return Some(Template::Absent),
        Found::Secret(secret) => return Some(Template::Text(Text(vec![TextPart::Secret(secret)]))),
        Found::Template(template) if plain && !template.is_raw() => return Some(template),
        // Known and not empty, so it no longer matters whether it may be absent.
        Found::Template(Template::Fixed(value))
            if filters.is_empty() && !value.is_null() && value != "" =>
        {
            return Some(Template::Fixed(value));
        }
        Found::Template(template) => ValueSource::Inline(Box::new(template)),
        Found::ValueSource(source) => source,
    };
    let placeholder = placeholder(source, reference.presence, filters, Guard::Off).at(position);
    check_expression(&placeholder, at, names, position)?;
    Some(Template::Value(placeholder))
}

/// The parts of a text; `Some(None)` if an optional part can never be there.
fn parts(
    pieces: Vec<Piece>,
    at: &At<'_>,
    names: &Names<'_>,
    position: Position,
    guard: Guard,
) -> Option<Option<Text>> {
    let mut parts = Vec::new();
    let mut absent = false;
    for piece in pieces {
        let (reference, filters) = match piece {
            Piece::Literal(literal) => {
                parts.push(TextPart::Literal(literal));
                continue;
            }
            Piece::Placeholder(reference, filters) => (reference, filters),
        };
        let source = match names.find(&reference, &filters, at)? {
            Found::Nothing => {
                absent = true;
                continue;
            }
            Found::Secret(secret) => {
                parts.push(TextPart::Secret(secret));
                continue;
            }
            Found::ValueSource(source) => source,
            Found::Template(Template::Text(text))
                if filters.is_empty() && reference.presence == Presence::Needed =>
            {
                parts.extend(text.0);
                continue;
            }
            Found::Template(template) => ValueSource::Inline(Box::new(template)),
        };
        let placeholder = placeholder(source, reference.presence, filters, guard).at(position);
        check_expression(&placeholder, at, names, position)?;
        parts.push(TextPart::Value(placeholder));
    }
    Some((!absent).then_some(Text(parts)))
}

/// The text with its fields separated from their neighbours.
fn separated(mut text: Text, at: &At<'_>) -> Option<Text> {
    if separate(&mut text.0).is_err() {
        at.problem(Unseparated::MESSAGE);
        return None;
    }
    Some(text)
}

fn placeholder(
    source: ValueSource,
    presence: Presence,
    filters: Vec<Filter>,
    guard: Guard,
) -> Placeholder {
    let mut placeholder =
        Placeholder { source, presence, filters, guard: Guard::Off, ends: FieldEnds::default() };
    if placeholder.is_raw() {
        placeholder.guard = guard;
    }
    placeholder
}

impl Placeholder {
    /// Guarded as its position asks: in an access list, text from outside is one name.
    fn at(self, position: Position) -> Self {
        match position {
            Position::Acl if self.is_raw() => {
                Self { guard: Guard::Literal, ends: FieldEnds::of_acl(), ..self }
            }
            Position::Acl | Position::Expression | Position::Ordinary => self,
        }
    }
}

fn check_expression(
    placeholder: &Placeholder,
    at: &At<'_>,
    names: &Names<'_>,
    position: Position,
) -> Option<()> {
    if position == Position::Expression && is_unsafe_in_expression(placeholder, names) {
        at.problem(format!(
            "{} is unprotected inside a filter, so a user could change the filter's meaning; write \
             it with |quote (a quoted string) or |safe (only letters, digits and _-.@:)",
            placeholder.source
        ));
        return None;
    }
    Some(())
}

/// Whether a user could change the meaning of an expression by this placeholder.
fn is_unsafe_in_expression(placeholder: &Placeholder, names: &Names<'_>) -> bool {
    if !placeholder.is_raw() {
        return false;
    }
    match &placeholder.source {
        ValueSource::Inline(template) => match template.as_ref() {
            Template::Value(inner) => is_unsafe_in_expression(inner, names),
            _ => false,
        },
        source => !names.is_safe(source),
    }
}

fn parsed(text: &str, at: &At<'_>) -> Option<Vec<Piece>> {
    let piece = |piece| {
        Ok(match piece {
            template_syntax::Piece::Literal(literal) => Piece::Literal(literal),
            template_syntax::Piece::Reference(reference) => {
                let filters = reference.filters.iter().map(|filter| Filter::parse(filter));
                let filters = filters.collect::<Result<_, String>>()?;
                Piece::Placeholder(reference, filters)
            }
        })
    };
    let pieces = template_syntax::pieces(text)
        .and_then(|pieces| pieces.into_iter().map(piece).collect::<Result<Vec<_>, _>>());
    pieces.map_err(|wrong| at.problem(wrong)).ok()
}

fn folded_list(items: Vec<Template>) -> Template {
    let fixed: Option<Vec<Json>> = items.iter().map(|item| item.fixed().cloned()).collect();
    fixed.map_or_else(
        || {
            Template::List(
                items.into_iter().filter(|item| !matches!(item, Template::Absent)).collect(),
            )
        },
        |fixed| Template::Fixed(Json::Array(fixed)),
    )
}

fn folded_table(entries: Vec<TemplateEntry>) -> Template {
    let fixed = |entry: &TemplateEntry| match entry {
        TemplateEntry::Merge(_) => None,
        TemplateEntry::Named { name, value } => match name.0.as_slice() {
            [TextPart::Literal(literal)] => Some((literal.clone(), value.fixed()?.clone())),
            _ => None,
        },
    };
    let members: Option<serde_json::Map<_, _>> = entries.iter().map(fixed).collect();
    members.map_or(Template::Object(entries), |members| Template::Fixed(Json::Object(members)))
}
