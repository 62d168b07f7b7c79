//! Settings into templates.

use serde_json::Value as Json;

use super::names::{Found, Names};
use super::parse::{Piece, Reference, pieces};
use crate::document::{At, Key, Value};
use crate::mint::template::{Entry, Guard, Part, Placeholder, Presence, Source, Template, Text};

/// What kind of text a vendor reads here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A filter expression: a search rule that decides what a user may see.
    Filter,
    Ordinary,
}

impl Place {
    pub(super) fn of(member: &str) -> Self {
        if member.to_ascii_lowercase().contains("filter") { Self::Filter } else { Self::Ordinary }
    }

    fn under(self, member: &str) -> Self {
        match self {
            Self::Filter => Self::Filter,
            Self::Ordinary => Self::of(member),
        }
    }
}

/// Compiles any value; `None` if a problem was noted.
pub(crate) fn value(at: &At<'_>, names: &Names<'_>) -> Option<Template> {
    value_in(at, names, Place::Ordinary)
}

/// Compiles a value that must be a text.
pub(crate) fn text(at: &At<'_>, names: &Names<'_>) -> Option<Text> {
    let text = at.text("a text in quotes")?;
    let pieces = parsed(text, at)?;
    // One value alone stands inside nothing.
    let guard = if pieces.len() == 1 { Guard::Off } else { Guard::Literal };
    parts(pieces, at, names, Place::Ordinary, guard)?.map_or_else(
        || {
            at.problem("this text may not be optional");
            None
        },
        Some,
    )
}

pub(super) fn value_in(at: &At<'_>, names: &Names<'_>, place: Place) -> Option<Template> {
    match &at.node.value {
        Value::Array(_) => {
            let items: Vec<_> = at.items().iter().map(|at| item(at, names, place)).collect();
            let items: Vec<_> = items.into_iter().collect::<Option<_>>()?;
            Some(folded_list(items))
        }
        Value::Boolean(_) | Value::Float(_) | Value::Integer(_) => {
            let value = at.node.to_json();
            if value.is_null() {
                at.problem("found a number that JSON cannot write");
                return None;
            }
            Some(Template::Fixed(value))
        }
        Value::Datetime => {
            at.problem("found a date, expected a text, number, list or table");
            None
        }
        Value::Table(_) => {
            let entries: Vec<_> =
                at.members().iter().map(|(key, at)| entry(key, at, names, place)).collect();
            let entries: Vec<_> = entries.into_iter().collect::<Option<_>>()?;
            Some(folded_table(entries.into_iter().flatten().collect()))
        }
        Value::Text(text) => text_value(text, at, names, place),
    }
}

/// Lists name rooms, documents, topics: what is put into one stands beside others
/// and must not mean all of them.
fn item(at: &At<'_>, names: &Names<'_>, place: Place) -> Option<Template> {
    let mut template = value_in(at, names, place)?;
    if let Template::Value(placeholder) = &mut template
        && placeholder.is_raw()
    {
        placeholder.guard = Guard::Item;
    }
    Some(template)
}

fn entry(key: &Key, at: &At<'_>, names: &Names<'_>, place: Place) -> Option<Option<Entry>> {
    if key.name == "*" && matches!(&at.node.value, Value::Text(text) if text.starts_with('{')) {
        return Some(match value_in(at, names, place)? {
            Template::Absent => None,
            template => Some(Entry::Merge(template)),
        });
    }
    let pieces = parsed(&key.name, at);
    let name = pieces.and_then(|pieces| parts(pieces, at, names, Place::Ordinary, Guard::Literal));
    let value = value_in(at, names, place.under(&key.name))?;
    Some(match (name?, value) {
        (None, _) | (_, Template::Absent) => None,
        (Some(name), value) => Some(Entry::Named { name, value }),
    })
}

