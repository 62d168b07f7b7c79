//! Cursors over the tree: `At` is one value, `Table` one table being read.

use super::node::{Key, Node, Value, shown};
use super::problem::Problems;
use crate::base::secret::{Secret, Secrets};

/// A type that can stand in `gateway.toml`. `None` means the problem was noted.
pub trait FromNode: Sized {
    fn read(at: &At<'_>) -> Option<Self>;
}

/// One value with its path, and where problems go.
#[derive(Clone)]
pub struct At<'a> {
    pub node: &'a Node,
    pub path: String,
    pub problems: &'a Problems,
    pub secrets: &'a Secrets,
}

impl<'a> At<'a> {
    pub fn new(node: &'a Node, path: &str, problems: &'a Problems, secrets: &'a Secrets) -> Self {
        Self { node, path: path.to_owned(), problems, secrets }
    }

    /// Notes a problem with this value.
    pub fn problem(&self, text: impl Into<String>) {
        self.problems.add(self.node.span.start, &self.path, text);
    }

    /// Notes that this value is allowed, but weaker than it looks.
    pub fn warn(&self, text: impl Into<String>) {
        self.problems.warn(self.node.span.start, &self.path, text);
    }

    /// As `warn`, about a missing key.
    pub fn warn_of_missing(&self, key: &str, text: impl Into<String>) {
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.problems.warn(self.node.span.start, &path, text);
    }

    /// The value below this one at `path`, if all of it is there.
    pub fn find(&self, path: &[&str]) -> Option<Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self.clone()) };
        let Value::Table(entries) = &self.node.value else { return None };
        let (key, node) = entries.iter().find(|(entry, _)| entry.name == *first)?;
        self.child(key, node).find(rest)
    }

    /// Notes that this value is not what was expected.
    pub fn wrong(&self, expected: &str) {
        self.problem(format!("found {}, expected {expected}", self.node.shown()));
    }

    pub fn read<T: FromNode>(&self) -> Option<T> {
        T::read(self)
    }

    /// The value as text, or a problem.
    pub fn text(&self, expected: &str) -> Option<&'a str> {
        let Value::Text(text) = &self.node.value else {
            self.problem(format!("found {}, expected {expected}", self.node.kind()));
            return None;
        };
        Some(text)
    }

    /// One of a few words, in any letter case: the value it selects.
    pub fn choose<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|&(word, _)| word).collect();
        let written = self.text(&one_of("", &words))?;
        let chosen = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(written));
        if chosen.is_none() {
            self.wrong(&one_of(written, &words));
        }
        chosen.map(|&(_, choice)| choice)
    }

    pub(crate) fn is_table(&self) -> bool {
        matches!(self.node.value, Value::Table(_))
    }

    /// The items of a list, or a single value as a list of one.
    pub fn items(&self) -> Vec<Self> {
        let Value::Array(items) = &self.node.value else { return vec![self.clone()] };
        let item = |(index, node)| Self { node, path: format!("{}[{index}]", self.path), ..*self };
        items.iter().enumerate().map(item).collect()
    }

    /// The members of a table in the order of the file.
    pub fn members(&self) -> Vec<(&'a Key, Self)> {
        let Value::Table(entries) = &self.node.value else {
            self.problem(format!("found {}, expected a table", self.node.kind()));
            return Vec::new();
        };
        entries.iter().map(|(key, node)| (key, self.child(key, node))).collect()
    }

    fn child(&self, key: &Key, node: &'a Node) -> Self {
        let name = readable(&key.name);
        let path = if self.path.is_empty() { name } else { format!("{}.{name}", self.path) };
        Self { node, path, ..*self }
    }

    /// The secret behind a reference, or a problem that does not repeat it.
    pub fn secret(&self) -> Option<Secret> {
        let Value::Text(reference) = &self.node.value else {
            self.problem("found no text, expected a reference to a secret: \"env:NAME\", \"file:PATH\" or \"credential:NAME\"");
            return None;
        };
        self.secrets.resolve(reference).map_err(|error| self.problem(error.to_string())).ok()
    }

    pub fn table(&self) -> Option<Table<'a>> {
        let Value::Table(entries) = &self.node.value else {
            self.problem(format!("found {}, expected a table", self.node.kind()));
            return None;
        };
        Some(Table { at: self.clone(), entries, asked: Vec::new(), given_up: false })
    }
}

/// A table being read. Ask for each key once; `finish` reports the rest.
pub struct Table<'a> {
    at: At<'a>,
    entries: &'a [(Key, Node)],
    asked: Vec<&'static str>,
    given_up: bool,
}

