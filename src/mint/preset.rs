//! Presets: the token of each vendor, as data.
//!
//! The built-in ones are the files of `presets/`, embedded; the user's own are in
//! `gateway.toml` under `[preset.NAME]` and have the same members.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use super::built_in::BUILT_IN;
use super::known_members::is_known;
use crate::document::{At, FromNode, Key, Node, Problems, Table, Value, nearest};

/// All presets a token may name.
#[derive(Clone)]
pub struct Presets(Vec<Preset>);

#[derive(Clone)]
struct Preset {
    name: String,
    node: Node,
    author: Author,
}

/// How a preset's facts were checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The vendor's page about it.
    Documentation,
    /// A vector or a verifier of the vendor's own library.
    Library,
    /// The request that the vendor's own library makes.
    Recorded,
    Unverified,
}

/// The author of a preset.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Author {
    BuiltIn,
    User,
}

impl Presets {
    pub fn builtin() -> &'static Self {
        static PRESETS: OnceLock<Presets> = OnceLock::new();
        PRESETS.get_or_init(|| {
            let file = Node::parse(BUILT_IN, &Problems::default());
            let Value::Table(entries) = file.value else { return Self(Vec::new()) };
            let preset =
                |(key, node): (Key, Node)| Preset { name: key.name, node, author: Author::BuiltIn };
            Self(entries.into_iter().map(preset).collect())
        })
    }

    /// The built-in presets and those of the `[preset]` table.
    pub fn with_user(at: Option<&At<'_>>) -> Self {
        let mut all = Self::builtin().clone();
        for (key, at) in at.map(At::members).unwrap_or_default() {
            if all.find(&key.name).is_some() {
                at.problem("a built-in preset has this name; choose another");
            } else if at.table().is_some() {
                report_unknown(&at);
                let node = at.node.clone();
                all.0.push(Preset { name: key.name.clone(), node, author: Author::User });
            }
        }
        all
    }

    /// Every preset with how its facts were checked.
    pub(crate) fn checked(&self) -> impl Iterator<Item = (&str, Checked)> {
        self.0.iter().map(|preset| {
            let member = match &preset.node.value {
                Value::Table(entries) => entries.iter().find(|(key, _)| key.name == "checked"),
                _ => None,
            };
            let word = match member.map(|(_, node)| &node.value) {
                Some(Value::Text(word)) => word.as_str(),
                Some(_) | None => "",
            };
            let checked = CHECKED.iter().find(|(known, _)| *known == word);
            (preset.name.as_str(), checked.map_or(Checked::Unverified, |&(_, checked)| checked))
        })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|preset| preset.name.as_str())
    }

    /// The text of one built-in preset, for people to copy and change.
    pub fn text(name: &str) -> Option<&'static str> {
        let head = format!("\n[{name}]\n");
        let (before, after) = BUILT_IN.split_once(&head)?;
        let start = before.len() + 1;
        let length = after.find("\n\n").unwrap_or_else(|| after.trim_end().len());
        BUILT_IN.get(start..start + head.len() - 1 + length)
    }

    fn find(&self, name: &str) -> Option<&Preset> {
        self.0.iter().find(|preset| preset.name == name)
    }

    /// The preset a token names. A token without one must have all members itself.
    pub(super) fn chosen(&self, table: &mut Table<'_>) -> Option<Chosen> {
        let Some(at) = table.take("preset") else {
            if table.peek("kind").is_none() {
                table.at().problem(format!("`preset` is missing; write one of {}", self.listed()));
                return None;
            }
            return Some(Chosen { name: String::new(), node: None });
        };
        let name: String = at.read()?;
        let Some(preset) = self.find(&name) else {
            let all = self.listed();
            at.wrong(&match self.meant(&name) {
                Some(meant) => format!("the name of a preset; did you mean {meant}? All: {all}"),
                None => format!("the name of a preset: {all}"),
            });
            return None;
        };
        let mut node = preset.node.clone();
        if preset.author == Author::BuiltIn {
            // Its positions are those of another file, so problems point at the name.
            relocate(&mut node, &at.node.span);
        }
        Some(Chosen { name, node: Some(node) })
    }

    /// The presets that `written` may stand for, in words: the nearest one, or those whose
    /// names share a word with it.
    pub fn meant(&self, written: &str) -> Option<String> {
        const MOST: usize = 3;
        let written = written.to_lowercase();
        let names: Vec<&str> = self.names().collect();
        if let Some(name) = nearest(&names, &written) {
            return Some(format!("{name:?}"));
        }
        let words = |name: &str| name.split(['-', '_', ' ', '.']).map(str::to_owned).collect();
        let written: Vec<String> = words(&written);
        let shares = |name: &&str| {
            let mut words: Vec<String> = words(name);
            words.retain(|word| word.len() > 2 && written.contains(word));
            !words.is_empty()
        };
        let shared: Vec<_> = names.into_iter().filter(shares).take(MOST).collect();
        let quoted: Vec<_> = shared.iter().map(|name| format!("{name:?}")).collect();
        (!quoted.is_empty()).then(|| quoted.join(" or "))
    }

    fn listed(&self) -> String {
        self.names().collect::<Vec<_>>().join(", ")
    }
}

const CHECKED: [(&str, Checked); 4] = [
    ("library", Checked::Library),
    ("recorded", Checked::Recorded),
    ("documentation", Checked::Documentation),
    ("unverified", Checked::Unverified),
];

impl FromNode for Checked {
    fn read(at: &At<'_>) -> Option<Self> {
        at.choose(&CHECKED)
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documentation => "vendor's documentation",
            Self::Library => "vendor's library",
            Self::Recorded => "request recorded from the vendor's library",
            Self::Unverified => "unverified",
        })
    }
}

/// A token's preset, ready to be read under the token's own table.
pub(super) struct Chosen {
    pub name: String,
    pub node: Option<Node>,
}

/// Reports misspelt members of a preset that no token may use yet.
fn report_unknown(at: &At<'_>) {
    for (key, at) in at.members() {
        if !is_known(&key.name) {
            at.problems.add(key.span.start, &at.path, "unknown member of a preset");
        }
    }
}

fn relocate(node: &mut Node, span: &Range<usize>) {
    node.span = span.clone();
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, span)),
        Value::Table(entries) => {
            for (key, node) in entries {
                key.span = span.clone();
                relocate(node, span);
            }
        }
        Value::Boolean(_)
        | Value::Datetime
        | Value::Float(_)
        | Value::Integer(_)
        | Value::Text(_) => {}
    }
}
