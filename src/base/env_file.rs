//! Files of environment variables (`--env-file`), read as the npm package `dotenv` reads
//! them: an app's `.env` means here what it means to the app.
//!
//! Pure. A line that `dotenv` would silently skip is an error that names its number and
//! repeats none of it: the line may be a secret.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// Variables by name; of two values for one name, the later counts.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, Zeroizing<String>>);

impl Variables {
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    /// Adds those of a later file.
    pub(crate) fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }
}

/// Names only.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A line that assigns nothing; its number counts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadLine(pub(crate) usize);

/// The text of a file, from where it has not been read yet.
struct Rest<'t> {
    text: &'t str,
    line: usize,
}

/// Reads the text of a file.
pub(crate) fn parse(text: &str) -> Result<Variables, BadLine> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = Zeroizing::new(text.replace("\r\n", "\n").replace('\r', "\n"));
    let mut rest = Rest { text: &text, line: 1 };
    let mut variables = Variables::default();
    while rest.find_line() {
        let (name, value) = rest.assignment().ok_or(BadLine(rest.line))?;
        variables.0.insert(name.to_owned(), value);
        rest.end_line();
    }
    Ok(variables)
}

impl<'t> Rest<'t> {
    /// Skips blank lines and comments; whether anything is left.
    fn find_line(&mut self) -> bool {
        loop {
            self.skip(|c| c != '\n' && c.is_whitespace());
            if self.text.starts_with('#') {
                self.skip(|c| c != '\n');
            }
            if !self.text.starts_with('\n') {
                return !self.text.is_empty();
            }
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        self.skip(|c| c != '\n');
        self.skip_one_newline();
    }

    fn skip_one_newline(&mut self) {
        if let Some(text) = self.text.strip_prefix('\n') {
            (self.text, self.line) = (text, self.line + 1);
        }
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        self.text = self.text.trim_start_matches(skipped);
    }

    /// `NAME=value`, `NAME: value`, each perhaps after `export`.
    fn assignment(&mut self) -> Option<(&'t str, Zeroizing<String>)> {
        let blank = |c: char| c == ' ' || c == '\t';
        if let Some(after) = self.text.strip_prefix("export").filter(|t| t.starts_with(blank)) {
            self.text = after.trim_start_matches(blank);
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let end = self.text.find(|c| !is_name(c)).filter(|&end| end > 0)?;
        let (name, after) = self.text.split_at_checked(end)?;
        let value = match after.trim_start_matches(blank).strip_prefix('=') {
            Some(value) => value,
            None => after.strip_prefix(':').filter(|value| value.starts_with(blank))?,
        };
        self.text = value.trim_start_matches(blank);
        Some((name, self.value()))
    }

    fn value(&mut self) -> Zeroizing<String> {
        if let Some((value, after)) = quoted(self.text) {
            self.text = after;
            self.line += value.matches('\n').count();
            return unquoted(value);
        }
        let end = self.text.find(['#', '\n']).unwrap_or(self.text.len());
        let (value, after) = self.text.split_at_checked(end).unwrap_or((self.text, ""));
        self.text = after;
        unquoted(value.trim())
    }
}

/// A value in quotes, which may hold `#` and line breaks, if a comment at most follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| "\"'`".contains(*c))?;
    let mut escaped = false;
    let end = text.char_indices().skip(1).find_map(|(at, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at + 1)
    })?;
    let (value, after) = text.split_at_checked(end)?;
    let line = after.split('\n').next().unwrap_or_default().trim_start();
    (line.is_empty() || line.starts_with('#')).then_some((value, after))
}

/// Without its quotes; double ones also stand for `\n` and `\r`.
fn unquoted(value: &str) -> Zeroizing<String> {
    let quote = value.chars().next().unwrap_or_default();
    let inner = Some(value).filter(|_| "\"'`".contains(quote) && value.len() > 1);
    let inner = inner.and_then(|value| value.strip_prefix(quote)?.strip_suffix(quote));
    let text = inner.unwrap_or(value);
    let expanded =
        if quote == '"' { text.replace("\\n", "\n").replace("\\r", "\r") } else { text.to_owned() };
    Zeroizing::new(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let variables = parse(text).unwrap();
        let shown =
            |(name, value): (&String, &Zeroizing<String>)| (name.clone(), value.to_string());
        variables.0.iter().map(shown).collect()
    }

    /// Results of dotenv 18.0.10 for the same lines.
    #[test]
    fn a_file_means_what_dotenv_says_it_means() {
        for (line, value) in [
            ("A=1", "1"),
            ("export A=two", "two"),
            ("  A = spaced value  ", "spaced value"),
            ("A=\"quoted # not a comment\" # comment", "quoted # not a comment"),
            ("A='single \\n stays'", "single \\n stays"),
            ("A=\"line\\nbreak\"", "line\nbreak"),
            ("A=bare # comment", "bare"),
            ("A=has#hash", "has"),
            ("A=", ""),
            ("A=\"\"", ""),
            ("A: yaml", "yaml"),
            ("A=`back\"tick's`", "back\"tick's"),
            ("A=\"first\nsecond\"", "first\nsecond"),
            ("A=\"unclosed", "\"unclosed"),
            ("A=it's", "it's"),
            ("A=\"a\\\"b\"", "a\\\"b"),
            ("A=a=b=c", "a=b=c"),
            ("A=$B", "$B"),
            ("A=\"${B}\"", "${B}"),
            ("A='x'y", "'x'y"),
            ("A=1\nA=2", "2"),
            ("A=  \"padded\"  ", "padded"),
            ("A=\tt\t", "t"),
            ("A=é", "é"),
            ("A=\"a\\tb\"", "a\\tb"),
            ("A='it''s'", "it''s"),
            ("\u{feff}A=1\r\n# comment\r\n", "1"),
        ] {
            assert_eq!(read(line), [("A".to_owned(), value.to_owned())], "{line:?}");
        }
        assert_eq!(read("\n # only\n\n"), []);
        let names = read("A=1\r\nR.s-t=2\rC=3");
        assert_eq!(
            names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["A", "C", "R.s-t"]
        );
    }

    #[test]
    fn values_are_not_printed() {
        assert_eq!(format!("{:?}", parse("A=hunter2").unwrap()), "{\"A\"}");
    }

    #[test]
    fn a_line_that_assigns_nothing_is_named_by_its_number() {
        for (text, line) in [
            ("hunter2", 1),
            ("A=1\n\nhunter2\n", 3),
            ("A=\"1\n2\n3\"\nB", 4),
            ("A B=3", 1),
            ("=5", 1),
            ("A:5", 1),
            ("# x\nA=\"\n\"\n\nexport\n", 5),
        ] {
            assert_eq!(parse(text).unwrap_err(), BadLine(line), "{text:?}");
        }
    }
}
