//! The calls in an app's source that make a vendor's token. A name such as `createToken` or
//! `authenticate` says little: it counts on the vendor's client, and a function or a class
//! in a file that knows the vendor's library.

use super::knowledge::Rule;
use super::mounts::{has_word, imported};
use super::project::{Project, Source};
use super::source::{behind, is_word, places, value};

/// Longest expression that a method is called on, and most of a function that is looked at.
const LONGEST: usize = 400;

/// A vendor, as the app's source knows it.
pub(super) struct VendorCalls<'p> {
    names: Vec<String>,
    project: &'p Project,
    /// The files that name it.
    named_in: Vec<&'p Source>,
}

impl<'p> VendorCalls<'p> {
    pub(super) fn new(vendor: &Rule, project: &'p Project) -> Self {
        let names: Vec<_> = vendor.names_in_source().map(plain).collect();
        let named_in = project.files.iter().filter(|file| names_one(&names, &file.text)).collect();
        Self { names, project, named_in }
    }

    /// The places where a call begins. A call that starts with a dot is a method.
    pub(super) fn of<'c>(&'c self, call: &'c str) -> impl Iterator<Item = (&'p Source, usize)> {
        self.project.files.iter().flat_map(move |file| {
            let found = places(&file.text, call.trim_start_matches('.'));
            let found = found.filter(move |at| {
                let before = file.text.get(..*at).unwrap_or_default();
                match call.starts_with('.') {
                    true => self.is_on_client(before, file),
                    false => !is_defined(before) && self.is_known_in(file),
                }
            });
            found.map(move |at| (file, at))
        })
    }

    /// Whether a file names the vendor, or imports from one that does.
    fn is_known_in(&self, file: &Source) -> bool {
        let imports = |other: &&&Source| !imported(other, file).is_empty();
        names_one(&self.names, &file.text) || self.named_in.iter().any(|other| imports(&other))
    }

    /// Whether the method behind this text is called on the vendor's client.
    fn is_on_client(&self, before: &str, file: &Source) -> bool {
        let marks = ["?.", "&.", ".", "->", "::"];
        let Some(before) = marks.iter().find_map(|mark| before.strip_suffix(mark)) else {
            return false;
        };
        let client = receiver(before);
        let mut words = client.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        names_one(&self.names, client)
            || words.any(|it| self.is_made_in(file, it) || self.is_imported(it, file))
    }

    /// Whether a file gives a name to something of the vendor's: a value, a type or what a
    /// function returns.
    fn is_made_in(&self, file: &Source, name: &str) -> bool {
        let values = [format!("{name} ="), format!("{name}:")];
        let functions = [format!("function {name}("), format!("def {name}")];
        let start = |text: &str| text.chars().take(LONGEST).collect::<String>();
        values.iter().any(|it| behind(&file.text, it).any(|it| names_one(&self.names, value(it))))
            || functions
                .iter()
                .any(|it| behind(&file.text, it).any(|body| names_one(&self.names, &start(body))))
    }

    /// Whether a name is imported from a file that makes it with the vendor's library. A file
    /// that does not know the name exports it as its default.
    fn is_imported(&self, name: &str, file: &Source) -> bool {
        self.named_in.iter().filter(|other| other.path != file.path).any(|other| {
            imported(other, file).iter().any(|it| it == name)
                && (self.is_made_in(other, name) || !has_word(&other.text, name))
        })
    }
}

/// Without the signs in which `stream_chat`, `stream-chat` and `StreamChat` differ.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !"-_".contains(*c)).map(|c| c.to_ascii_lowercase()).collect()
}

fn names_one(names: &[String], text: &str) -> bool {
    let text = plain(text);
    names.iter().any(|name| text.contains(name.as_str()))
}

/// Whether the name behind this text is the app's own function.
fn is_defined(before: &str) -> bool {
    let before = before.trim_end();
    ["function", "def"].iter().any(|word| before.ends_with(word))
}

/// The expression at the end of a text: names, members and calls, over several lines.
fn receiver(before: &str) -> &str {
    let (mut start, mut depth) = (before.len(), 0_usize);
    for (at, c) in before.char_indices().rev() {
        let behind = before.get(start..).unwrap_or_default();
        match c {
            _ if before.len() - at > LONGEST => break,
            ')' | ']' => depth += 1,
            '(' | '[' if depth == 0 => break,
            '(' | '[' => depth -= 1,
            _ if depth > 0 || is_word(c) || ".:->?!@$&".contains(c) => {}
            _ if c.is_whitespace() && (behind.is_empty() || behind.starts_with(['.', '-'])) => {
                continue;
            }
            _ => break,
        }
        start = at;
    }
    before.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
