//! Texts replaced at every place a page can be cut.

use super::*;

fn replacer(pairs: &[(&'static str, &'static str)]) -> Replacer {
    Replacer::new(pairs.iter().map(|&(text, value)| (text, Bytes::from_static(value.as_bytes()))))
}

/// The page after replacing, given in these pieces.
fn replaced(pairs: &[(&'static str, &'static str)], pieces: &[&str]) -> String {
    let mut replacer = replacer(pairs);
    let mut page = Vec::new();
    for piece in pieces {
        page.extend_from_slice(&replacer.push(Bytes::copy_from_slice(piece.as_bytes())));
    }
    page.extend_from_slice(&replacer.finish());
    String::from_utf8(page).unwrap()
}

const PAIRS: [(&str, &str); 3] =
    [("__TOKEN__", "eyJ.abc.-_"), ("__TOKEN_TWO__", ""), ("aabaabaac", "<__TOKEN__>")];

/// Pages and what becomes of them.
const PAGES: [(&str, &str); 9] = [
    ("", ""),
    ("<p>nothing</p>", "<p>nothing</p>"),
    ("__TOKEN__", "eyJ.abc.-_"),
    ("<a>__TOKEN__</a>__TOKEN__", "<a>eyJ.abc.-_</a>eyJ.abc.-_"),
    ("__TOKEN_TWO__|__TOKEN__", "|eyJ.abc.-_"),
    ("___TOKEN__ __TOKEN_ __TOKEN", "_eyJ.abc.-_ __TOKEN_ __TOKEN"),
    ("aabaabaabaac", "aab<__TOKEN__>"),
    ("aabaabaa", "aabaabaa"),
    ("é__TOKEN__é", "éeyJ.abc.-_é"),
];

#[test]
fn a_text_is_replaced_wherever_the_page_is_cut_in_two() {
    for (page, expected) in PAGES {
        let cuts = (0..=page.len()).filter(|&at| page.is_char_boundary(at));
        for (head, tail) in cuts.map(|at| page.split_at(at)) {
            assert_eq!(replaced(&PAIRS, &[head, tail]), expected, "{head:?} {tail:?}");
        }
    }
}

#[test]
fn a_text_is_replaced_wherever_the_page_is_cut_in_three() {
    for (page, expected) in PAGES.iter().filter(|(page, _)| page.is_ascii()) {
        for first in 0..=page.len() {
            for second in first..=page.len() {
                let (start, rest) = page.split_at(first);
                let (middle, end) = rest.split_at(second - first);
                assert_eq!(replaced(&PAIRS, &[start, middle, end]), *expected, "{page}");
            }
        }
    }
}

#[test]
fn a_text_is_replaced_where_every_piece_is_of_the_same_size() {
    let page = "x__TOKEN__y__TOKEN_TWO__aabaabaabaac".repeat(20);
    let expected = "xeyJ.abc.-_yaab<__TOKEN__>".repeat(20);
    for size in 1..=page.len() {
        let pieces: Vec<&str> =
            page.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
        assert_eq!(replaced(&PAIRS, &pieces), expected, "pieces of {size}");
    }
}

#[test]
fn no_more_is_held_back_than_could_be_a_beginning() {
    let mut replacer = replacer(&PAIRS);
    assert_eq!(replacer.push(Bytes::from_static(b"<html>__TOK")), "<html>");
    assert_eq!(replacer.push(Bytes::from_static(b"__TOKEN")), "__TOK");
    assert_eq!(replacer.push(Bytes::from_static(b"__")), "eyJ.abc.-_");
    assert_eq!(replacer.finish(), "");
}

#[test]
fn a_piece_without_a_text_is_not_copied() {
    let piece = Bytes::from(vec![b'x'; 10_000]);
    let passed = replacer(&PAIRS).push(piece.clone());
    assert_eq!((passed.as_ptr(), passed.len()), (piece.as_ptr(), piece.len()));
}

#[test]
fn inserted_values_end_no_text_attribute_or_string() {
    for value in ["eyJhbGciOiJIUzI1NiJ9.eyJ9.a-b_c", "a+b/c==", "app.key:abc~", ""] {
        assert!(is_safe_in_a_page(value.as_bytes()), "{value}");
    }
    for value in ["<", ">", "\"", "'", "`", "&", "\\", "$", "(", " ", "\n", "\u{2028}", "{", ";"] {
        assert!(!is_safe_in_a_page(value.as_bytes()), "{value}");
    }
    assert!(is_placeholder("__PORTIVE_TOKEN__") && is_placeholder("{{portive.token}}"));
    for text in ["short", "<!--token-->", "a b c d e f", "\"quoted-text\"", &"x".repeat(129)] {
        assert!(!is_placeholder(text), "{text}");
    }
}

#[test]
fn characters_that_end_text_attributes_or_scripts_are_unsafe_in_a_page() {
    for safe in ["", "eyJhbGciOi.eyJ-_~.c2ln+/==", "room:key:1"] {
        assert!(is_safe_in_a_page(safe.as_bytes()), "{safe}");
    }
    for unsafe_one in ["a\"b", "a'b", "a<b", "a>b", "a&b", "a`b", "a b", "a\nb", "a\\b", "a\u{e9}"]
    {
        assert!(!is_safe_in_a_page(unsafe_one.as_bytes()), "{unsafe_one}");
    }
}
