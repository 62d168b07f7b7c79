//! Advice on a cookie's value without structure: most often the session is elsewhere, under
//! this id.

use crate::session::format::SessionKind;

/// Words that apps and languages leave in a cookie where nobody is signed in.
const LEFT_BEHIND: [&str; 5] = ["deleted", "j:null", "null", "undefined", "unset"];
/// From this length on, a text of letters or digits alone may be an id: a shorter one is a
/// word, a count or a time.
const LONG: usize = 20;

/// The next step for a value that a kind without a store cannot read.
pub(super) fn hint(kind: &SessionKind, name: &str, value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let introspect = format!(
        "let the app say who is signed in: kind = \"introspect\", cookie = {name:?}, `url` and \
         `user_id`"
    );
    if LEFT_BEHIND.contains(&text) {
        return Some("the value is what is left of a session after a sign-out".to_owned());
    }
    if text.starts_with("CfDJ8") {
        let why =
            "the value is encrypted by ASP.NET Core's data protection, which only the app can read";
        return Some(format!("{why}; {introspect}"));
    }
    if name == "JSESSIONID" {
        let why = "the value is only an id, and the app's server keeps the session in its memory";
        return Some(format!("{why}; {introspect}"));
    }
    let written = kind.hints.bare_id;
    is_id(text).then(|| {
        format!("the value is only an id, {written}, and cookie = {name:?}; or {introspect}")
    })
}

fn is_id(text: &str) -> bool {
    let is_of_id = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~:".contains(&b);
    let is_mixed = ["0123456789", "abcdefghijklmnopqrstuvwxyz"]
        .iter()
        .all(|some| text.to_ascii_lowercase().contains(|c| some.contains(c)));
    (8..=128).contains(&text.len())
        && text.bytes().all(is_of_id)
        && text.matches('.').count() < 2
        && !text.starts_with("eyJ")
        && (is_mixed || text.len() >= LONG)
}

#[cfg(test)]
mod tests {
    use super::is_id;

    #[test]
    fn words_and_times_are_no_ids() {
        for id in ["f3a9c2d1", "0123456789012345678901", "AbCdEfGhIjKlMnOpQrStUvWx"] {
            assert!(is_id(id), "{id}");
        }
        for other in ["1795885990", "loggedout", "1795885990123", "dark", "a.b.c1234567"] {
            assert!(!is_id(other), "{other}");
        }
    }
}
