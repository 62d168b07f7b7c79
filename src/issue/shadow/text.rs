//! Two texts that hold tokens, signatures, ids or URLs: what of them may differ, and what
//! must be the same.
//!
//! The gateway's own text is there twice, made at two times. What is the same in both must be
//! the app's too; of the rest only the form is compared.

use super::time;

/// The difference between two texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unlike {
    /// Their form, in words.
    Form(String, String),
    /// A time in them, in words.
    Time(String, String),
    /// Something that is always the same in the gateway's.
    Value,
}

/// Compares two texts that are not equal.
pub(super) fn compare(app: &str, ours: &str, again: Option<&str>, now: u64) -> Option<Unlike> {
    if again == Some(ours) {
        return Some(Unlike::Value);
    }
    let (of_app, of_ours) = (parts(app), parts(ours));
    let of_again = again.map(parts).filter(|of_again| of_again.len() == of_ours.len());
    if of_app.len() != of_ours.len() {
        return Some(Unlike::Form(form(app), form(ours)));
    }
    let mut found = of_app.iter().zip(&of_ours).enumerate().filter_map(|(index, (app, ours))| {
        let again = of_again.as_ref().and_then(|parts| parts.get(index));
        part(app, ours, again.copied(), now)
    });
    found.next()
}

fn part(app: &str, ours: &str, again: Option<&str>, now: u64) -> Option<Unlike> {
    if app == ours {
        return None;
    }
    if again == Some(ours) {
        return Some(Unlike::Value);
    }
    match (time::of_text(app, now), time::of_text(ours, now)) {
        (Some((app, unit)), Some((ours, same))) if unit == same => {
            let is_near = app.abs_diff(ours) <= time::TOLERANCE;
            return (!is_near).then(|| Unlike::Time(time::away(app, now), time::away(ours, now)));
        }
        (Some((_, unit)), Some((_, other))) => {
            return Some(Unlike::Form(unit.as_str().to_owned(), other.as_str().to_owned()));
        }
        (_, None) | (None, _) => {}
    }
    let is_alike = Letters::of(app) == Letters::of(ours) && is_as_long(app, ours);
    (!is_alike).then(|| Unlike::Form(form(app), form(ours)))
}

/// Words between separators. Signatures in base64 have `-`, `_`, `+`, `/` and `=` in them, so
/// these separate only where the text is a URL or a form.
fn parts(text: &str) -> Vec<&str> {
    let is_url = text.contains("://") || text.contains('&');
    let separates = |c: char| ":.;, |".contains(c) || (is_url && "/?&=".contains(c));
    text.split(separates).collect()
}

/// Percent-encoding and padding make a signature a little longer or shorter.
fn is_as_long(app: &str, ours: &str) -> bool {
    app.len().abs_diff(ours.len()) <= ours.len() / 4
}

/// The letters a random text is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letters {
    Digits,
    Hex,
    Other,
    Uuid,
}

impl Letters {
    fn of(text: &str) -> Self {
        let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        let groups: Vec<usize> = text.split('-').map(str::len).collect();
        if groups == [8, 4, 4, 4, 12] && text.split('-').all(is_hex) {
            Self::Uuid
        } else if text.bytes().all(|b| b.is_ascii_digit()) {
            Self::Digits
        } else if text.len() >= 16 && is_hex(text) {
            Self::Hex
        } else {
            Self::Other
        }
    }
}

/// A text by its form.
pub(super) fn form(text: &str) -> String {
    let length = text.len();
    let parts = parts(text).len();
    match Letters::of(text) {
        Letters::Uuid => "a UUID".to_owned(),
        Letters::Digits => format!("{length} digits"),
        Letters::Hex => format!("{length} hexadecimal digits"),
        Letters::Other if parts > 1 => format!("a string of {length} octets in {parts} parts"),
        Letters::Other => format!("a string of {length} octets"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn constant_values_must_equal_the_apps() {
        let is = |app, ours, again| compare(app, ours, Some(again), NOW);
        assert_eq!(is("key:bbbb", "key:aaaa", "key:aaaa"), Some(Unlike::Value));
        assert_eq!(is("old:0f0e", "key:0a0b", "key:0c0d"), Some(Unlike::Value));
        assert_eq!(is("key:0f0e", "key:0a0b", "key:0c0d"), None);
    }

    #[test]
    fn of_random_texts_the_form_is_compared() {
        let uuid = ["3b241101-e2bb-4255-8caf-4136c566a962", "9c858901-8a57-4791-81fe-4c455b099bc9"];
        let other = "16fd2706-8baf-433b-82eb-8c7fada847da";
        assert_eq!(compare(other, uuid[0], Some(uuid[1]), NOW), None);
        let unlike = compare("123456789", uuid[0], Some(uuid[1]), NOW);
        assert_eq!(unlike, Some(Unlike::Form("9 digits".into(), "a UUID".into())));
        let (url, again) = (
            "https://a.example/o?exp=1800000060&sig=YWJj",
            "https://a.example/o?exp=1800000062&sig=ZGVm",
        );
        assert_eq!(
            compare("https://a.example/o?exp=1800000061&sig=Z2hp", url, Some(again), NOW),
            None
        );
        let longer = compare("https://a.example/o?exp=1800003600&sig=Z2hp", url, Some(again), NOW);
        assert_eq!(longer, Some(Unlike::Time("in 3600 s".into(), "in 60 s".into())));
        let elsewhere =
            compare("https://b.example/o?exp=1800000060&sig=Z2hp", url, Some(again), NOW);
        assert_eq!(elsewhere, Some(Unlike::Value));
    }

    #[test]
    fn a_text_with_a_time_in_it_is_compared_by_that_time() {
        let again = Some("1800000062:ada");
        assert_eq!(compare("1800000061:ada", "1800000060:ada", again, NOW), None);
        assert_eq!(
            compare("1800086400:ada", "1800000060:ada", again, NOW),
            Some(Unlike::Time("in 86400 s".into(), "in 60 s".into()))
        );
        assert_eq!(compare("1800000060:ben", "1800000060:ada", again, NOW), Some(Unlike::Value));
    }
}
