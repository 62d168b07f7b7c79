//! The rules the code keeps, held by a test: headers, sizes, layers, no cycles.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lines of a file, its test module not counted.
const LONGEST: usize = 400;

/// The modules that may know the proxy framework.
const SHELL: [&str; 5] = ["demo", "gateway", "outbound", "reload", "server"];

struct Source {
    /// Relative to the repository.
    path: String,
    /// The module right below the crate's root.
    module: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// What comes before the test module.
    fn product(&self) -> &str {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text.get(..end).unwrap()
    }

    /// Lines without comments: what is said about a module does not import it.
    fn code(&self) -> impl Iterator<Item = &str> {
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

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root.join(folder), &mut found);
    found.sort();
    assert!(!found.is_empty());
    let read = |file: PathBuf| {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let first = path.split('/').nth(1).unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first).to_owned();
        Source { path, module, text: std::fs::read_to_string(&file).unwrap() }
    };
    found.into_iter().map(read).collect()
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for source in sources("src").into_iter().chain(sources("tests")) {
        assert!(source.text.starts_with("//! "), "{} has no `//!` header", source.path);
    }
}

#[test]
fn no_file_is_longer_than_it_may_be() {
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        let lines = source.product().lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines, {LONGEST} are allowed", source.path);
    }
    for source in sources("tests") {
        let lines = source.text.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines, {LONGEST} are allowed", source.path);
    }
}

#[test]
fn only_the_shell_knows_the_proxy_framework() {
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        let knows =
            source.code().any(|line| line.contains("pingora::") || line.contains("pingora_"));
        let may = SHELL.contains(&source.module.as_str())
            // Caps the framework's log targets, by name.
            || source.path == "src/observe/diagnostics.rs";
        assert!(!knows || may, "{} knows the proxy framework", source.path);
    }
}

/// The module names after each `crate::`, in `crate::a::b` and `crate::{a, b::C}`.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` and `pub(crate)::` do not occur; `other_crate::` would.
        let before = code.get(..at).unwrap().chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = code.get(at + "crate::".len()..).unwrap();
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 0_usize;
        let mut start = true;
        for (index, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ if start && !c.is_whitespace() => {
                    found.insert(word(group.get(index..).unwrap()));
                    start = false;
                }
                _ => {}
            }
        }
    }
    found.remove("");
    found
}

/// Which module uses which; tests may look anywhere.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let sources = sources("src");
    let modules: BTreeSet<String> = sources.iter().map(|source| source.module.clone()).collect();
    for source in sources.iter().filter(|source| !source.is_test() && source.module != "lib") {
        let code: Vec<&str> = source.code().collect();
        let used = imports(&code.join("\n"));
        let used = used.into_iter().filter(|name| modules.contains(name) && *name != source.module);
        uses.entry(source.module.clone()).or_default().extend(used);
    }
    uses
}

/// A chain of modules that ends where it began, if there is one.
fn cycle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        module: &str,
        uses: &BTreeMap<String, BTreeSet<String>>,
        chain: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = chain.iter().position(|earlier| earlier == module) {
            let mut cycle = chain.split_off(start);
            cycle.push(module.to_owned());
            return Some(cycle);
        }
        if done.contains(module) {
            return None;
        }
        chain.push(module.to_owned());
        for next in uses.get(module).into_iter().flatten() {
            if let Some(cycle) = walk(next, uses, chain, done) {
                return Some(cycle);
            }
        }
        chain.pop();
        done.insert(module.to_owned());
        None
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|module| walk(module, uses, &mut Vec::new(), &mut done))
}

/// What goes wrong with one request must not end all of them.
#[test]
fn a_panic_ends_one_connection_and_not_the_process() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    assert!(manifest.contains("[profile.release]\n"));
    assert!(manifest.contains("\npanic = \"unwind\"\n") && !manifest.contains("\"abort\""));
}

#[test]
fn modules_do_not_import_each_other_in_circles() {
    if let Some(cycle) = cycle(&uses()) {
        panic!("an import cycle: {}", cycle.join(" -> "));
    }
}

#[test]
fn the_rules_see_what_they_look_for() {
    let found =
        imports("use crate::{a::{B, c}, d, e::F};\nlet x = crate::g::H; other_crate::i::J;");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "d", "e", "g"]);
    let uses = |pairs: &[(&str, &str)]| {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in pairs {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        uses
    };
    assert!(cycle(&uses(&[("a", "b"), ("b", "c"), ("a", "c")])).is_none());
    assert_eq!(cycle(&uses(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap(), ["b", "c", "b"]);
}
