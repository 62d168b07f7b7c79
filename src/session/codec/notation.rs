//! The notation of stored content, recognised by its first bytes: for messages about
//! content that is not in the notation the settings name.

use crate::session::rejected::Rejected;

/// A refusal of content that is not `expected`; it says what the content looks like.
pub(crate) fn unlike(expected: &str, content: &[u8]) -> Rejected {
    const SAME: [&str; 6] =
        ["JSON", "MessagePack", "PHP-serialized", "PHP session", "igbinary", "pickle"];
    let is_same = |found: &str| SAME.iter().any(|it| expected.contains(it) && found.contains(it));
    Rejected::malformed(match of(content).filter(|found| !is_same(found)) {
        Some(found) => format!("the session is not {expected}; it looks like {found}"),
        None => format!("the session is not {expected}"),
    })
}

/// Whether the content is a document, and so no bare id.
pub(crate) fn is_document(content: &[u8]) -> bool {
    of(content) == Some("JSON")
}

/// The notation, in words.
fn of(content: &[u8]) -> Option<&'static str> {
    let trimmed = content.trim_ascii();
    Some(match trimmed {
        [b'{', .., b'}'] | [b'[', .., b']'] => "JSON",
        [b'a' | b's' | b'i' | b'b' | b'O' | b'C', b':', ..] => "PHP-serialized data",
        [0x80, 2..=5, ..] => "a pickle of Python",
        [0, 0, 0, 1 | 2, ..] => "igbinary (PHP)",
        [0xac, 0xed, 0, 5, ..] => "a serialized Java object",
        [0x04, 0x08, ..] => "Ruby's Marshal",
        [0x1f, 0x8b, ..] => "gzip",
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => "zlib",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "Zstandard",
        [0x04, 0x22, 0x4d, 0x18, ..] => "LZ4",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "LZMA (xz)",
        [0x80..=0x8f | 0xde | 0xdf, ..] => "MessagePack",
        text if is_php_session(text) => "PHP session data",
        text if is_bare(text) => "a bare string, such as the user's id",
        _ => return None,
    })
}

/// `name|` and a serialized value.
fn is_php_session(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|&b| b == b'|') else { return false };
    let name = text.get(..at).unwrap_or_default();
    let is_name =
        !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(b));
    is_name && text.get(at + 2).is_some_and(|&b| b == b':' || b == b';')
}

fn is_bare(text: &[u8]) -> bool {
    const LONGEST: usize = 64;
    (1..=LONGEST).contains(&text.len())
        && text.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_known_by_its_first_bytes() {
        let cases: [(&[u8], &str); 9] = [
            (b"{\"a\":1}", "JSON"),
            (b"a:1:{s:1:\"a\";i:1;}", "PHP-serialized data"),
            (b"\x80\x05\x95", "a pickle of Python"),
            (b"user_id|i:42;", "PHP session data"),
            (b"\x00\x00\x00\x02\x14\x01", "igbinary (PHP)"),
            (b"\x81\xa1a\x01", "MessagePack"),
            (b"7b8f0c5e-0000-4000-8000-000000000001", "a bare string, such as the user's id"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"\xac\xed\x00\x05sr", "a serialized Java object"),
        ];
        for (content, notation) in cases {
            assert_eq!(of(content), Some(notation));
        }
        let said = unlike("a map in MessagePack", b"{\"a\":1}").detail;
        assert_eq!(said, "the session is not a map in MessagePack; it looks like JSON");
        assert_eq!(of(b""), None);
        assert_eq!(of(b"<html>"), None);
    }
}
