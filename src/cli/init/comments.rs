//! Source text without its comments: what somebody commented out is not what the app does.

/// The signs of one language's comments.
struct Comments {
    lines: &'static [&'static str],
    blocks: &'static [(&'static str, &'static str)],
    quotes: &'static str,
}

const C_LIKE: Comments = Comments { lines: &["//"], blocks: &[("/*", "*/")], quotes: "\"'`" };
const PAGE: Comments =
    Comments { lines: &["//"], blocks: &[("/*", "*/"), ("<!--", "-->")], quotes: "\"'`" };
const PHP: Comments = Comments { lines: &["//", "#"], blocks: &[("/*", "*/")], quotes: "\"'" };
const RUBY: Comments = Comments { lines: &["#"], blocks: &[("\n=begin", "\n=end")], quotes: "\"'" };
const SCRIPT: Comments = Comments { lines: &["#"], blocks: &[], quotes: "\"'" };

fn of_language(extension: &str) -> &'static Comments {
    match extension {
        "py" | "ex" | "exs" => &SCRIPT,
        "rb" => &RUBY,
        "php" => &PHP,
        "vue" | "svelte" => &PAGE,
        _ => &C_LIKE,
    }
}

/// The text with each comment taken out; its line breaks stay.
pub(super) fn without_comments(text: &str, extension: &str) -> String {
    let comments = of_language(extension);
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = comments.length_at(rest, &kept);
        if skipped > 0 {
            let (comment, after) = rest.split_at_checked(skipped).unwrap_or((rest, ""));
            kept.extend(comment.chars().filter(|c| *c == '\n'));
            rest = after;
            continue;
        }
        let length = if comments.quotes.contains(c) { quoted(rest, c) } else { c.len_utf8() };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        kept.push_str(token);
        rest = after;
    }
    kept
}

impl Comments {
    /// Bytes of the comment that begins here, 0 where none does.
    fn length_at(&self, rest: &str, before: &str) -> usize {
        for (open, close) in self.blocks {
            if let Some(inner) = rest.strip_prefix(open) {
                let end = inner.find(close).map_or(inner.len(), |at| at + close.len());
                return open.len() + end;
            }
        }
        // Neither `https://` in a page's text nor an attribute of PHP begins a comment.
        let is_sign = |sign: &&&str| {
            rest.starts_with(**sign)
                && !(**sign == "//" && before.ends_with([':', '\\']))
                && !(**sign == "#" && self.lines.len() > 1 && rest.starts_with("#["))
        };
        match self.lines.iter().find(is_sign) {
            Some(_) => rest.find('\n').unwrap_or(rest.len()),
            None => 0,
        }
    }
}

/// Bytes of the quoted text that begins here. Only a template goes on over a line's end.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == quote || (c == '\n' && quote != '`') {
            return at + usize::from(c == quote);
        } else {
            escaped = c == '\\';
        }
    }
    quote.len_utf8()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_each_language_are_taken_out_and_nothing_else_is() {
        for (extension, text, kept) in [
            ("ts", "a // b\nc /* d\ne */ f", "a \nc \n f"),
            ("ts", "const u = 'https://x//y' // z", "const u = 'https://x//y' "),
            ("tsx", "<p>https://a.example</p>", "<p>https://a.example</p>"),
            ("js", "f(`// ${a} \n// b`) // c", "f(`// ${a} \n// b`) "),
            ("js", "don't /* a */ it\n// b", "don't /* a */ it\n"),
            ("py", "a = \"#b\" # c\n# d", "a = \"#b\" \n"),
            ("rb", "x \"#{y}\" # z\n=begin\nq\n=end\nw", "x \"#{y}\" \n\n\n\nw"),
            ("php", "#[Route('/a')]\n# b\n// c\n/* d */ e", "#[Route('/a')]\n\n\n e"),
            ("vue", "<!-- a\n --> <b/>", "\n <b/>"),
            ("ex", "x # é\ny", "x \ny"),
        ] {
            assert_eq!(without_comments(text, extension), kept, "{text}");
        }
    }
}
