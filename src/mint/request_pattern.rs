//! What a text from outside may look like: character sets, shapes and patterns.

use std::borrow::Cow;

use super::MintError;
use super::template::parse::{Piece, pieces};
use crate::document::{At, FromNode};
use crate::session::Identity;

/// Fixed sets that make a text safe to stand inside another.
#[derive(Clone, Copy)]
pub(crate) enum Safe {
    /// Nothing a vendor could read as a wildcard, a URI template or a line end.
    Literal,
    /// Letters, digits and `_ - . @ :`.
    Word,
}

impl Safe {
    pub(crate) fn holds(self, text: &str) -> bool {
        !text.is_empty()
            && text.chars().all(|c| match self {
                Self::Literal => !c.is_control() && !"*?[]{}\\".contains(c),
                Self::Word => c.is_ascii_alphanumeric() || "_-.@:".contains(c),
            })
    }
}

/// A character set such as `A-Za-z0-9_-`.
#[derive(Clone)]
pub(crate) struct CharSet(Vec<(char, char)>);

impl CharSet {
    fn parse(text: &str) -> Option<Self> {
        let characters: Vec<char> = text.chars().collect();
        let mut ranges = Vec::new();
        let mut rest = characters.as_slice();
        while let [first, tail @ ..] = rest {
            let (last, after) = match tail {
                ['-', last, after @ ..] => (last, after),
                _ => (first, tail),
            };
            if last < first {
                return None;
            }
            ranges.push((*first, *last));
            rest = after;
        }
        (!ranges.is_empty()).then_some(Self(ranges))
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        text.chars().all(|c| self.0.iter().any(|&(first, last)| (first..=last).contains(&c)))
    }

    /// Whether no text of this set can break out of a filter expression.
    pub(crate) fn is_safe(&self) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || "_-.@:".contains(c);
        self.0.iter().all(|&(first, last)| last.is_ascii() && (first..=last).all(word))
    }
}

impl FromNode for CharSet {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"characters and ranges such as "A-Za-z0-9_-""#;
        let set = Self::parse(at.text(EXPECTED)?);
        if set.is_none() {
            at.wrong(EXPECTED);
        }
        set
    }
}

/// Runs of digits between literals, written `digits.digits`.
#[derive(Clone)]
pub(crate) struct Shape(Vec<String>);

impl Shape {
    pub(crate) fn holds(&self, text: &str) -> bool {
        let mut literals = self.0.iter();
        let Some(mut rest) = literals.next().and_then(|first| text.strip_prefix(first.as_str()))
        else {
            return false;
        };
        for literal in literals {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let Some(tail) = after.strip_prefix(literal.as_str()) else { return false };
            if after.len() == rest.len() {
                return false;
            }
            rest = tail;
        }
        rest.is_empty()
    }
}

impl FromNode for Shape {
    fn read(at: &At<'_>) -> Option<Self> {
        let text = at.text(r#"a shape such as "digits.digits""#)?;
        Some(Self(text.split("digits").map(str::to_owned).collect()))
    }
}

/// A pattern over the whole text: literals, `*` for anything, and session fields
/// as literal text. Kept as the runs between the stars.
#[derive(Clone)]
pub(crate) struct Pattern(Vec<Vec<Part>>);

#[derive(Clone)]
enum Part {
    Literal(String),
    Session(Vec<String>),
    UserId,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let mut runs = vec![Vec::new()];
        for piece in pieces(text)? {
            let part = match piece {
                Piece::Literal(literal) => {
                    let mut between = literal.split('*');
                    let first = between.next().unwrap_or_default().to_owned();
                    runs.last_mut()
                        .into_iter()
                        .for_each(|run| run.push(Part::Literal(first.clone())));
                    runs.extend(between.map(|run| vec![Part::Literal(run.to_owned())]));
                    continue;
                }
                Piece::Reference(reference) if !reference.filters.is_empty() => {
                    return Err(
                        "a pattern takes session fields as they are, without filters".into()
                    );
                }
                Piece::Reference(reference) => match (reference.root(), reference.rest()) {
                    ("session", [field]) if field == "user_id" => Part::UserId,
                    ("session", rest) if !rest.is_empty() => Part::Session(rest.to_vec()),
                    _ => return Err("a pattern may use {session.…} only".into()),
                },
            };
            runs.last_mut().into_iter().for_each(|run| run.push(part.clone()));
        }
        Ok(Self(runs))
    }

