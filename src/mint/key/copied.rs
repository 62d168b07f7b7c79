//! Signs that more than the key was copied: blanks, quotes, the variable's name, a scheme.
//!
//! The vendor would only say that the key is wrong, or a token would verify nowhere. No
//! message repeats anything of the key.

use super::text::is_pem;
use crate::base::secret::Secret;
use crate::document::At;

/// Reads a secret, and warns of what seems not to belong to it.
pub(super) fn secret(at: &At<'_>) -> Option<Secret> {
    let secret = at.secret()?;
    let text = secret.text().unwrap_or_default();
    if !text.is_empty() && text.trim().is_empty() {
        at.problem(
            "found nothing but blanks, expected the key; copy it from the vendor's dashboard",
        );
        return None;
    }
    let is_file = is_pem(&secret) || text.trim_start().starts_with('{');
    if let Some((found, write)) = surplus(text).filter(|_| !is_file) {
        at.warn(format!(
            "found {found} (the value is not repeated here), expected the key alone; {write}"
        ));
    }
    Some(secret)
}

/// The surplus that was found, and the advice.
fn surplus(text: &str) -> Option<(&'static str, &'static str)> {
    const BARE: &str = "write the key without it";
    let is_quoted =
        |quote: char| text.len() > 2 && text.starts_with(quote) && text.ends_with(quote);
    let lower = text.get(..16).unwrap_or(text).to_ascii_lowercase();
    if text.starts_with('\u{feff}') {
        Some(("a byte order mark before the key", "save the file as UTF-8 without one"))
    } else if text.trim() != text {
        Some(("a blank or a line break before or behind the key", BARE))
    } else if text.contains(['\n', '\r']) {
        Some(("a line break within the key", "write it in one line"))
    } else if ['"', '\'', '`'].into_iter().any(is_quoted) {
        Some((
            "the key in quotes, which then belong to it",
            "write it without (`docker --env-file` keeps quotes)",
        ))
    } else if ["bearer ", "basic ", "token ", "apikey "].iter().any(|it| lower.starts_with(it)) {
        Some(("the scheme of a header before the key", "write it without; the preset adds its own"))
    } else if is_assignment(text) {
        Some(("the name of a variable before the key", "write what stands behind the `=`"))
    } else if is_placeholder(&lower, text) {
        Some(("a placeholder of an example", "copy the key from the vendor's dashboard"))
    } else if !text.is_ascii() {
        Some((
            "a character that is not ASCII in the key",
            "copy it again from the vendor's dashboard",
        ))
    } else {
        None
    }
}

/// `API_KEY=…`, perhaps behind `export`.
fn is_assignment(text: &str) -> bool {
    let text = text.strip_prefix("export ").unwrap_or(text);
    text.split_once('=').is_some_and(|(name, value)| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.contains('_')
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            && value.len() > 3
    })
}

/// `your-api-key`, `<secret>`, `changeme`.
fn is_placeholder(lower: &str, text: &str) -> bool {
    let starts = ["your-", "your_", "your ", "changeme", "change-me", "change_me", "replace"];
    starts.iter().any(|start| lower.starts_with(start))
        || (text.starts_with('<') && text.ends_with('>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_with_a_key_is_noticed_and_a_key_is_not() {
        for (text, found) in [
            (" key-0123456789", "a blank"),
            ("key-0123456789\u{a0}", "a blank"),
            ("key-0123456789\r", "a blank"),
            ("key-01234\n56789", "a line break"),
            ("\"key-0123456789\"", "quotes"),
            ("'key-0123456789'", "quotes"),
            ("\u{feff}key-0123456789", "a byte order mark"),
            ("Bearer key-0123456789", "the scheme"),
            ("API_KEY=key-0123456789", "the name of a variable"),
            ("export API_KEY=key-0123456789", "the name of a variable"),
            ("your-api-key", "a placeholder"),
            ("<your secret>", "a placeholder"),
            ("changeme", "a placeholder"),
            ("key-\u{201c}0123456789", "not ASCII"),
        ] {
            let said = surplus(text).map(|(found, _)| found).unwrap_or_default();
            assert!(said.contains(found), "{text}: {said}");
        }
        for key in [
            "sk_live_0123456789abcdef",
            "PRTV_abc_0123456789",
            "QUJDREVGR0g=",
            "ABCDEFGH==",
            "AAAA_BBBB==",
            "SG.a-b_c.d",
            "app.key:secret=",
            "a\"b'c`d",
            "yourselves0123456789",
        ] {
            assert_eq!(surplus(key), None, "{key}");
        }
    }
}