fn text_value(text: &str, at: &At<'_>, names: &Names<'_>, place: Place) -> Option<Template> {
    let mut pieces = parsed(text, at)?;
    if let [Piece::Reference(_)] = pieces.as_slice()
        && let Some(Piece::Reference(reference)) = pieces.pop()
    {
        return single(reference, at, names, place);
    }
    Some(match parts(pieces, at, names, place, Guard::Literal)? {
        None => Template::Absent,
        Some(text) => match text.0.as_slice() {
            [] => Template::Fixed("".into()),
            [Part::Literal(literal)] => Template::Fixed(literal.as_str().into()),
            _ => Template::Text(text),
        },
    })
}

fn single(reference: Reference, at: &At<'_>, names: &Names<'_>, place: Place) -> Option<Template> {
    let found = names.find(&reference, at)?;
    let plain = reference.filters.is_empty() && reference.presence == Presence::Needed;
    let source = match found {
        Found::Nothing => return Some(Template::Absent),
        Found::Secret(secret) => return Some(Template::Text(Text(vec![Part::Secret(secret)]))),
        Found::Template(template) if plain && !template.is_raw() => return Some(template),
        Found::Template(template) => Source::Inline(Box::new(template)),
        Found::Source(source) => source,
    };
    let placeholder = placeholder(source, reference, Guard::Off);
    check_filter(&placeholder, at, names, place)?;
    Some(Template::Value(placeholder))
}

/// The parts of a text; `Some(None)` if an optional part can never be there.
fn parts(
    pieces: Vec<Piece>,
    at: &At<'_>,
    names: &Names<'_>,
    place: Place,
    guard: Guard,
) -> Option<Option<Text>> {
    let mut parts = Vec::new();
    let mut absent = false;
    for piece in pieces {
        let reference = match piece {
            Piece::Literal(literal) => {
                parts.push(Part::Literal(literal));
                continue;
            }
            Piece::Reference(reference) => reference,
        };
        let source = match names.find(&reference, at)? {
            Found::Nothing => {
                absent = true;
                continue;
            }
            Found::Secret(secret) => {
                parts.push(Part::Secret(secret));
                continue;
            }
            Found::Source(source) => source,
            Found::Template(template) => Source::Inline(Box::new(template)),
        };
        let placeholder = placeholder(source, reference, guard);
        check_filter(&placeholder, at, names, place)?;
        parts.push(Part::Value(placeholder));
    }
    Some((!absent).then_some(Text(parts)))
}

fn placeholder(source: Source, reference: Reference, guard: Guard) -> Placeholder {
    let Reference { path: _, presence, filters } = reference;
    let mut placeholder = Placeholder { source, presence, filters, guard: Guard::Off };
    if placeholder.is_raw() {
        placeholder.guard = guard;
    }
    placeholder
}

fn check_filter(
    placeholder: &Placeholder,
    at: &At<'_>,
    names: &Names<'_>,
    place: Place,
) -> Option<()> {
    if place == Place::Filter && placeholder.is_unsafe_in_filter(names) {
        at.problem(format!(
            "{} stands in a filter without protection, so a user could change what the filter \
             says; write it with |quote (a quoted text) or |safe (letters, digits and _-.@: only)",
            placeholder.source
        ));
        return None;
    }
    Some(())
}

fn parsed(text: &str, at: &At<'_>) -> Option<Vec<Piece>> {
    pieces(text).map_err(|wrong| at.problem(wrong)).ok()
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

fn folded_table(entries: Vec<Entry>) -> Template {
    let fixed = |entry: &Entry| match entry {
        Entry::Merge(_) => None,
        Entry::Named { name, value } => match name.0.as_slice() {
            [Part::Literal(literal)] => Some((literal.clone(), value.fixed()?.clone())),
            _ => None,
        },
    };
    let members: Option<serde_json::Map<_, _>> = entries.iter().map(fixed).collect();
    members.map_or(Template::Object(entries), |members| Template::Fixed(Json::Object(members)))
}
