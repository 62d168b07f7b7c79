//! Texts that may be secrets: what a message must not repeat.
//!
//! A secret pasted into the wrong place must not reach a terminal or a log. Pure.

/// Longest text that a message repeats.
const LONGEST: usize = 60;

/// Whether a message may repeat a text: it is short, and looks neither like a key nor like a
/// URL with a password.
pub(crate) fn is_plain(text: &str) -> bool {
    let is_printable = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    text.len() <= LONGEST && is_printable && !is_key_like(text) && !has_password(text)
}

fn is_key_like(text: &str) -> bool {
    let runs = text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len);
    let longest_run = runs.max().unwrap_or_default();
    let is_mixed =
        text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().any(|b| b.is_ascii_alphabetic());
    longest_run > 20 || (is_mixed && longest_run > 10)
}

/// `https://user:password@host`, also without the scheme.
fn has_password(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(before, _)| before.contains(':'))
}

/// Whether a text is plainly the name of a variable or a credential. Pasted keys are often
/// short parts with `_` or `-` between them, in letters of both cases or with digits.
pub(crate) fn is_name(text: &str) -> bool {
    let has_small = text.bytes().any(|b| b.is_ascii_lowercase());
    let has_others = text.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    is_plain(text) && !(has_small && has_others)
}

/// Whether a text is plainly a path: it has a folder or an ending, else it is as a name is.
pub(crate) fn is_path(text: &str) -> bool {
    let has_parts = text.contains(['/', '.']);
    text.split('/').all(is_plain) && !has_password(text) && (has_parts || is_name(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_password_in_a_url_are_not_plain() {
        for text in [
            "PRTV_0123456789abcdef",
            "abcdefghijklmnopqrstuvwxyz",
            "http://u:hunter2@127.0.0.1:3000",
            "https://hunter2@app.example",
            "u:hunter2@app.example",
            "redis://:p@ss@cache:6379/0",
            "a\nb",
            "caf\u{e9}",
        ] {
            assert!(!is_plain(text), "{text}");
        }
        for text in
            ["", "every day", "https://app.example:3000", "ada@app.example", "@scope/x", "3 days"]
        {
            assert!(is_plain(text), "{text}");
        }
    }

    #[test]
    fn a_pasted_key_is_neither_a_name_nor_a_path() {
        for key in [
            "sk_live_51HxhuU2eZvKYlo2C",
            "sk_live_51Hx",
            "PRTV_123_abc",
            "PRTV_abc_def",
            "sk-proj-Ab3",
            "AKIAIOSFODNN7EXAMPLE",
            "u:hunter2@host",
        ] {
            assert!(!is_name(key) && !is_path(key), "{key}");
        }
        for name in ["NEXTAUTH_SECRET", "AUTH_SECRET_2", "portive_api_key", "portive-key", "S3.KEY"]
        {
            assert!(is_name(name) && is_path(name), "{name}");
        }
        for path in ["/run/secrets/portive", "keys/Portive1.pem", "./PRTV", "portive2.key"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["/keys/0f3b9c2d1a7e", "//u:hunter2@host/x"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
