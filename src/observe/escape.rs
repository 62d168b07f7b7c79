//! Text from outside as it may stand in a log line.
//!
//! A user id, a path or a request id is chosen by a client. Whatever is in it, a line
//! stays one line, and its fields stay apart.

use std::fmt::Write as _;

/// JSON string escaping (RFC 8259 section 7); terminals' control characters
/// included, so a path cannot paint over the log.
pub(super) fn escape(out: &mut String, text: &str) {
    let is_plain = |b: u8| (b' '..=b'~').contains(&b) & (b != b'"') & (b != b'\\');
    // No early exit, so that the compiler checks several bytes at once.
    if text.bytes().fold(true, |so_far, b| so_far & is_plain(b)) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => push(out, format_args!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

/// A JSON string in which every character can be seen: as `escape`, and what reorders, hides
/// or ends a line is escaped too.
pub(super) fn escape_visibly(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' ' => out.push(c),
            c if c.is_control() || c.is_whitespace() || is_invisible(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    push(out, format_args!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
}

/// One word of a text line: nothing in it ends the word, looks like the next field, or
/// makes a terminal show the line in another order than it is written in.
pub(super) fn escape_word(out: &mut String, text: &str) {
    let is_plain = |b: u8| b.is_ascii_graphic() & (b != b'"') & (b != b'\\');
    if text.bytes().fold(true, |so_far, b| so_far & is_plain(b)) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || c.is_whitespace() || is_invisible(c) => {
                push(out, format_args!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
}

/// Format characters: they reorder (Unicode TR 9), join or hide the text around them.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}
