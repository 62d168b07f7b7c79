//! The target of the test: paths and names from the configuration file, read without its
//! secrets, and from the command line.

use std::path::Path;

use crate::document::{Key, Node, Problems, Value};

/// Most paths of one sort that are tested.
const MOST: usize = 3;

#[derive(Default)]
pub(super) struct Target {
    /// Paths of tokens.
    pub(super) tokens: Vec<String>,
    /// Pages that need a session.
    pub(super) protected: Vec<String>,
    /// Headers that tell the app who is signed in.
    pub(super) identity: Vec<String>,
}

impl Target {
    /// Reads the file, if there is one.
    pub(super) fn from_file(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let top = Node::parse(&text, &Problems::default());
        let mut target = Self::default();
        for (_, token) in members(member(&top, "token")) {
            let is_shadowed = member(token, "shadow")
                .is_some_and(|shadow| matches!(shadow.value, Value::Boolean(true)));
            let path = member(token, "path").and_then(as_text);
            target.tokens.extend(path.filter(|_| !is_shadowed).map(str::to_owned));
        }
        for route in items(member(&top, "route")) {
            target.protected.extend(guarded(route));
        }
        let identity = member(&top, "identity").and_then(|table| member(table, "headers"));
        target.identity.extend(members(identity).map(|(key, _)| key.name.clone()));
        Some(target)
    }

    /// Adds what the command line names, and leaves out what is too much.
    pub(super) fn with(
        mut self,
        tokens: &[String],
        protected: &[String],
        identity: &[String],
    ) -> Self {
        let put = |all: &mut Vec<String>, more: &[String]| {
            let found = std::mem::take(all);
            for one in more.iter().cloned().chain(found) {
                if !all.contains(&one) && all.len() < MOST {
                    all.push(one);
                }
            }
        };
        put(&mut self.tokens, tokens);
        put(&mut self.protected, protected);
        self.identity.extend_from_slice(identity);
        self
    }
}

/// The page at the root of a guarded route that answers GET.
fn guarded(route: &Node) -> Option<String> {
    let is = |name: &str, wanted: &str| member(route, name).and_then(as_text) == Some(wanted);
    let methods = member(route, "methods").map(|methods| items(Some(methods)));
    let gets = methods.is_none_or(|methods| methods.iter().any(|it| as_text(it) == Some("GET")));
    if !is("session", "required") || !gets {
        return None;
    }
    let path = member(route, "path").and_then(as_text)?;
    let root = path.strip_suffix("/**").or_else(|| path.strip_suffix("/*")).unwrap_or(path);
    let is_plain = root.len() > 1 && !root.contains(['*', '{', '?']);
    is_plain.then(|| root.to_owned())
}

fn as_text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn members(table: Option<&Node>) -> impl Iterator<Item = &(Key, Node)> {
    let members = table.and_then(|table| match &table.value {
        Value::Table(members) => Some(members),
        _ => None,
    });
    members.into_iter().flatten()
}

fn member<'n>(table: &'n Node, name: &str) -> Option<&'n Node> {
    members(Some(table)).find(|(key, _)| key.name == name).map(|(_, node)| node)
}

fn items(list: Option<&Node>) -> Vec<&Node> {
    match list.map(|list| &list.value) {
        Some(Value::Array(items)) => items.iter().collect(),
        _ => Vec::new(),
    }
}
