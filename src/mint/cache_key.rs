//! Which requests may share one token.
//!
//! The key is a digest over everything that can change the token, each part
//! behind its length or type, so that no two different requests can spell the
//! same bytes. The settings go in once, as a digest.

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;

use super::{CachePolicy, Subject};
use crate::document::Node;

/// What identifies a token's settings: any change gives other keys.
#[derive(Clone, Copy)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// `settings` are the token's and its preset's; `secrets` the digests of the
    /// key's members.
    pub(super) fn new<'a>(
        name: &str,
        settings: impl Iterator<Item = &'a Node>,
        secrets: impl Iterator<Item = [u8; 32]>,
    ) -> Self {
        let mut context = Context::new(&SHA256);
        feed_bytes(&mut context, name.as_bytes());
        for node in settings {
            feed(&mut context, Some(&node.to_json()));
        }
        for secret in secrets {
            context.update(&secret);
        }
        Self(finish(context))
    }

    pub(super) fn key<'a>(
        &self,
        policy: CachePolicy,
        subject: &Subject<'_>,
        parts: impl Iterator<Item = Option<&'a Value>>,
    ) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        match policy {
            CachePolicy::Global => {}
            CachePolicy::Never | CachePolicy::User => {
                feed_bytes(&mut context, subject.identity.user_id().as_bytes());
            }
        }
        for part in parts {
            feed(&mut context, part);
        }
        feed(&mut context, Some(subject.grant));
        finish(context)
    }
}

fn finish(context: Context) -> [u8; 32] {
    // SHA-256 has 32 bytes; the default is never used.
    context.finish().as_ref().try_into().unwrap_or_default()
}

fn feed_bytes(context: &mut Context, bytes: &[u8]) {
    context.update(&bytes.len().to_le_bytes());
    context.update(bytes);
}

/// Type, then length, then content: unambiguous without allocating.
fn feed(context: &mut Context, value: Option<&Value>) {
    match value {
        None => context.update(b"-"),
        Some(Value::Null) => context.update(b"n"),
        Some(Value::Bool(false)) => context.update(b"f"),
        Some(Value::Bool(true)) => context.update(b"t"),
        Some(Value::Number(number)) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => {
                context.update(b"u");
                context.update(&number.to_le_bytes());
            }
            (None, Some(number)) => {
                context.update(b"i");
                context.update(&number.to_le_bytes());
            }
            (None, None) => {
                context.update(b"d");
                context.update(&number.as_f64().unwrap_or(f64::NAN).to_bits().to_le_bytes());
            }
        },
        Some(Value::String(text)) => {
            context.update(b"s");
            feed_bytes(context, text.as_bytes());
        }
        Some(Value::Array(items)) => {
            context.update(b"a");
            context.update(&items.len().to_le_bytes());
            items.iter().for_each(|item| feed(context, Some(item)));
        }
        Some(Value::Object(members)) => {
            context.update(b"o");
            context.update(&members.len().to_le_bytes());
            for (key, value) in members {
                feed_bytes(context, key.as_bytes());
                feed(context, Some(value));
            }
        }
    }
}
