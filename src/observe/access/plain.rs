//! `text`: a line for people.

use super::numbers::push_milliseconds;
use super::stamp::Stamp;
use crate::base::text;
use crate::observe::escape::escape_word;
use crate::observe::event::Line;

pub(super) fn push(line: &Line<'_>, out: &mut String, stamp: &mut Stamp) {
    stamp.push_rfc3339(out, line.unix_ms);
    out.push(' ');
    text::push(out, line.status.into());
    out.push(' ');
    escape_word(out, line.method);
    out.push(' ');
    escape_word(out, line.path);
    out.push(' ');
    out.push_str(line.outcome.as_str());
    out.push(' ');
    escape_word(out, line.route);
    if let Some(user) = line.user {
        out.push_str(" user=");
        escape_word(out, user);
    }
    if !line.source.is_empty() {
        out.push_str(" source=");
        escape_word(out, line.source);
    }
    if !line.reason.is_empty() {
        out.push_str(" reason=");
        out.push_str(line.reason);
    }
    out.push(' ');
    push_milliseconds(out, line.took);
    out.push_str("ms ");
    escape_word(out, line.request_id);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::access::example::{LINE, ODD, odd};

    fn written(line: &Line<'_>) -> String {
        let mut out = String::new();
        push(line, &mut out, &mut Stamp::default());
        out
    }

    #[test]
    fn whatever_a_client_sends_is_one_word_of_a_text_line() {
        let usual = written(&odd("x")).split(' ').count();
        for text in ODD.iter().filter(|text| !text.is_empty()) {
            let out = written(&odd(text));
            assert_eq!(out.split(' ').count(), usual, "{text:?}");
            assert_eq!(out.matches('\n').count(), 1, "{text:?}");
            let readable =
                |c: char| c.is_ascii_graphic() || " \u{1f512}".contains(c) || c.is_alphanumeric();
            assert!(out.trim_end().chars().all(readable), "{out:?}");
        }
    }

    #[test]
    fn letters_of_any_script_stay_readable_in_a_text_line() {
        let named = written(&Line { user: Some("Zo\u{eb}-\u{4e2d}"), ..LINE });
        assert!(named.contains(" user=Zo\u{eb}-\u{4e2d} "), "{named}");
    }
}
