//! The notations of a session in a store that several kinds share.

use std::borrow::Cow;

use serde_json::Value;

use crate::document::{At, FromNode, Value as Setting};
use crate::session::codec::{json, msgpack, php};
use crate::session::rejected::Rejected;

/// The notation of a session's content.
#[derive(Clone, Copy)]
pub(super) enum Layout {
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
            Self::Json => json::parse(content),
            Self::MessagePack => msgpack::parse(content),
            Self::PhpSerialize => php::parse(content),
            Self::PhpSession => php::parse_session(content),
            Self::Text => {
                let text = std::str::from_utf8(content).map(str::trim);
                let text = text.map_err(|_| Rejected::malformed("the session is not a text"))?;
                Ok(Value::from(text))
            }
        }
    }

    /// Where the user's id stands, if the notation leaves no choice.
    pub(super) const fn user_id(self) -> Option<Cow<'static, str>> {
        match self {
            Self::Json | Self::MessagePack | Self::PhpSerialize | Self::PhpSession => None,
            Self::Text => Some(Cow::Borrowed("")),
        }
    }

    /// Characters of its framework's ids beside letters, digits, `-` and `_`: PHP's have
    /// a comma if `session.sid_bits_per_character` is 6.
    pub(super) const fn id_characters(self) -> &'static str {
        match self {
            Self::Json | Self::MessagePack | Self::Text => "",
            Self::PhpSerialize | Self::PhpSession => ",",
        }
    }
}

impl FromNode for Layout {
    fn read(at: &At<'_>) -> Option<Self> {
        const OTHERS: [&str; 3] = ["igbinary", "pickle", "java"];
        if matches!(&at.node.value, Setting::Text(text) if OTHERS.contains(&text.as_str())) {
            at.problem(
                "sessions in this format are not read here; let the app say who is signed in, \
                 with kind = \"introspect\"",
            );
            return None;
        }
        at.choose(&[
            ("json", Self::Json),
            ("msgpack", Self::MessagePack),
            ("php-serialize", Self::PhpSerialize),
            ("php-session", Self::PhpSession),
            ("text", Self::Text),
        ])
    }
}
