//! Templates: JSON with placeholders, compiled once into a tree.
//!
//! A text that is one placeholder keeps the value's type; anything else is text.
//! `compile` makes a `tree` out of settings and the `names` they may use; `render`
//! makes a value out of the tree and the `scope` of one token.

mod alphabet;
mod compile;
mod expression;
mod filter;
mod forms;
mod names;
mod render;
mod scope;
mod separate;
mod tree;

pub(crate) use filter::Filter;

pub(super) use alphabet::Alphabet;
pub(super) use forms::DateForm;

pub(super) use compile::{params, text, url_text, value};
pub(super) use expression::Expressions;
pub(super) use names::{Names, Params, Reads, SecretUse};
pub(super) use scope::{Outgoing, Scope};
pub(super) use tree::{Template, Text};
