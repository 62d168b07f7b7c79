//! Where a field of the session ends inside a text that matches many texts.
//!
//! `{session.org_id}-*` is meant to say "whatever belongs to this org". For the org `acme`
//! it also says `acme-corp-x`, which an org called `acme-corp` would call its own. So a
//! field may not hold the character that ends it: then no two orgs share a text, whatever
//! they are called. A single field in a fixed text does not need this rule.

/// A piece of such a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Any text at all: the `*` of a pattern.
    Any,
    Field,
    Literal(&'a str),
}

/// Characters that one field may not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldEnds {
    after: Option<char>,
    before: Option<char>,
    /// Whether it is a literal in a regular expression.
    in_expression: bool,
    /// Whether it is in an access list, where `!` ends a path, `~` ends the list, and `/`
    /// ends a level; a server behind it may read `%2f` and `..` as levels, too.
    in_acl: bool,
}

/// A field without a separator from its neighbour.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unseparated;

impl Unseparated {
    pub(super) const MESSAGE: &'static str = "nothing ends the field, so the org `acme` would \
                                              reach what belongs to `acme-corp`; put a character \
                                              after it (or before it) that the field never \
                                              contains, such as \"{session.org_id}:*\"";
}

impl FieldEnds {
    pub(super) fn of_expression(self) -> Self {
        Self { in_expression: true, ..self }
    }

    pub(super) fn of_acl() -> Self {
        Self { in_acl: true, ..Self::default() }
    }

    /// These ends, in an access list if `before` was in one.
    pub(super) fn where_before(self, before: Self) -> Self {
        Self { in_acl: before.in_acl, ..self }
    }

    /// A blank separates words of a title, such as `{session.name} in {request.room}`, not
    /// names with a meaning to a vendor.
    pub(super) fn of_title(self) -> Self {
        let visible = |c: Option<char>| c.filter(|c| !c.is_whitespace());
        Self { after: visible(self.after), before: visible(self.before), ..self }
    }

    pub(super) fn admit(self, text: &str) -> bool {
        if self.in_acl && matches!(text, "." | "..") {
            return false;
        }
        let ends = |c| Some(c) == self.after || Some(c) == self.before;
        !text.contains(|c: char| {
            ends(c)
                || (self.in_expression && ".|()^$+*?[]{}\\".contains(c))
                || (self.in_acl && "*!~/%".contains(c))
        })
    }
}

/// The characters that each field of the text, in order, may not hold.
pub(super) fn ends(pieces: &[Piece<'_>]) -> Result<Vec<FieldEnds>, Unseparated> {
    let pieces: Vec<Piece<'_>> =
        pieces.iter().copied().filter(|piece| *piece != Piece::Literal("")).collect();
    let is_open = |piece: &Piece<'_>| !matches!(piece, Piece::Literal(_));
    let fields = pieces.iter().enumerate().filter(|(_, piece)| **piece == Piece::Field);
    fields
        .map(|(index, _)| {
            let (before, rest) = pieces.split_at(index);
            let after = rest.get(1..).unwrap_or_default();
            let mut ends = FieldEnds::default();
            if after.iter().any(is_open) {
                ends.after = literal(after.first())?.chars().next();
            }
            // Fields in front end where they must, but a `*` takes all it can.
            if before.contains(&Piece::Any) {
                ends.before = literal(before.last())?.chars().next_back();
            }
            Ok(ends)
        })
        .collect()
}

fn literal<'a>(piece: Option<&Piece<'a>>) -> Result<&'a str, Unseparated> {
    match piece {
        Some(Piece::Literal(text)) => Ok(text),
        Some(Piece::Any | Piece::Field) | None => Err(Unseparated),
    }
}

/// Cuts a literal at what vendors read as a wildcard: `*` anywhere (globs, Ably, NATS, and
/// `.*` in expressions), `{` (URI templates), and whole levels `#`, `+`, `>` of topics.
pub(super) fn at_wildcards(literal: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, c) in literal.char_indices() {
        let end = at + c.len_utf8();
        let is_wildcard =
            matches!(c, '*' | '{') || (matches!(c, '#' | '+' | '>') && is_level(literal, at, end));
        if is_wildcard {
            pieces.push(Piece::Literal(literal.get(start..at).unwrap_or_default()));
            pieces.push(Piece::Any);
            start = end;
        }
    }
    pieces.push(Piece::Literal(literal.get(start..).unwrap_or_default()));
    pieces
}

/// Whether these bytes are a level of a topic by themselves.
fn is_level(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).unwrap_or_default();
    let after = text.get(end..).unwrap_or_default();
    before.ends_with(['/', '.']) && (after.is_empty() || after.starts_with(['/', '.']))
}

#[cfg(test)]
mod tests {
    use super::Piece::{Any, Field, Literal};
    use super::*;

    fn after(after: char) -> FieldEnds {
        FieldEnds { after: Some(after), ..FieldEnds::default() }
    }

    fn before(before: char) -> FieldEnds {
        FieldEnds { before: Some(before), ..FieldEnds::default() }
    }

    #[test]
    fn a_field_in_a_fixed_text_may_hold_anything() {
        for pieces in [
            vec![Field],
            vec![Literal("private-"), Field],
            vec![Literal("a-"), Field, Literal("-b")],
        ] {
            assert_eq!(ends(&pieces), Ok(vec![FieldEnds::default()]));
        }
    }

    #[test]
    fn a_field_may_not_hold_the_character_that_ends_it() {
        assert_eq!(ends(&[Field, Literal("-"), Any]), Ok(vec![after('-')]));
        assert_eq!(ends(&[Field, Literal("::room-"), Any]), Ok(vec![after(':')]));
        assert_eq!(ends(&[Any, Literal("-x:"), Field]), Ok(vec![before(':')]));
        assert_eq!(ends(&[Field, Literal("-"), Field]), Ok(vec![after('-'), FieldEnds::default()]));
        let both = FieldEnds { after: Some('/'), ..before('-') };
        assert_eq!(ends(&[Any, Literal("-"), Field, Literal("/"), Any]), Ok(vec![both]));
        assert!(!after('-').admit("acme-corp") && after('-').admit("acme_corp"));
    }

    #[test]
    fn a_field_in_an_access_list_is_one_level_of_a_path() {
        let acl = FieldEnds::of_acl();
        for text in ["..", ".", "a/b", "a%2fb", "%2e%2e", "a*", "a!b", "a~b"] {
            assert!(!acl.admit(text), "{text}");
        }
        for text in ["a", "a.b", "...", "..a", "a@b.example", "é"] {
            assert!(acl.admit(text), "{text}");
        }
    }

    #[test]
    fn a_field_that_nothing_ends_is_refused() {
        for pieces in [
            vec![Field, Any],
            vec![Any, Field],
            vec![Field, Field],
            vec![Field, Literal(""), Any],
            vec![Literal("a"), Field, Literal(""), Field],
        ] {
            assert_eq!(ends(&pieces), Err(Unseparated));
        }
    }

    #[test]
    fn wildcards_of_vendors_are_found_in_literals() {
        let opens = |literal| at_wildcards(literal).contains(&Any);
        for literal in ["-*", ":*", "/#", "/+/x", ".>", ".*$", "/{id}"] {
            assert!(opens(literal), "{literal}");
        }
        for literal in ["-", "", "a+b", " > x", "#bordered", "/a?x=1", "+"] {
            assert!(!opens(literal), "{literal}");
        }
    }
}
