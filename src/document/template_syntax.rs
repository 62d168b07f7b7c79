//! The syntax of every text that has placeholders: `{path}`, `{path?}`,
//! `{path|filter}`, and `{{` and `}}` for literal braces.
//!
//! Syntax only: the reader of the setting decides what a path may refer to. Texts are
//! cut once, when settings are read; a value put in for a placeholder is never
//! looked at again.

use super::{Node, Value, shown};

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    Reference(Reference),
}

/// A placeholder: the text between two braces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// At least one step; none is empty.
    pub path: Vec<String>,
    pub presence: Presence,
    /// As they are written, each with its argument.
    pub filters: Vec<String>,
}

/// Whether a value must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Needed,
    Optional,
}

/// A `}` without its `{`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StrayBrace {
    /// It is literal, where texts have always been read this way.
    Literal,
    Refused,
}

impl Reference {
    pub(crate) fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    pub(crate) fn rest(&self) -> &[String] {
        self.path.get(1..).unwrap_or_default()
    }

    /// The path of a bare placeholder; `None` with a `?` or a filter.
    pub(crate) fn bare(&self) -> Option<&[String]> {
        let is_bare = self.presence == Presence::Needed && self.filters.is_empty();
        is_bare.then_some(self.path.as_slice())
    }
}

/// Cuts a text into literals and references, or returns its mistake.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    cut(text, StrayBrace::Refused)
}

/// As `pieces`, where a stray `}` may be allowed.
pub(crate) fn cut(text: &str, stray: StrayBrace) -> Result<Vec<Piece>, String> {
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
        } else if let (Some(after), StrayBrace::Literal) = (brace.strip_prefix('}'), stray) {
            literal.push('}');
            rest = after;
        } else {
            let (inner, after) = brace
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
                .ok_or("an unpaired brace; write {{ or }} for a literal brace")?;
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
    let broken = |step: &String| {
        step.is_empty() || step.contains(['{', '?']) || step.trim_matches(' ') != step
    };
    if path.iter().any(broken) {
        return Err(format!(
            "{} is not a placeholder, expected one such as {{session.user_id}}; write {{{{ and \
             }}}} for literal braces",
            shown(inner)
        ));
    }
    Ok(Reference { path, presence, filters: parts.map(str::to_owned).collect() })
}

/// Every reference in a tree of settings, in texts and keys. Texts that cannot be cut
/// are left to the reader that reports them.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.to_owned())
    }

    fn placeholder(path: &[&str], presence: Presence, filters: &[&str]) -> Piece {
        let owned = |steps: &[&str]| steps.iter().map(|&step| step.to_owned()).collect();
        Piece::Reference(Reference { path: owned(path), presence, filters: owned(filters) })
    }

    #[test]
    fn a_text_is_cut_into_literals_and_placeholders() {
        let expected = vec![
            literal("id="),
            placeholder(&["session", "user_id"], Presence::Needed, &[]),
            literal(";"),
            placeholder(&["a", "first name"], Presence::Optional, &["json", "first:4"]),
        ];
        assert_eq!(pieces("id={session.user_id};{a.first name?|json|first:4}"), Ok(expected));
        assert_eq!(pieces(""), Ok(Vec::new()));
    }

    #[test]
    fn doubled_braces_are_literal() {
        assert_eq!(pieces("{{a}}"), Ok(vec![literal("{a}")]));
        let path = placeholder(&["a"], Presence::Needed, &[]);
        assert_eq!(pieces("{{{a}}}"), Ok(vec![literal("{"), path, literal("}")]));
    }

    #[test]
    fn a_stray_closing_brace_is_literal_only_where_it_is_allowed() {
        assert_eq!(cut("a}b", StrayBrace::Literal), Ok(vec![literal("a}b")]));
        assert!(pieces("a}b").is_err());
        assert!(cut("a{b", StrayBrace::Literal).is_err());
    }

    #[test]
    fn a_target_that_is_not_a_path_is_refused() {
        for text in ["{}", "{a.}", "{.a}", "{ a }", "{a?b}", "{a{b}", "{|json}"] {
            assert!(pieces(text).is_err(), "{text}");
        }
    }
}