impl<'a> Table<'a> {
    pub fn at(&self) -> &At<'a> {
        &self.at
    }

    /// The value under `key`, if it is there.
    pub fn take(&mut self, key: &'static str) -> Option<At<'a>> {
        self.asked.push(key);
        self.peek(key)
    }

    /// Whether the key was asked for.
    pub fn has_asked(&self, key: &str) -> bool {
        self.asked.contains(&key)
    }

    /// As `take`, without counting as asked.
    pub fn peek(&self, key: &str) -> Option<At<'a>> {
        let (key, node) = self.entries.iter().find(|(entry, _)| entry.name == key)?;
        Some(self.at.child(key, node))
    }

    /// The value under `key`; `None` if absent, and also if wrong, which is then
    /// noted. Any problem refuses the whole file, so a default does no harm.
    pub fn get<T: FromNode>(&mut self, key: &'static str) -> Option<T> {
        self.take(key)?.read()
    }

    /// As `get`, but absence is a problem; `hint` says what to write.
    pub fn need<T: FromNode>(&mut self, key: &'static str, hint: &str) -> Option<T> {
        self.take_needed(key, hint)?.read()
    }

    pub fn take_needed(&mut self, key: &'static str, hint: &str) -> Option<At<'a>> {
        let taken = self.take(key);
        if taken.is_none() {
            self.missing(key, &format!("; write {hint}"));
        }
        taken
    }

    /// Notes that a key is missing, at the table it is missing from or, where that is the
    /// file, under the key's own name; `what` continues from there.
    pub fn missing(&self, key: &str, what: &str) {
        let path = if self.at.path.is_empty() { key } else { &self.at.path };
        self.at.problems.add(self.at.node.span.start, path, format!("`{key}` is missing{what}"));
    }

    /// Whether an unknown key is likely to be meant as this one.
    pub(crate) fn has_misspelt(&self, key: &str) -> bool {
        self.entries.iter().any(|(entry, _)| nearest(&[key], &entry.name).is_some())
    }

    /// Stops unknown keys from being reported: after a wrong `kind` it is not clear
    /// which keys are unknown.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }

    /// Reports every key that was not asked for, with the nearest known one.
    pub fn finish(self) {
        for (key, _) in self.entries {
            if self.given_up || self.asked.contains(&key.name.as_str()) {
                continue;
            }
            let path = format!(
                "{}{}{}",
                self.at.path,
                if self.at.path.is_empty() { "" } else { "." },
                printable(&key.name)
            );
            let text = match nearest(&self.asked, &key.name) {
                Some(known) => format!("unknown key, did you mean `{known}`?"),
                None => format!("unknown key, expected one of {}", self.known()),
            };
            self.at.problems.add(key.span.start, &path, text);
        }
    }

    fn known(&self) -> String {
        let mut known: Vec<_> = self.asked.iter().map(|key| format!("`{key}`")).collect();
        known.sort();
        known.dedup();
        known.join(", ")
    }
}

/// A key that the user chose as part of a path: whatever is in it, a problem stays one
/// line.
fn readable(key: &str) -> String {
    const LONGEST: usize = 100;
    if key.len() > LONGEST || key.chars().any(char::is_control) {
        return "…".to_owned();
    }
    key.to_owned()
}

fn printable(key: &str) -> String {
    let quoted = shown(key);
    if quoted.trim_matches('"') == key { key.to_owned() } else { "…".to_owned() }
}

/// The choices for a message, with the one nearest to `written`.
pub(crate) fn one_of(written: &str, choices: &[&str]) -> String {
    let all: Vec<_> = choices.iter().map(|choice| format!("{choice:?}")).collect();
    let all = format!("one of {}", all.join(", "));
    match nearest(choices, written) {
        Some(nearest) => format!("{all}; did you mean {nearest:?}?"),
        None => all,
    }
}

/// The word that was probably meant; of several equally near ones the first.
pub(crate) fn nearest<'w>(words: &[&'w str], written: &str) -> Option<&'w str> {
    let distances = words.iter().filter_map(|word| Some((distance(word, written)?, *word)));
    distances.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// Whether one of two keys could be a typo of the other.
pub(crate) fn near(known: &str, written: &str) -> bool {
    distance(known, written).is_some()
}

/// The edits by which two keys differ (optimal string alignment), if at most two.
fn distance(known: &str, written: &str) -> Option<usize> {
    let (known, written) = (known.as_bytes(), written.as_bytes());
    if known.len().abs_diff(written.len()) > 2 || known.len() < 3 || written.len() > 64 {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=written.len()).collect();
    for (i, a) in known.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in written.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut cost =
                (at(&last, j) + usize::from(a != b)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped =
                i > 0 && j > 0 && known.get(i - 1) == Some(b) && written.get(j - 1) == Some(a);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|&distance| distance <= 2)
}
