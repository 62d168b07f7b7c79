//! `placeholders` of a route: texts in its pages that become tokens.

use std::borrow::Cow;
use std::sync::Arc;

use super::header::endpoint_only;
use super::token::{TokenRoute, named};
use crate::document::template_syntax::{Piece, pieces};
use crate::document::{At, FromNode as _};
use crate::request::html_placeholder::is_placeholder;

/// In a text, the placeholder of the nonce, which the gateway generates for each request
/// and tells only the app.
const NONCE: &str = "{nonce}";

/// A text in a page, and the token that replaces it.
pub(crate) struct HtmlPlaceholder {
    pub text: String,
    pub token: Arc<TokenRoute>,
}

impl HtmlPlaceholder {
    /// Whether the text is another for each request.
    pub(crate) fn has_nonce(&self) -> bool {
        self.text.contains(NONCE)
    }

    /// The text in the page of one request.
    pub(crate) fn text_for(&self, nonce: &str) -> Cow<'_, str> {
        if self.has_nonce() {
            Cow::Owned(self.text.replace(NONCE, nonce))
        } else {
            Cow::Borrowed(&self.text)
        }
    }
}

/// Reads the table, noting its mistakes.
pub(super) fn read_all(at: &At<'_>, tokens: &[Arc<TokenRoute>]) -> Vec<HtmlPlaceholder> {
    let members = at.members();
    let placeholders: Vec<HtmlPlaceholder> =
        members.iter().filter_map(|(key, at)| read_one(&key.name, at, tokens)).collect();
    for one in &placeholders {
        let others = placeholders.iter().filter(|other| other.text != one.text);
        for other in others.filter(|other| other.text.contains(&one.text)) {
            at.problem(format!("`{}` is part of `{}`", one.text, other.text));
        }
    }
    placeholders
}

fn read_one(text: &str, at: &At<'_>, tokens: &[Arc<TokenRoute>]) -> Option<HtmlPlaceholder> {
    if !is_placeholder(text) {
        at.problem(
            "found a string that a page may contain by chance or spell differently, expected 8 to \
             128 letters, digits and `_-.:@%$#{}[]`, such as \"__PORTIVE_TOKEN__\"",
        );
        return None;
    }
    let value = String::read(at)?;
    let Some(token) = token_name(&value).and_then(|name| named(tokens, &name)) else {
        at.wrong("one token of this file and nothing else, such as \"{token.NAME}\"");
        return None;
    };
    if let Err(problem) = endpoint_only(token) {
        at.problem(problem);
        return None;
    }
    Some(HtmlPlaceholder { text: text.to_owned(), token: token.clone() })
}

/// The NAME of a value that is exactly `{token.NAME}`.
fn token_name(value: &str) -> Option<String> {
    match pieces(value).ok()?.as_slice() {
        [Piece::Reference(reference)] if reference.root() == "token" => {
            reference.bare()?;
            Some(reference.rest().join("."))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_one_token_and_nothing_else() {
        assert_eq!(token_name("{token.portive}").as_deref(), Some("portive"));
        for value in ["portive", "{token.a}b", "{{token.a}}", "{token.a|json}", "{session.a}"] {
            assert_eq!(token_name(value), None, "{value}");
        }
    }
}
