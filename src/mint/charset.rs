//! Rules for text from outside: character sets and shapes.

use crate::document::{At, FromNode};

/// Fixed sets that make a text safe inside another text.
#[derive(Clone, Copy)]
pub(crate) enum Safe {
    /// Nothing a vendor reads as a wildcard, a URI template or a line end; and no level of
    /// a topic that is a wildcard by itself (`+`, `#`, `>`).
    Literal,
    /// Letters, digits and `_ - . @ :`.
    Word,
}

impl Safe {
    /// Whether the text is not empty and consists of the set's characters.
    pub(crate) fn holds(self, text: &str) -> bool {
        !text.is_empty()
            && match self {
                Self::Literal => {
                    text.chars().all(|c| !c.is_control() && !"*?[]{}\\".contains(c))
                        && !text
                            .split(['/', '.', ':'])
                            .any(|level| matches!(level, "+" | "#" | ">"))
                }
                Self::Word => {
                    text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.@:".contains(c))
                }
            }
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

/// Whether `text` is these runs in their order, with anything between them.
pub(crate) fn between_stars(runs: &[String], text: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_not_a_wildcard_of_any_vendor() {
        for text in ["alice", "a+b@example.com", "Zo\u{eb}", "a b", "#1", "a/b:c"] {
            assert!(Safe::Literal.holds(text), "{text}");
        }
        for text in
            ["", "*", "a*", "a?", "[a]", "{x}", "a\\b", "a\nb", "+", "#", ">", "a/#", "a.+.b"]
        {
            assert!(!Safe::Literal.holds(text), "{text}");
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
