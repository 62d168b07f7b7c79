//! The files of the tree, and what each of them imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module as its path below the crate: `["mint", "template"]`.
pub(crate) type Module = Vec<String>;

pub(crate) struct Source {
    /// Relative to the repository.
    pub(crate) path: String,
    pub(crate) module: Module,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs")
            || self.path.contains("/tests/")
            || self.module.last().is_some_and(|name| name == "testing")
    }

    pub(crate) fn is_face(&self) -> bool {
        self.path.ends_with("/mod.rs")
    }

    /// The module right below the crate's root.
    pub(crate) fn layer(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    /// The code before the test module.
    pub(crate) fn product(&self) -> &str {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text.get(..end).unwrap()
    }

    /// Lines without comments: what is said about a module does not import it.
    pub(crate) fn code(&self) -> impl Iterator<Item = &str> {
        self.product().lines().filter(|line| !line.trim_start().starts_with("//"))
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every Rust file below a folder of the repository.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root.join(folder), &mut found);
    found.sort();
    assert!(!found.is_empty());
    let read = |file: PathBuf| {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        Source { module: module_of(&path), path, text }
    };
    found.into_iter().map(read).collect()
}

/// `src/mint/template/mod.rs` is `mint::template`.
fn module_of(path: &str) -> Module {
    let mut module: Module = path.split('/').skip(1).map(str::to_owned).collect();
    let file = module.pop().unwrap_or_default();
    match file.strip_suffix(".rs").unwrap_or(&file) {
        "lib" | "main" | "mod" => {}
        name => module.push(name.to_owned()),
    }
    module
}

/// The tree as modules that import each other. Tests may look anywhere, so they are left out.
pub(crate) struct Tree {
    modules: BTreeSet<Module>,
    /// The names a face passes on, and where they come from.
    passed_on: BTreeMap<(Module, String), Module>,
    /// Per module, everything it names by path.
    named: Vec<(Module, Vec<Module>)>,
}

impl Tree {
    pub(crate) fn new(sources: &[Source]) -> Self {
        let sources: Vec<&Source> = sources.iter().filter(|source| !source.is_test()).collect();
        let modules = sources.iter().map(|source| source.module.clone()).collect();
        let mut tree = Self { modules, passed_on: BTreeMap::new(), named: Vec::new() };
        for source in sources.iter().filter(|source| source.path != "src/main.rs") {
            let code: Vec<&str> = source.code().collect();
            let named: Vec<Module> = paths(&code.join("\n"))
                .into_iter()
                .filter_map(|path| tree.absolute(&source.module, &path))
                .collect();
            if source.is_face() {
                for target in &named {
                    if let Some(name) = target.last() {
                        let key = (source.module.clone(), name.clone());
                        tree.passed_on.insert(key, target.clone());
                    }
                }
            }
            tree.named.push((source.module.clone(), named));
        }
        tree
    }

    /// A path as it stands in a module, from the crate's root.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Module> {
        let mut rest = path;
        let mut base = module.to_vec();
        match rest.first()?.as_str() {
            "crate" => base.clear(),
            "self" | "super" => {}
            child => {
                base.push(child.to_owned());
                return self.modules.contains(&base).then(|| [module, rest].concat());
            }
        }
        while let [first, tail @ ..] = rest {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => drop(base.pop()),
                _ => break,
            }
            rest = tail;
        }
        Some([&base, rest].concat())
    }

    /// The module that defines what a path names, faces looked through.
    fn defining(&self, path: &Module) -> Option<Module> {
        let mut path = path.clone();
        for _ in 0..8 {
            let known = (0..=path.len()).rev().find(|n| self.modules.contains(&path[..*n]))?;
            let (module, rest) = path.split_at(known);
            let passed_on =
                rest.first().and_then(|name| self.passed_on.get(&(module.to_vec(), name.clone())));
            match passed_on {
                Some(target) if *target != path => path = [target, &rest[1..]].concat(),
                _ => return Some(module.to_vec()),
            }
        }
        None
    }

    /// Which module imports which, faces left out: they only pass on.
    pub(crate) fn imports(&self) -> impl Iterator<Item = (&Module, Module)> {
        let is_face = |module: &Module| {
            self.modules.iter().any(|other| other.len() > module.len() && other.starts_with(module))
        };
        self.named.iter().filter(move |(module, _)| !is_face(module)).flat_map(
            move |(module, named)| {
                named.iter().filter_map(move |path| Some((module, self.defining(path)?)))
            },
        )
    }

    /// As `imports`, and what the faces pass on.
    pub(crate) fn imports_and_faces(&self) -> impl Iterator<Item = (&Module, Module)> {
        self.named.iter().flat_map(move |(module, named)| {
            named.iter().filter_map(move |path| Some((module, self.defining(path)?)))
        })
    }

    /// Every folder of the tree, the root included.
    pub(crate) fn folders(&self) -> BTreeSet<Module> {
        self.modules.iter().filter(|m| !m.is_empty()).map(|m| m[..m.len() - 1].to_vec()).collect()
    }

    /// Which of a folder's children use which.
    pub(crate) fn uses_in(&self, folder: &Module) -> BTreeMap<String, BTreeSet<String>> {
        let child = |module: &Module| {
            module.starts_with(folder).then(|| module.get(folder.len()).cloned()).flatten()
        };
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in self.imports() {
            if let (Some(from), Some(to)) = (child(from), child(&to))
                && from != to
            {
                uses.entry(from).or_default().insert(to);
            }
        }
        uses
    }
}

/// Every path that code names from a known start: in `use` trees with whatever they begin
/// with, elsewhere after `crate`, `self` and `super`.
pub(crate) fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let starts_path = matches!(token.as_str(), "crate" | "self" | "super")
            && tokens.get(at + 1).is_some_and(|next| next == "::")
            && (at == 0 || tokens[at - 1] != "::");
        if token == "use" {
            at = tree(&tokens, at + 1, &mut Vec::new(), &mut found);
        } else if starts_path {
            let mut path = vec![token.clone()];
            while tokens.get(at + 1).is_some_and(|next| next == "::")
                && tokens.get(at + 2).is_some_and(|next| is_word(next))
            {
                path.push(tokens[at + 2].clone());
                at += 2;
            }
            found.push(path);
            at += 1;
        } else {
            at += 1;
        }
    }
    found
}

/// One `use` tree, from `at`; says where it ends.
fn tree(
    tokens: &[String],
    mut at: usize,
    path: &mut Vec<String>,
    out: &mut Vec<Vec<String>>,
) -> usize {
    let depth = path.len();
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    let before = at;
                    at = tree(tokens, at, path, out);
                    if at == before {
                        return at + 1;
                    }
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                at += 1;
                path.truncate(depth);
                return at;
            }
            "as" => at += 2,
            "*" => at += 1,
            "self" if depth > 0 && path.len() == depth => at += 1,
            word if is_word(word) => {
                path.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    out.push(path.clone());
    path.truncate(depth);
    at
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let length = if c.is_alphanumeric() || c == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            c.len_utf8()
        };
        let (token, tail) = rest.split_at(length);
        if !token.trim().is_empty() {
            found.push(token.to_owned());
        }
        rest = tail;
    }
    found
}