    /// The session fields it compares with.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &[String]> {
        self.0.iter().flatten().filter_map(|part| match part {
            Part::Literal(_) | Part::UserId => None,
            Part::Session(path) => Some(path.as_slice()),
        })
    }

    /// Whether the whole of `text` matches. A session field that is absent, empty
    /// or holds a wildcard matches nothing.
    pub(crate) fn matches(&self, text: &str, identity: &Identity) -> bool {
        let runs: Option<Vec<String>> =
            self.0.iter().map(|run| run.iter().map(|part| part.text(identity)).collect()).collect();
        runs.is_some_and(|runs| between_stars(&runs, text))
    }
}

impl Part {
    fn text<'a>(&'a self, identity: &'a Identity) -> Option<Cow<'a, str>> {
        let text = match self {
            Self::Literal(literal) => return Some(literal.into()),
            Self::Session(path) => {
                super::template::filter::text_of(super::template::walk(identity.session(), path)?)?
            }
            Self::UserId => identity.user_id().into(),
        };
        Safe::Literal.holds(&text).then_some(text)
    }
}

fn between_stars(runs: &[String], text: &str) -> bool {
    let [first, rest @ ..] = runs else { return false };
    let [middle @ .., last] = rest else { return text == first };
    let Some(inner) = text.strip_prefix(first.as_str()) else { return false };
    let Some(mut inner) = inner.strip_suffix(last.as_str()) else { return false };
    for run in middle {
        let Some((_, after)) = inner.split_once(run.as_str()) else { return false };
        inner = after;
    }
    true
}

impl FromNode for Pattern {
    fn read(at: &At<'_>) -> Option<Self> {
        let text = at.text(r#"a pattern such as "{session.org_id}-*""#)?;
        Self::parse(text).map_err(|wrong| at.problem(wrong)).ok()
    }
}

/// Which user ids a vendor takes.
pub(crate) struct UserIds {
    pub chars: Option<CharSet>,
    /// Characters at most.
    pub longest: usize,
}

impl UserIds {
    /// Refuses a user id the vendor would not take, or would take for everybody's.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), MintError> {
        let user = identity.user_id();
        if user.chars().count() > self.longest {
            return Err(MintError::not_allowed("the user id is longer than `user_id_max`"));
        }
        if self.chars.as_ref().is_some_and(|chars| !chars.holds(user)) {
            return Err(MintError::not_allowed(
                "the user id has characters outside `user_id_chars`",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(pattern: &str, text: &str, org: &str) -> bool {
        let identity = Identity::assumed("u1".into(), json!({"org_id": org}), None);
        Pattern::parse(pattern).unwrap().matches(text, &identity)
    }

    #[test]
    fn patterns_are_anchored_and_session_text_is_literal() {
        assert!(matches("{session.org_id}-*", "acme-standup", "acme"));
        assert!(!matches("{session.org_id}-*", "xacme-standup", "acme"));
        assert!(!matches("{session.org_id}-*", "evil-standup", "acme"));
        assert!(matches("private-user-{session.user_id}", "private-user-u1", "acme"));
        assert!(!matches("private-user-{session.user_id}", "private-user-u12", "acme"));
        assert!(matches("a*b*c", "a--b--c", "") && !matches("a*b*c", "a--c", ""));
        assert!(!matches("ab*ba", "aba", ""), "the star's ends must not overlap");
    }

    #[test]
    fn a_session_field_with_a_wildcard_or_nothing_matches_nothing() {
        for org in ["*", "", "a*", "{x}", "a?", "[a]"] {
            assert!(!matches("{session.org_id}-*", &format!("{org}-x"), org), "{org}");
        }
        assert!(!matches("{session.missing}-*", "-x", "acme"));
    }

    #[test]
    fn patterns_read_the_session_only_and_take_no_filters() {
        for text in ["{request.room}", "{param.x}", "{session.org_id|quote}", "{key.secret}", "{"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn character_sets_have_ranges_and_a_literal_dash() {
        let set = CharSet::parse("A-Za-z0-9_-").unwrap();
        assert!(set.holds("Az09_-") && !set.holds("a b") && !set.holds("å") && !set.holds("*"));
        assert!(set.is_safe());
        assert!(!CharSet::parse("A-Za-z\"").unwrap().is_safe());
        assert!(CharSet::parse("-a").unwrap().holds("-a"));
        assert!(CharSet::parse("z-a").is_none() && CharSet::parse("").is_none());
    }

    #[test]
    fn a_shape_is_matched_whole() {
        let shape = Shape("digits.digits".split("digits").map(str::to_owned).collect());
        assert!(shape.holds("1234.1234") && shape.holds("1.2"));
        for text in ["1234", "1.", ".1", "1.2.3", "1.2x", "", "1.2\n", ":1.2"] {
            assert!(!shape.holds(text), "{text:?}");
        }
    }
}
