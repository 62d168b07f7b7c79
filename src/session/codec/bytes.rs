//! A cursor over untrusted bytes, and how bytes look in a session.

use serde_json::{Value, json};

/// Deepest nesting of lists and maps. No real session comes near it; a bomb would.
pub(crate) const MAX_DEPTH: usize = 64;

/// Takes bytes from the front; `None` when there are not enough.
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// The bytes before the next `end`, which is skipped.
    pub(crate) fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = self.0.iter().position(|&b| b == end)?;
        let taken = self.take(at)?;
        self.byte()?;
        Some(taken)
    }

    /// Skips one byte that must be `expected`.
    pub(crate) fn expect(&mut self, expected: u8) -> Option<()> {
        (self.byte()? == expected).then_some(())
    }
}

/// Text as text, other bytes as `binary`; `raw` gets them back.
pub(crate) fn shown(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => binary(bytes),
    }
}

/// A binary column of a table: text only where it cannot be an id in binary, which may be
/// valid UTF-8 by chance, and would be an id for some users and none for the others.
pub(crate) fn column(bytes: &[u8]) -> Value {
    /// A UUID. Its variant sets the top bit of a byte (RFC 9562 section 4.1), so none is ASCII.
    const UUID: usize = 16;
    let is_control = |b: &u8| b.is_ascii_control() && !b.is_ascii_whitespace();
    let is_uuid = bytes.len() == UUID && !bytes.is_ascii();
    if is_uuid || bytes.iter().any(is_control) { binary(bytes) } else { shown(bytes) }
}

/// Bytes as an object, which never passes for a user id.
pub(crate) fn binary(bytes: &[u8]) -> Value {
    json!({ "base64": super::base64::encode(bytes) })
}

/// The bytes that `shown` was given.
pub(crate) fn raw(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        other => super::base64::decode(other.get("base64")?.as_str()?),
    }
}

/// A list if the keys count from zero, an object otherwise: PHP and Lua do not distinguish
/// them.
pub(crate) fn list_or_object(entries: Vec<(String, Value)>) -> Value {
    let counted = entries.iter().enumerate().all(|(index, (key, _))| *key == index.to_string());
    if counted {
        entries.into_iter().map(|(_, value)| value).collect()
    } else {
        Value::Object(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_binary_is_never_a_text() {
        let texts: [&[u8]; 6] = [
            b"",
            b"user-9",
            b"0123456789abcdef",
            "{\"name\":\n\"J\u{fc}rgen\"}".as_bytes(),
            "\u{4e2d}\u{6587}".as_bytes(),
            b"7b8f0c5e-0000-4000-8000-000000000001",
        ];
        for text in texts {
            assert!(column(text).is_string(), "{text:?}");
        }
        // A number; UUIDs of version 4 and 7, of which the first two are valid UTF-8; a ULID.
        let binary: [&[u8]; 5] = [
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0c",
            b"abcdefM\xc3\xa9ghijklm",
            b"\x01\x10ab12q\xc2\x80abcdefg",
            b"\x12\xff\x34\x56\x78\x9a\x4b\xcd\x80\0\0\0\0\0\0\x01",
            b"\x01 aK30123456789a",
        ];
        for bytes in binary {
            assert_eq!(column(bytes), super::binary(bytes), "{bytes:?}");
            assert_eq!(raw(&column(bytes)).unwrap(), bytes);
        }
    }
}
