//! The placeholder syntax: `{path}`, `{path?}`, `{path|filter}`, `{{`, `}}`.
//!
//! Syntax only; what a path may refer to is `names.rs`. Texts are parsed once,
//! when settings are read, and what is put in for a placeholder is never
//! looked at again.

use super::Presence;
use super::filter::Filter;
use crate::document::{Node, Value, shown};

pub(crate) enum Piece {
    Literal(String),
    Reference(Reference),
}

/// What stands between braces.
pub(crate) struct Reference {
    pub path: Vec<String>,
    pub presence: Presence,
    pub filters: Vec<Filter>,
}

impl Reference {
    pub(crate) fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    pub(crate) fn rest(&self) -> &[String] {
        self.path.get(1..).unwrap_or_default()
    }
}

/// Cuts a text into literals and references, or says what is wrong with it.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        literal.push_str(before);
        if let Some(after) = brace.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = brace.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else {
            let (inner, after) = brace
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
                .ok_or("a brace without its partner; write {{ or }} for a literal brace")?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Reference(reference(inner)?));
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn reference(inner: &str) -> Result<Reference, String> {
    let mut parts = inner.split('|');
    let path = parts.next().unwrap_or_default();
    let (path, presence) = match path.strip_suffix('?') {
        Some(path) => (path, Presence::Optional),
        None => (path, Presence::Needed),
    };
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    let broken = |segment: &String| segment.is_empty() || segment.contains(['{', '?', ' ']);
    if path.iter().any(broken) {
        return Err(format!(
            "{} is no placeholder, expected one such as {{session.user_id}}; write {{{{ and }}}} \
             for literal braces",
            shown(inner)
        ));
    }
    let filters = parts.map(Filter::parse).collect::<Result<_, _>>()?;
    Ok(Reference { path, presence, filters })
}

/// Every reference in a tree of settings, in texts and keys. Texts that do not
/// parse are left to the reader that reports them.
pub(crate) fn references(node: &Node) -> Vec<Reference> {
    match &node.value {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Boolean(_) | Value::Datetime | Value::Float(_) | Value::Integer(_) => Vec::new(),
        Value::Table(entries) => entries
            .iter()
            .flat_map(|(key, node)| in_text(&key.name).into_iter().chain(references(node)))
            .collect(),
        Value::Text(text) => in_text(text),
    }
}

fn in_text(text: &str) -> Vec<Reference> {
    let reference = |piece| match piece {
        Piece::Literal(_) => None,
        Piece::Reference(reference) => Some(reference),
    };
    pieces(text).unwrap_or_default().into_iter().filter_map(reference).collect()
}
