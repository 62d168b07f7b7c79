//! Everything wrong with a file, or weaker than it looks, each with its place.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong: where, which setting, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Byte offset in the file.
    pub offset: usize,
    /// Dotted path of the setting, empty for syntax errors.
    pub path: String,
    pub text: String,
    pub severity: Severity,
}

/// Whether a file can be used in spite of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    /// The file can run, but a client may get more than its author meant.
    Warning,
}

/// Problems found so far. Readers share it and go on after each.
#[derive(Default)]
pub struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub fn add(&self, offset: usize, path: &str, text: impl Into<String>) {
        self.push(offset, path, text.into(), Severity::Error);
    }

    pub(super) fn warn(&self, offset: usize, path: &str, text: impl Into<String>) {
        self.push(offset, path, text.into(), Severity::Warning);
    }

    fn push(&self, offset: usize, path: &str, text: String, severity: Severity) {
        let problem = Problem { offset, path: path.to_owned(), text, severity };
        let mut all = self.0.borrow_mut();
        if !all.contains(&problem) {
            all.push(problem);
        }
    }

    /// Whether nothing keeps the file from being used.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().iter().all(|problem| problem.severity == Severity::Warning)
    }

    /// All errors in the order of the file.
    pub fn into_sorted(self) -> Vec<Problem> {
        self.sorted(Severity::Error)
    }

    /// All warnings in the order of the file.
    pub fn into_warnings(self) -> Vec<Problem> {
        self.sorted(Severity::Warning)
    }

    fn sorted(self, severity: Severity) -> Vec<Problem> {
        let mut all = self.0.into_inner();
        all.retain(|problem| problem.severity == severity);
        all.sort_by_key(|problem| problem.offset);
        all
    }
}

impl Problem {
    /// `gateway.toml:12:7: token.portive.ttl: …`, columns counted in characters.
    pub fn display<'a>(&'a self, file: &'a str, source: &'a str) -> impl fmt::Display + 'a {
        Placed { problem: self, file, source }
    }
}

struct Placed<'a> {
    problem: &'a Problem,
    file: &'a str,
    source: &'a str,
}

impl fmt::Display for Placed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.source.get(..self.problem.offset).unwrap_or(self.source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        write!(f, "{}:{line}:{column}: ", self.file)?;
        if self.problem.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.problem.path.is_empty() {
            write!(f, "{}: ", on_one_line(&self.problem.path))?;
        }
        f.write_str(&on_one_line(&self.problem.text))
    }
}

/// A key of the file may be named anything, and messages repeat it: nothing may break
/// the line, or paint over it.
fn on_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let plain = |c: char| {
        if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_whatever_a_key_is_called() {
        let path = "token.a\nb".to_owned();
        let text = "`\u{1b}[31m` \u{e9} is unknown".to_owned();
        let problem = Problem { offset: 0, path, text, severity: Severity::Error };
        let line = problem.display("gateway.toml", "").to_string();
        assert_eq!(line, "gateway.toml:1:1: token.a\\nb: `\\u{1b}[31m` \u{e9} is unknown");
    }
}
