//! The requests that may share one token.
//!
//! The key is a digest over everything that can change the token. Each part follows its
//! length or type, so no two different requests spell the same bytes. The settings go
//! in once, as a digest.

use std::borrow::Cow;

use serde_json::Value;

use super::subject::Subject;
use crate::base::digest::Digest;
use crate::document::{At, FromNode, Node};

/// The users who may get a token again after it has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// Anyone: it is bound to no user.
    Global,
    /// No one: the token is single use, or its client breaks on one it has seen.
    Never,
    /// The same user with the same inputs and grants.
    User,
}

/// A digest of a token's settings: any change gives other keys.
#[derive(Clone, Copy)]
pub(super) struct Fingerprint(Digest);

impl Fingerprint {
    /// `settings` are the token's and its preset's; `secrets` the digests of the
    /// key's members.
    pub(super) fn new<'a>(
        name: &str,
        settings: impl Iterator<Item = &'a Node>,
        secrets: impl Iterator<Item = Digest>,
    ) -> Self {
        let mut text = Vec::new();
        feed_bytes(&mut text, name.as_bytes());
        for node in settings {
            feed(&mut text, Some(&node.to_json()));
        }
        for secret in secrets {
            text.extend_from_slice(secret.bytes());
        }
        Self(Digest::new(&text))
    }

    /// The key of an exchange's first call, which does not depend on a user.
    pub(super) fn of_first_call(&self) -> Digest {
        Digest::new(&[self.0.bytes().as_slice(), b"first"].concat())
    }

    pub(super) fn key<'a>(
        &self,
        policy: CachePolicy,
        subject: &Subject<'_>,
        parts: impl Iterator<Item = Option<Cow<'a, Value>>>,
    ) -> Digest {
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(self.0.bytes());
        match policy {
            CachePolicy::Global => {}
            CachePolicy::Never | CachePolicy::User => {
                feed_bytes(&mut text, subject.identity.user_id().as_bytes());
            }
        }
        for part in parts {
            feed(&mut text, part.as_deref());
        }
        feed(&mut text, Some(subject.grant));
        Digest::new(&text)
    }
}

fn feed_bytes(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend_from_slice(&bytes.len().to_le_bytes());
    text.extend_from_slice(bytes);
}

/// Type, then length, then content: unambiguous.
fn feed(text: &mut Vec<u8>, value: Option<&Value>) {
    match value {
        None => text.extend_from_slice(b"-"),
        Some(Value::Null) => text.extend_from_slice(b"n"),
        Some(Value::Bool(false)) => text.extend_from_slice(b"f"),
        Some(Value::Bool(true)) => text.extend_from_slice(b"t"),
        Some(Value::Number(number)) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => {
                text.extend_from_slice(b"u");
                text.extend_from_slice(&number.to_le_bytes());
            }
            (None, Some(number)) => {
                text.extend_from_slice(b"i");
                text.extend_from_slice(&number.to_le_bytes());
            }
            (None, None) => {
                text.extend_from_slice(b"d");
                text.extend_from_slice(
                    &number.as_f64().unwrap_or(f64::NAN).to_bits().to_le_bytes(),
                );
            }
        },
        Some(Value::String(string)) => {
            text.extend_from_slice(b"s");
            feed_bytes(text, string.as_bytes());
        }
        Some(Value::Array(items)) => {
            text.extend_from_slice(b"a");
            text.extend_from_slice(&items.len().to_le_bytes());
            items.iter().for_each(|item| feed(text, Some(item)));
        }
        Some(Value::Object(members)) => {
            text.extend_from_slice(b"o");
            text.extend_from_slice(&members.len().to_le_bytes());
            for (key, value) in members {
                feed_bytes(text, key.as_bytes());
                feed(text, Some(value));
            }
        }
    }
}

impl FromNode for CachePolicy {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#""never", "user" or "global""#;
        match at.text(EXPECTED)? {
            "global" => Some(Self::Global),
            "never" => Some(Self::Never),
            "user" => Some(Self::User),
            _ => {
                at.wrong(EXPECTED);
                None
            }
        }
    }
}
