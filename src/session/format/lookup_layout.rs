//! The notations of a session in a store that several kinds share.

use std::borrow::Cow;

use serde_json::Value;

use crate::document::{At, FromNode, Value as Setting};
use crate::session::codec::{igbinary, json, msgpack, notation, php, php_text};
use crate::session::rejected::Rejected;

/// The notation of a session's content.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    Igbinary,
    Json,
    MessagePack,
    PhpSerialize,
    PhpSession,
    /// The user's bare id.
    Text,
}

impl Layout {
    pub(super) fn parse(self, content: &[u8]) -> Result<Value, Rejected> {
        match self {
            Self::Igbinary => igbinary::parse(content).map(php_text::unfold),
            Self::Json => json::parse_python(content),
            Self::MessagePack => msgpack::parse(content),
            Self::PhpSerialize => php::parse(content).map(php_text::unfold),
            Self::PhpSession => php::parse_session(content).map(php_text::unfold),
            Self::Text if notation::is_document(content) => {
                Err(notation::unlike("a user's bare id", content))
            }
            Self::Text => {
                let text = std::str::from_utf8(content).map(str::trim);
                let text = text.map_err(|_| Rejected::malformed("the session is not a string"))?;
                Ok(Value::from(text))
            }
        }
    }

    /// Where the user's id is, if the notation leaves no choice.
    pub(super) const fn user_id(self) -> Option<Cow<'static, str>> {
        match self {
            Self::Igbinary
            | Self::Json
            | Self::MessagePack
            | Self::PhpSerialize
            | Self::PhpSession => None,
            Self::Text => Some(Cow::Borrowed("")),
        }
    }

    /// Characters of its framework's ids besides letters, digits, `-` and `_`: PHP's have
    /// a comma if `session.sid_bits_per_character` is 6.
    pub(super) const fn id_characters(self) -> &'static str {
        match self {
            Self::Json | Self::MessagePack | Self::Text => "",
            Self::Igbinary | Self::PhpSerialize | Self::PhpSession => ",",
        }
    }
}

impl FromNode for Layout {
    fn read(at: &At<'_>) -> Option<Self> {
        const OTHERS: [&str; 2] = ["pickle", "java"];
        if matches!(&at.node.value, Setting::Text(text) if OTHERS.contains(&text.as_str())) {
            at.problem(
                "sessions in this format are not read here; let the app say who is signed in, \
                 with kind = \"introspect\"",
            );
            return None;
        }
        at.choose(&LAYOUTS)
    }
}

/// The notations by their names.
const LAYOUTS: [(&str, Layout); 6] = [
    ("igbinary", Layout::Igbinary),
    ("json", Layout::Json),
    ("msgpack", Layout::MessagePack),
    ("php-serialize", Layout::PhpSerialize),
    ("php-session", Layout::PhpSession),
    ("text", Layout::Text),
];

/// The content of a key in Redis.
#[derive(Clone, Copy)]
pub(super) enum RedisLayout {
    /// A hash, whose fields are the session's members.
    Hash,
    Value(Layout),
}

impl FromNode for RedisLayout {
    fn read(at: &At<'_>) -> Option<Self> {
        if matches!(&at.node.value, Setting::Text(text) if text == "hash") {
            return Some(Self::Hash);
        }
        Layout::read(at).map(Self::Value)
    }
}

impl RedisLayout {
    pub(super) const fn user_id(self) -> Option<Cow<'static, str>> {
        match self {
            Self::Hash => None,
            Self::Value(layout) => layout.user_id(),
        }
    }

    pub(super) const fn id_characters(self) -> &'static str {
        match self {
            Self::Hash => "",
            Self::Value(layout) => layout.id_characters(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_nobodys_bare_id() {
        for id in ["user-1", " 42\n", "ünï", "\"quoted\""] {
            assert_eq!(Layout::Text.parse(id.as_bytes()).unwrap(), id.trim(), "{id}");
        }
        for document in ["{\"id\":1}", "[1]"] {
            let refused = Layout::Text.parse(document.as_bytes()).unwrap_err();
            assert!(refused.detail.contains("looks like JSON"), "{}", refused.detail);
        }
    }
}
