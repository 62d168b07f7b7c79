//! Patterns a request input must match, such as `{session.org_id}:*`.

use std::borrow::Cow;

use super::charset::{Safe, between_stars};
use super::json::text_of;
use super::separation::{self, FieldEnds, Unseparated};
use crate::base::json_path::JsonPath;
use crate::base::packed_json::PackedJson;
use crate::document::template_syntax::{Piece, pieces};
use crate::document::{At, FromNode};
use crate::session::Identity;

/// A pattern over the whole text: literals, `*` for anything, and session fields as
/// literal text. Stored as the runs between the stars.
#[derive(Clone)]
pub(crate) struct RequestPattern(Vec<Vec<PatternPart>>);

#[derive(Clone)]
enum PatternPart {
    Field(Field, FieldEnds),
    Literal(String),
}

/// A field of the session.
#[derive(Clone)]
enum Field {
    Session(JsonPath),
    UserId,
}

impl RequestPattern {
    fn parse(text: &str) -> Result<Self, String> {
        let mut runs = vec![Vec::new()];
        for piece in pieces(text)? {
            let part = match piece {
                Piece::Literal(literal) => {
                    let mut between = literal.split('*');
                    let first = between.next().unwrap_or_default().to_owned();
                    runs.last_mut()
                        .into_iter()
                        .for_each(|run| run.push(PatternPart::Literal(first.clone())));
                    runs.extend(between.map(|run| vec![PatternPart::Literal(run.to_owned())]));
                    continue;
                }
                Piece::Reference(reference) if !reference.filters.is_empty() => {
                    return Err("a pattern takes session fields unchanged, without filters".into());
                }
                Piece::Reference(reference) => match (reference.root(), reference.rest()) {
                    ("session", [field]) if field == "user_id" => {
                        PatternPart::Field(Field::UserId, FieldEnds::default())
                    }
                    ("session", rest) if !rest.is_empty() => {
                        let field = Field::Session(JsonPath::new(rest.to_vec()));
                        PatternPart::Field(field, FieldEnds::default())
                    }
                    _ => return Err("a pattern may use only {session.…}".into()),
                },
            };
            runs.last_mut().into_iter().for_each(|run| run.push(part.clone()));
        }
        separate(&mut runs).map_err(|_| Unseparated::MESSAGE)?;
        Ok(Self(runs))
    }

    /// The session fields it compares with.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &JsonPath> {
        self.0.iter().flatten().filter_map(|part| match part {
            PatternPart::Field(Field::Session(path), _) => Some(path),
            PatternPart::Field(Field::UserId, _) | PatternPart::Literal(_) => None,
        })
    }

    /// Whether the whole of `text` matches. A session field that is absent or empty, or
    /// that holds a wildcard or the character that ends it, matches nothing.
    pub(crate) fn matches(&self, text: &str, identity: &Identity) -> bool {
        let runs: Option<Vec<String>> =
            self.0.iter().map(|run| run.iter().map(|part| part.text(identity)).collect()).collect();
        runs.is_some_and(|runs| between_stars(&runs, text))
    }
}

impl PatternPart {
    fn text<'a>(&'a self, identity: &'a Identity) -> Option<Cow<'a, str>> {
        let (field, ends) = match self {
            Self::Field(field, ends) => (field, ends),
            Self::Literal(literal) => return Some(literal.into()),
        };
        let text = match field {
            Field::Session(path) => match path.find(identity.packed())? {
                PackedJson::Text(text) => Cow::Borrowed(&**text),
                value => text_of(&value.to_value())?.into_owned().into(),
            },
            Field::UserId => identity.user_id().into(),
        };
        (Safe::Literal.holds(&text) && ends.admit(&text)).then_some(text)
    }
}

/// Gives every field the characters that end it.
fn separate(runs: &mut [Vec<PatternPart>]) -> Result<(), Unseparated> {
    let mut pieces = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        if index > 0 {
            pieces.push(separation::Piece::Any);
        }
        pieces.extend(run.iter().map(|part| match part {
            PatternPart::Field(..) => separation::Piece::Field,
            PatternPart::Literal(literal) => separation::Piece::Literal(literal),
        }));
    }
    let found = separation::ends(&pieces)?;
    let fields = runs.iter_mut().flatten().filter_map(|part| match part {
        PatternPart::Field(_, ends) => Some(ends),
        PatternPart::Literal(_) => None,
    });
    fields.zip(found).for_each(|(ends, found)| *ends = found);
    Ok(())
}

impl FromNode for RequestPattern {
    fn read(at: &At<'_>) -> Option<Self> {
        let text = at.text(r#"a pattern such as "{session.org_id}:*""#)?;
        Self::parse(text).map_err(|wrong| at.problem(wrong)).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(pattern: &str, text: &str, org: &str) -> bool {
        let identity = Identity::assumed("u1".into(), json!({"org_id": org}), None);
        RequestPattern::parse(pattern).unwrap().matches(text, &identity)
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
    fn a_field_that_holds_the_character_which_ends_it_matches_nothing() {
        for (pattern, text, org) in [
            ("{session.org_id}-*", "acme-corp-x", "acme-corp"),
            ("{session.org_id}:room:*", "a:b:room:x", "a:b"),
            ("*-{session.org_id}", "x-acme-corp", "acme-corp"),
            ("x-*-{session.org_id}", "x-1-acme-corp", "acme-corp"),
            ("{session.org_id}/{session.user_id}", "a/b/u1", "a/b"),
            ("room:{session.org_id}.*", "room:a.b.x", "a.b"),
        ] {
            assert!(!matches(pattern, text, org), "{pattern} {org}");
        }
        for (pattern, text, org) in [
            ("{session.org_id}:*", "acme-corp:x:y", "acme-corp"),
            ("private-{session.org_id}", "private-a-b", "a-b"),
            ("private-{session.org_id}-x", "private-a-b-x", "a-b"),
            ("{session.user_id}/{session.org_id}", "u1/a/b", "a/b"),
        ] {
            assert!(matches(pattern, text, org), "{pattern} {org}");
        }
    }

    #[test]
    fn a_field_without_an_end_is_not_a_pattern() {
        for text in [
            "{session.org_id}*",
            "*{session.org_id}",
            "room-{session.org_id}*",
            "{session.org_id}{session.user_id}",
        ] {
            assert!(RequestPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_read_the_session_only_and_take_no_filters() {
        for text in ["{request.room}", "{param.x}", "{session.org_id|quote}", "{key.secret}", "{"] {
            assert!(RequestPattern::parse(text).is_err(), "{text}");
        }
    }
}
