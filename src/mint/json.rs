//! JSON as vendors' clients read it: text that survives every base64 decoder, and
//! single values as text.
//!
//! Some vendors' browser clients decode a token's payload with plain `atob`,
//! which refuses `-` and `_`. Base64url yields those only for `>`, `?`, `~`,
//! DEL and bytes outside ASCII, so these are written as `\uXXXX`: the same
//! value, a safer text.

use std::borrow::Cow;
use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

/// The JSON text of `value` in the characters that survive `atob`.
pub(super) fn atob_safe(value: &Value) -> Vec<u8> {
    let mut text = Vec::with_capacity(256);
    let mut serializer = Serializer::with_formatter(&mut text, AtobSafe);
    // Writing a `Value` into memory cannot fail: its keys are strings.
    let _ = value.serialize(&mut serializer);
    text
}

struct AtobSafe;

impl Formatter for AtobSafe {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(escaped) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = tail.chars();
            let mut units = [0; 2];
            for unit in
                characters.next().into_iter().flat_map(|c| c.encode_utf16(&mut units).to_vec())
            {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

fn escaped(c: char) -> bool {
    !c.is_ascii() || matches!(c, '>' | '?' | '~' | '\x7f')
}

/// The text of a single value; lists, tables and nothing have none.
pub(super) fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
        Value::Number(number) => Some(number_text(number).into()),
        Value::String(text) => Some(text.into()),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}

/// A number as JavaScript writes it: a whole one has no point.
fn number_text(number: &serde_json::Number) -> String {
    let mut text = number.to_string();
    if text.ends_with(".0") {
        text.truncate(text.len() - 2);
    }
    text
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_is_ascii_and_means_the_same() {
        let value = json!({"n>": "Åsa ~ 😀 ? \u{7f}", "list": ["ö", 1, 1.5, true, null]});
        let text = atob_safe(&value);
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), value);
        assert!(String::from_utf8(text).unwrap().contains(r"\ud83d\ude00"));
    }

    #[test]
    fn base64url_of_the_text_never_needs_dash_or_underscore() {
        for offset in 0..3 {
            let value = json!("x".repeat(offset) + "???>>>~~~\u{7f}åäöÿ日本😀");
            let encoded = URL_SAFE_NO_PAD.encode(atob_safe(&value));
            assert!(!encoded.contains(['-', '_']), "{encoded}");
        }
    }
}
