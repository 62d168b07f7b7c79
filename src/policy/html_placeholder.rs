//! `placeholders` of a route: texts in its pages that become tokens.

use std::sync::Arc;

use super::header::endpoint_only;
use crate::document::{At, FromNode as _};
use crate::policy::{TokenRoute, named};
use crate::request::html_placeholder::is_placeholder;

/// A text in a page, and the token that stands in its place.
pub struct Placeholder {
    pub text: String,
    pub token: Arc<TokenRoute>,
}

/// Reads the table; what was wrong has been noted.
pub(super) fn read_all(at: &At<'_>, tokens: &[Arc<TokenRoute>]) -> Vec<Placeholder> {
    let read = at.members();
    let read = read.iter().filter_map(|(key, at)| read_one(&key.name, at, tokens));
    let placeholders: Vec<Placeholder> = read.collect();
    for one in &placeholders {
        let others = placeholders.iter().filter(|other| other.text != one.text);
        for other in others.filter(|other| other.text.contains(&one.text)) {
            at.problem(format!("`{}` is a part of `{}`", one.text, other.text));
        }
    }
    placeholders
}

fn read_one(text: &str, at: &At<'_>, tokens: &[Arc<TokenRoute>]) -> Option<Placeholder> {
    if !is_placeholder(text) {
        at.problem(
            "found a text that pages may hold by chance or write differently, expected 8 to 128 \
             letters, digits and `_-.:@%$#{}[]`, such as \"__PORTIVE_TOKEN__\"",
        );
        return None;
    }
    let value = String::read(at)?;
    let name = value.strip_prefix("{token.").and_then(|rest| rest.strip_suffix('}'));
    let Some(token) = name.and_then(|name| named(tokens, name)) else {
        at.wrong("one token of this file and nothing else, such as \"{token.NAME}\"");
        return None;
    };
    if let Err(problem) = endpoint_only(token) {
        at.problem(problem);
        return None;
    }
    Some(Placeholder { text: text.to_owned(), token: token.clone() })
}
